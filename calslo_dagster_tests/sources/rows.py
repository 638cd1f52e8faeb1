"""Logs and feeds written in every format, and the canonical rows read back, sorted."""

import csv
import gzip
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from calslo_dagster.sources import open_feed, open_source
from calslo_dagster.sources.base import Intake, LabelSpec, SourceSpec, Span, micros

NOW: Final = datetime(2026, 3, 2, tzinfo=UTC)
START: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR: Final = 3_600_000_000
START_US: Final = micros(START)

Row = dict[str, Any]
TEXT_FORMATS: Final = ("csv", "csv.gz", "csv.zst", "jsonl", "jsonl.gz", "jsonl.zst")
ALL_FORMATS: Final = ("parquet", *TEXT_FORMATS)


def iso(instant: datetime) -> str:
    """Return the instant as most logs write it."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def row(**values: Any) -> Row:
    """Return a good row with these values instead of its own."""
    return {"event_time": iso(START), "score": 0.25, "label": 1, "prediction_id": "a", **values}


def log_rows(count: int = 50) -> list[Row]:
    """Return rows of every column over two hours, some values missing."""
    return [
        {
            "event_time": iso(START + timedelta(microseconds=i * 143_000_007)),
            "score": (i * 37 % 101) / 101,
            "label": None if i % 3 == 0 else i % 2,
            "prediction_id": f"p{i}",
            "intent": None if i % 7 == 0 else ["pay", "a,b", 'quo"te', "ünï 🎉"][i % 4],
            "weight": None if i % 5 == 0 else 1 + i / 8,
            "latency_us": 100.5 * i,
            "clamped": None if i % 11 == 0 else i % 10 == 0,
            "clamp_alpha": 0.1 * i,
            "calibrator_version": f"v{i % 2}",
            "mask_id": "m",
        }
        for i in range(count)
    ]


def write(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write the rows in the format and compression that the name tells."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist([dict(r) for r in rows]), path)
        return path
    text = as_csv(rows) if ".csv" in path.name else "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows)
    return write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes) -> Path:
    """Write the bytes, compressed as the name tells."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".gz":
        data = gzip.compress(data)
    if path.suffix == ".zst":
        data = pa.Codec("zstd").compress(data).to_pybytes()
    path.write_bytes(data)
    return path


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the rows as CSV, as Python and pandas write it."""
    out = io.StringIO()
    names = list(dict.fromkeys(name for r in rows for name in r))
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows([{k: repr(v) if isinstance(v, float) else v for k, v in r.items()} for r in rows])
    return out.getvalue()


def spec(*paths: Path | str, **values: Any) -> SourceSpec:
    """Return the spec of a log in these paths."""
    return SourceSpec(name="log", paths=tuple(map(str, paths)), **values)


def feed(*paths: Path | str, **values: Any) -> LabelSpec:
    """Return the spec of a label feed in these paths."""
    return LabelSpec(name="labels", paths=tuple(map(str, paths)), **values)


def intakes(connection: duckdb.DuckDBPyConnection, of: SourceSpec | LabelSpec, now: datetime = NOW) -> list[Intake]:
    """Return the intake of every unit."""
    source = open_source(of) if isinstance(of, SourceSpec) else open_feed(of)
    return [source.intake(connection, unit, now) for unit in source.units()]


def intake(connection: duckdb.DuckDBPyConnection, of: SourceSpec | LabelSpec, now: datetime = NOW) -> Intake:
    """Return the intake of the only unit."""
    (only,) = intakes(connection, of, now)
    return only


def complaint(connection: duckdb.DuckDBPyConnection, of: SourceSpec | LabelSpec) -> str:
    """Return the error of the only unit, which nothing but a correction of the input can remove."""
    found = intake(connection, of)
    assert (found.rows, found.hours, found.retry) == (0, {}, False)
    assert found.error is not None
    return found.error


def events(connection: duckdb.DuckDBPyConnection, of: SourceSpec, span: Span | None = None) -> list[Row]:
    """Return the canonical events of all units that pass their check."""
    source = open_source(of)
    good = [unit for unit in source.units() if source.intake(connection, unit, NOW).error is None]
    return fetch(connection, source.relation(connection, good, span))


def labels(connection: duckdb.DuckDBPyConnection, of: LabelSpec, span: Span | None = None) -> list[Row]:
    """Return the canonical labels of all units that pass their check."""
    source = open_feed(of)
    good = [unit for unit in source.units() if source.intake(connection, unit, NOW).error is None]
    return fetch(connection, source.label_relation(connection, good, span))


def fetch(connection: duckdb.DuckDBPyConnection, relation: str) -> list[Row]:
    """Return the rows of a relation in an order of their own."""
    result = connection.execute(f"SELECT * FROM ({relation})")
    names = [column[0] for column in result.description or ()]
    return sorted((dict(zip(names, values, strict=True)) for values in result.fetchall()), key=_key)


def column(rows: Iterable[Row], name: str) -> list[Any]:
    """Return the values of one column."""
    return [r[name] for r in rows]


def _key(values: Row) -> tuple[Any, ...]:
    return tuple(str(math.copysign(v, v)) if isinstance(v, float) else str(v) for v in values.values())
