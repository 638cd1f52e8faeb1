"""Small prediction logs for the tests: rows as the canonical relation has them, and the partials they become."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from itertools import count
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from duckdb import DuckDBPyConnection

from calslo_dagster.engine.aggregate import Aggregated, AggregateSpec, Span, aggregate
from calslo_dagster.engine.facts import HOUR_US, MINUTE_US
from calslo_dagster.engine.parquet import rows_of
from calslo_dagster.stats.snapshot import Snapshot
from calslo_dagster_tests.builders import Event, snap_events

# 2026-03-01 00:00 UTC.
DAY: Final = 1_772_323_200_000_000
SPEC: Final = AggregateSpec(slice_columns=("intent", "language"))
SLICES: Final = SPEC.slice_columns

_TYPES: Final = {
    "event_us": pa.int64(),
    "score": pa.float64(),
    "label": pa.int16(),
    "weight": pa.float64(),
    "latency_us": pa.float64(),
    "clamped": pa.bool_(),
    "clamp_alpha": pa.float64(),
}
_numbers = count()


@dataclass(frozen=True, slots=True)
class Row:
    """One canonical row; None is a null."""

    event_us: int | None = DAY
    score: float | None = 0.5
    label: int | None = None
    prediction_id: str | None = None
    intent: str | None = "buy"
    language: str | None = "en"
    weight: float | None = None
    latency_us: float | None = None
    clamped: bool | None = None
    clamp_alpha: float | None = None
    calibrator_version: str | None = "v1"
    mask_id: str | None = None

    def event(self) -> Event:
        """Return the row as the reference implementation takes it."""
        return Event(
            self.score,
            self.label,
            self.weight,
            self.latency_us,
            self.clamped,
            self.clamp_alpha,
            self.calibrator_version or "",
            self.mask_id,
        )


def relation(rows: Iterable[Row], folder: Path) -> str:
    """Write the rows to a file of their own and return the SELECT that reads it."""
    listed = list(rows)
    names = [field.name for field in fields(Row)]
    arrays = {name: pa.array([getattr(row, name) for row in listed], _TYPES.get(name, pa.string())) for name in names}
    path = folder / f"log-{next(_numbers)}.parquet"
    pq.write_table(pa.table(arrays), path)
    return rows_of([path])


def partial(
    connection: DuckDBPyConnection,
    rows: Iterable[Row],
    folder: Path,
    *,
    spec: AggregateSpec = SPEC,
    span: Span | None = None,
) -> Path:
    """Return the folder of the facts of the rows."""
    return counted(connection, rows, folder, spec=spec, span=span)[0]


def counted(
    connection: DuckDBPyConnection,
    rows: Iterable[Row],
    folder: Path,
    *,
    spec: AggregateSpec = SPEC,
    span: Span | None = None,
) -> tuple[Path, Aggregated]:
    """Return the folder of the facts of the rows, and what was counted."""
    out = folder / f"partial-{next(_numbers)}"
    return out, aggregate(connection, relation(rows, folder), spec, span, out=out)


def hours(rows: Iterable[Row]) -> list[Span]:
    """Return the UTC hours that the rows lie in."""
    starts = {row.event_us // HOUR_US * HOUR_US for row in rows if row.event_us is not None}
    return [(start, start + HOUR_US) for start in sorted(starts)]


def reference(rows: Sequence[Row]) -> Snapshot:
    """Return the snapshot of rows without repetitions, computed apart from the engine."""
    return snap_events([row.event() for row in rows])


def assert_same(actual: Snapshot, expected: Snapshot) -> None:
    """Compare two snapshots integer by integer."""
    np.testing.assert_array_equal(actual.totals, expected.totals)
    np.testing.assert_array_equal(actual.cells, expected.cells)
    np.testing.assert_array_equal(actual.latency, expected.latency)
    assert actual.masks == expected.masks
    assert actual.versions == expected.versions


def contents(partial: Path) -> dict[str, str]:
    """Return a digest of each file of a partial."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(partial.iterdir())}


def traffic(events: int, seed: int, *, hours: int = 3, labelled: float = 0.6) -> list[Row]:
    """Return ordinary rows, each with an id of its own: two intents, two languages, two versions, weights, masks."""
    rng = np.random.default_rng(seed)
    scores = rng.beta(0.5, 2.0, events)
    labels = rng.random(events) < scores
    return [
        Row(
            event_us=DAY + int(rng.integers(hours * 60 * MINUTE_US)),
            score=float(score),
            label=int(label) if rng.random() < labelled else None,
            prediction_id=f"p{seed}-{i}",
            intent=str(rng.choice(["buy", "search"])),
            language=("en", "de", None)[rng.integers(3)],
            weight=float(rng.choice([0.5, 1.0, 2.0])),
            latency_us=float(rng.lognormal(5.0, 1.0)),
            clamped=bool(rng.random() < 0.1),
            clamp_alpha=0.02,
            calibrator_version=str(rng.choice(["v1", "v2"])),
            mask_id=("m1", None)[rng.integers(2)],
        )
        for i, (score, label) in enumerate(zip(scores, labels, strict=True))
    ]
