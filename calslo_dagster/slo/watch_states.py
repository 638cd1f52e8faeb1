"""The state of a slice in evidence mode as bytes, from which it comes back bit by bit."""

import json
import zlib
from base64 import b64decode, b64encode
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any, Final

import numpy as np

from calslo_dagster.errors import SnapshotError
from calslo_dagster.slo.standing import Record
from calslo_dagster.slo.watch import Stream, Watch
from calslo_dagster.stats import grid
from calslo_dagster.stats.baseline import Baseline
from calslo_dagster.stats.latch import Latch
from calslo_dagster.stats.overdispersion import Noise
from calslo_dagster.stats.rate_bets import RateDetector
from calslo_dagster.stats.sequential import Detector
from calslo_dagster.stats.snapshot import CELL_SUMS, LATENCY_BUCKETS, Snapshot

# Written with each state, so that one of another making is not taken for one of this.
FORMAT: Final = 1


def dumped(watch: Watch, record: Record) -> bytes:
    """Return the state of a slice; the same state gives the same bytes."""
    state = {
        "format": FORMAT,
        "seen": watch.seen.isoformat(),
        "epoch": watch.epoch,
        "strangers": watch.strangers,
        "breach": _stream(watch.breach),
        "change": _stream(watch.change),
        "baseline": None if watch.baseline is None else asdict(watch.baseline),
        "labels": watch.labels,
        "limit": watch.limit,
        "noise": asdict(watch.noise),
        "record": _stored(record),
    }
    return zlib.compress(json.dumps(state, sort_keys=True).encode(), 1)


def loaded(data: bytes) -> tuple[Watch, Record]:
    """Return the state that `dumped` wrote; SnapshotError for one of another format."""
    try:
        state = _of_format(json.loads(zlib.decompress(data)))
        return _watch(state), _record(state["record"])
    except (KeyError, TypeError, ValueError, zlib.error) as error:
        raise SnapshotError(f"no state of the evidence on a slice ({error}); start it afresh") from error


def _of_format(state: dict[str, Any]) -> dict[str, Any]:
    if state["format"] != FORMAT:
        raise ValueError(f"its format is {state['format']}, not {FORMAT}")
    return state


def _watch(state: dict[str, Any]) -> Watch:
    baseline, noise = state["baseline"], state["noise"]
    return Watch(
        seen=datetime.fromisoformat(state["seen"]),
        epoch=state["epoch"],
        strangers=state["strangers"],
        breach=_read_stream(state["breach"]),
        change=_read_stream(state["change"]),
        baseline=Baseline(**{**baseline, "edges": tuple(baseline["edges"])}) if baseline else None,
        labels=state["labels"],
        limit=state["limit"],
        noise=Noise(tuple((float(s), int(n)) for s, n in noise["days"]), noise["z"]),
    )


def _stored(record: Record) -> dict[str, Any]:
    parts = {f.name: getattr(record.latch, f.name) for f in fields(record.latch)}
    return {
        "epoch": record.epoch,
        "latch": {name: _text(part) if isinstance(part, datetime) else part for name, part in parts.items()},
        "since": _sums(record.since),
        "begun_at": _text(record.begun_at),
    }


def _record(state: dict[str, Any]) -> Record:
    latch: dict[str, Any] = {n: _time(one) if isinstance(one, str) else one for n, one in state["latch"].items()}
    return Record(state["epoch"], Latch(**latch), _read_sums(state["since"]), _time(state["begun_at"]))


def _text(instant: datetime | None) -> str | None:
    return instant.isoformat() if instant else None


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _stream(stream: Stream | None) -> list[str] | None:
    if stream is None:
        return None
    return ["rate" if isinstance(stream, RateDetector) else "bets", stream.dumped()]


def _read_stream(state: list[str] | None) -> Stream | None:
    if state is None:
        return None
    return RateDetector.loaded(state[1]) if state[0] == "rate" else Detector.loaded(state[1])


def _sums(snapshot: Snapshot | None) -> dict[str, Any] | None:
    """Return the totals, cells and latencies that are occupied; all else of what matured since an alarm is not read."""
    if snapshot is None:
        return None
    at = np.flatnonzero(snapshot.cells.any(axis=0))
    return {
        "totals": snapshot.totals.tolist(),
        "at": at.tolist(),
        "cells": b64encode(snapshot.cells[:, at].astype("<i8").tobytes()).decode(),
        "latency": {int(bucket): int(snapshot.latency[bucket]) for bucket in np.flatnonzero(snapshot.latency)},
    }


def _read_sums(state: dict[str, Any] | None) -> Snapshot | None:
    if state is None:
        return None
    at = np.array(state["at"], dtype=np.int64)
    cells = np.zeros((len(CELL_SUMS), grid.FINE_BINS), dtype=np.int64)
    cells[:, at] = np.frombuffer(b64decode(state["cells"]), dtype="<i8").reshape(len(CELL_SUMS), len(at))
    latency = np.zeros(LATENCY_BUCKETS, dtype=np.int64)
    for bucket, events in state["latency"].items():
        latency[int(bucket)] = events
    return Snapshot(totals=np.array(state["totals"], dtype=np.int64), cells=cells, latency=latency)
