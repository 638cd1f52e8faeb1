"""The demo's traffic as Arrow tables: rows of the log and rows of the label feed."""

from datetime import datetime
from typing import Final

import numpy as np
import pyarrow as pa

from calslo_dagster.slo.windows import DAY
from calslo_dagster.sources.demo.population import INTENT_SHARES, LANGUAGE_SHARES, MODEL_OF_INTENT, SEGMENTS, Ints
from calslo_dagster.sources.demo.script import HOUR, Script
from calslo_dagster.sources.demo.traffic import LONGEST_LABEL_DELAY_HOURS, Traffic, microseconds, simulate

_TIME: Final = pa.timestamp("us", tz="UTC")
LOG_SCHEMA: Final = pa.schema(
    [
        pa.field("event_time", _TIME, nullable=False),
        pa.field("prediction_id", pa.string(), nullable=False),
        pa.field("model", pa.string()),
        pa.field("intent", pa.string()),
        pa.field("language", pa.string()),
        pa.field("score", pa.float64()),
        pa.field("label", pa.int16()),
        pa.field("latency_us", pa.float64()),
        pa.field("clamped", pa.bool_()),
        pa.field("clamp_alpha", pa.float64()),
        pa.field("calibrator_version", pa.string()),
        pa.field("mask_id", pa.string()),
    ]
)
LABEL_SCHEMA: Final = pa.schema(
    [
        pa.field("prediction_id", pa.string(), nullable=False),
        pa.field("label", pa.int16(), nullable=False),
        pa.field("label_time", _TIME, nullable=False),
        pa.field("event_time", _TIME, nullable=False),
    ]
)
_HEX: Final = np.frombuffer("".join(f"{byte:02x}" for byte in range(256)).encode(), dtype=np.uint8).reshape(256, 2)
# Where the 32 hex digits of a UUID stand among its four dashes.
_DIGITS: Final = [i for i in range(36) if i not in (8, 13, 18, 23)]


def log_rows(script: Script, hour: datetime, until: datetime | None = None) -> pa.Table:
    """Return the rows that reach the log in the hour, ascending by arrival; before `until` if given.

    They are the hour's own events, those of the hour before that are late, and the exact copies that retries leave.
    """
    start, end = microseconds(hour), microseconds(until or hour + HOUR)
    sent = Traffic.joined([simulate(script, hour - HOUR), simulate(script, hour)])
    rows = np.concatenate([np.arange(sent.events), np.flatnonzero(sent.retry_us >= 0)])
    arrivals = np.concatenate([sent.arrival_us, sent.retry_us[sent.retry_us >= 0]])
    inside = (arrivals >= start) & (arrivals < end)
    rows, arrivals = rows[inside], arrivals[inside]
    return _log_table(script, sent.take(rows[np.argsort(arrivals, kind="stable")]))


def label_rows(script: Script, day: datetime) -> pa.Table:
    """Return the labels that become known on the day, ascending by that time, without those known at once."""
    hours = (day + hour * HOUR for hour in range(-LONGEST_LABEL_DELAY_HOURS, 24))
    sent = Traffic.joined(simulate(script, hour) for hour in hours)
    start, end = microseconds(day), microseconds(day + DAY)
    due = (sent.label_us >= start) & (sent.label_us < end) & (sent.label_us != sent.event_us)
    rows = np.flatnonzero(due)
    known = sent.take(rows[np.argsort(sent.label_us[rows], kind="stable")])
    columns = [
        _prediction_ids(known),
        pa.array(known.outcome.astype(np.int16)),
        _times(known.label_us),
        _times(known.event_us),
    ]
    return pa.Table.from_arrays(columns, schema=LABEL_SCHEMA)


def _log_table(script: Script, rows: Traffic) -> pa.Table:
    intents, languages = list(INTENT_SHARES), list(LANGUAGE_SHARES)
    intent = np.array([intents.index(s.intent) for s in SEGMENTS])[rows.segment]
    language = np.array([languages.index(s.language) for s in SEGMENTS])[rows.segment]
    alphas = np.array([script.alpha(release) for release in script.releases])
    columns = [
        _times(rows.event_us),
        _prediction_ids(rows),
        _words([MODEL_OF_INTENT[name] for name in intents], intent),
        _words(intents, intent),
        _words(languages, language),
        pa.array(rows.score),
        pa.array(rows.outcome.astype(np.int16), mask=rows.label_us != rows.event_us),
        pa.array(rows.latency_us),
        pa.array(rows.clamped),
        pa.array(alphas[rows.release]),
        _words([release.version for release in script.releases], rows.release),
        _words([release.mask_id for release in script.releases], rows.release),
    ]
    return pa.Table.from_arrays(columns, schema=LOG_SCHEMA)


def _times(us: Ints) -> pa.Array:
    return pa.array(us).cast(_TIME)


def _words(words: list[str], index: Ints) -> pa.Array:
    return pa.array(words).take(pa.array(index))


def _prediction_ids(rows: Traffic) -> pa.Array:
    """Return UUIDs of version 7: 48 bits of milliseconds, then random bits, so that text order is time order."""
    n = rows.events
    octets = np.empty((n, 16), dtype=np.uint8)
    octets[:, :6] = (rows.event_us // 1000).astype(">u8").view(np.uint8).reshape(n, 8)[:, 2:]
    octets[:, 6:] = rows.ids
    octets[:, 6] = octets[:, 6] & 0x0F | 0x70
    octets[:, 8] = octets[:, 8] & 0x3F | 0x80
    text = np.full((n, 36), ord("-"), dtype=np.uint8)
    text[:, _DIGITS] = _HEX[octets].reshape(n, 32)
    offsets = np.arange(n + 1, dtype=np.int32) * 36
    return pa.StringArray.from_buffers(n, pa.py_buffer(offsets), pa.py_buffer(text))
