"""Prediction logs to measure on: seeded, and written once, as hourly Parquet, outside of the repository."""

import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from calslo_dagster.engine.facts import DAY_US, HOUR_US
from calslo_dagster.sources.base import ColumnMap, LabelSpec, SourceSpec, micros

CACHE: Final = Path(tempfile.gettempdir()) / "calslo-benchmarks"
# Part of every folder's name: a log that another generator wrote is not used again.
VERSION: Final = 1
# A Wednesday, far enough back for every machine's clock to have passed it.
DAY: Final = datetime(2025, 6, 18, tzinfo=UTC)
SLICE_COLUMNS: Final = ("intent", "language")
# The columns that calibration over time and slices needs at the least; what a scan of the log is measured by.
SCANNED: Final = (
    *("event_time", "score", "label", "weight", "latency_us"),
    *("intent", "language", "calibrator_version"),
)
_SEED: Final = 20_250_618
_UNLABELED: Final = 0.35
_RETRIED: Final = 0.001
_HEX: Final = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class LogSpec:
    """A log of `events` a day over `days` days up to DAY included, with `intents` x `languages` slices.

    `until` cuts the last day off, as a log that is still written.
    """

    events: int
    intents: int = 4
    languages: int = 6
    days: int = 1
    until: timedelta = timedelta(days=1)

    @property
    def name(self) -> str:
        """The name of the log's folder."""
        minutes = self.until // timedelta(minutes=1)
        return f"log-{self.events}-{self.intents}x{self.languages}-{self.days}d-{minutes}m-v{VERSION}"

    @property
    def start(self) -> datetime:
        """The first instant with events."""
        return DAY - timedelta(days=self.days - 1)


@dataclass(frozen=True, slots=True)
class Log:
    """A log on disk."""

    spec: LogSpec
    folder: Path

    @property
    def files(self) -> list[Path]:
        """The hourly files, oldest first."""
        return sorted((self.folder / "events").glob("*.parquet"))

    @property
    def parquet(self) -> str:
        """The rows of the files, as DuckDB reads them."""
        listed = ", ".join(f"'{path}'" for path in self.files)
        return f"read_parquet([{listed}])"

    def source(self) -> SourceSpec:
        """Return the log as the settings of a project would name it."""
        slices = {name: name for name in SLICE_COLUMNS}
        return SourceSpec(name="bench", paths=(str(self.folder / "events"),), slice_columns=slices)


def log(spec: LogSpec) -> Log:
    """Return the log, written now if it is not there yet."""
    folder = CACHE / spec.name
    if not folder.exists():
        scratch = CACHE / f".{spec.name}-{uuid4().hex}"
        write_hours(spec, scratch)
        scratch.rename(folder)
    return Log(spec, folder)


def write_hours(spec: LogSpec, folder: Path) -> None:
    """Write every hour of the log."""
    (folder / "events").mkdir(parents=True)
    for hour in range(24 * spec.days):
        if spec.start + timedelta(hours=hour) < DAY + spec.until:
            write_hour(spec, folder, hour)


def write_hour(spec: LogSpec, folder: Path, hour: int) -> Path:
    """Write one hour of the log, counted from its start, up to where the log is cut off."""
    rows = _hour(spec, hour)
    start = spec.start + timedelta(hours=hour)
    end_us = micros(DAY + spec.until)
    table = rows.filter(pa.compute.less(rows["event_time"].cast(pa.int64()), end_us))
    path = folder / "events" / f"{start:%Y-%m-%dT%H}.parquet"
    scratch = path.with_name(f".{path.name}.tmp")
    pq.write_table(table, scratch, compression="zstd", store_schema=False)
    return scratch.rename(path)


def late_labels(found: Log, events: int, folder: Path) -> LabelSpec:
    """Write a feed with a label for so many of the log's unlabelled events, spread over all its hours."""
    waiting = pa.concat_tables(_unlabeled(path) for path in found.files)
    rng = np.random.default_rng(_SEED)
    chosen = waiting.take(np.sort(rng.choice(waiting.num_rows, events, replace=False)))
    labels = (rng.random(events) < np.nan_to_num(chosen["score"].to_numpy())).astype(np.int16)
    path = folder / "labels.parquet"
    pq.write_table(pa.table({"prediction_id": chosen["prediction_id"], "label": labels}), path)
    return LabelSpec(name="bench", paths=(str(path),), columns=ColumnMap())


def _unlabeled(path: Path) -> pa.Table:
    rows = pq.read_table(path, columns=["prediction_id", "score", "label"])
    return rows.filter(pa.compute.is_null(rows["label"]))


def _hour(spec: LogSpec, hour: int) -> pa.Table:
    """Return the rows of one hour: traffic with a daily course, skewed slices, a canary, bad scores, retries."""
    rng = np.random.default_rng((_SEED, spec.intents, spec.languages, hour))
    share = (1 + 0.45 * np.cos(2 * np.pi * (hour % 24 - 14.5) / 24)) / 24
    fresh = round(spec.events * share)
    n = fresh + round(fresh * _RETRIED)
    at = np.sort(rng.integers(HOUR_US, size=n)) + micros(spec.start) + hour * HOUR_US
    score = _scores(rng, n)
    label = (rng.random(n) < np.clip(np.nan_to_num(score), 0, 1)).astype(np.int16)
    slices = _slices(rng, spec, n)
    version = (rng.random(n) < np.where(at % DAY_US < DAY_US // 2, 0.05, 0.95)).astype(np.int64)
    columns = {
        "event_time": pa.array(at).cast(pa.timestamp("us", tz="UTC")),
        "prediction_id": _ids(rng, n),
        "intent": _words("intent", spec.intents, slices // spec.languages),
        "language": _words("language", spec.languages, slices % spec.languages),
        "score": pa.array(score, mask=rng.random(n) < 2e-4),
        "label": pa.array(label, mask=rng.random(n) < _UNLABELED),
        "weight": pa.array(np.ones(n)),
        "latency_us": pa.array(np.floor(rng.lognormal(5.0, 0.5, n)) + 1),
        "clamped": pa.array(rng.random(n) < 0.02),
        "clamp_alpha": pa.array(np.where(version, 0.02, 0.021)),
        "calibrator_version": _words("v", 2, version),
        "mask_id": _words("m", 2, version),
    }
    rows = pa.table(columns)
    # Retries are exact copies of rows of the same hour.
    return pa.concat_tables([rows.slice(0, fresh), rows.take(rng.integers(fresh, size=n - fresh))])


def _scores(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    common = rng.random(n) < 0.72
    score = rng.beta(np.where(common, 0.5, 2.2), np.where(common, 9.0, 1.4))
    odd = rng.random(n)
    score[odd < 5e-4] = np.nan
    score[(odd >= 5e-4) & (odd < 8e-4)] += 1.0
    return score


def _slices(rng: np.random.Generator, spec: LogSpec, n: int) -> Ints:
    shares = np.outer(_shares(spec.intents), _shares(spec.languages)).ravel()
    return rng.choice(shares.size, n, p=shares / shares.sum())


def _shares(kinds: int) -> NDArray[np.float64]:
    """Return falling shares; with many kinds the least common one still has a quarter of the most common one's."""
    return np.linspace(4.0, 1.0, kinds)


def _words(stem: str, kinds: int, index: Ints) -> pa.Array:
    return pa.array([f"{stem}{i:02d}" for i in range(kinds)]).take(pa.array(index))


def _ids(rng: np.random.Generator, n: int) -> pa.Array:
    octets = rng.integers(0, 256, (n, 16), dtype=np.uint8)
    text = np.stack([_HEX[octets >> 4], _HEX[octets & 15]], axis=2)
    offsets = np.arange(n + 1, dtype=np.int32) * 32
    return pa.StringArray.from_buffers(n, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(text)))
