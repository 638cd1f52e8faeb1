"""The aggregate pass against the least that reading the log costs, and against statements written by hand."""

from collections.abc import Callable
from pathlib import Path

import pytest
from duckdb import DuckDBPyConnection

from benchmarks import statements
from benchmarks.apart import apart
from benchmarks.logs import SLICE_COLUMNS, Log, LogSpec
from benchmarks.logs import log as written
from benchmarks.meter import Call, Meter
from calslo_dagster.engine import grading
from calslo_dagster.engine.aggregate import AggregateSpec, aggregate
from calslo_dagster.engine.dialect import DuckDb
from calslo_dagster.engine.facts import CELLS
from calslo_dagster.engine.parquet import Notes, write_fact
from calslo_dagster.engine.statement import Statement
from calslo_dagster.sources import open_source

SPEC = AggregateSpec(SLICE_COLUMNS)
UNCHECKED = AggregateSpec(SLICE_COLUMNS, deduplicate=False)
Copy = Callable[[str], None]


@pytest.fixture
def copied(connection: DuckDBPyConnection, scratch: Path) -> Copy:
    """Return what runs a statement and keeps its rows as a fact file is kept."""

    def copy(select: str) -> None:
        path = scratch / "copied.parquet"
        connection.execute(f"COPY ({select}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)").fetchall()

    return copy


def rounds(rows: int) -> int:
    """Return how often a pass over so many rows is repeated."""
    return 3 if rows <= 1_000_000 else 1


def relation(connection: DuckDBPyConnection, log: Log) -> str:
    """Return the canonical relation of the log, made by the source that projects read it through."""
    source = open_source(log.source())
    return source.relation(connection, source.units())


def scanned(connection: DuckDBPyConnection, log: Log) -> dict[str, Call]:
    """Return the yardstick of every pass: eight columns of the log decoded and looked at."""
    return {"scan": lambda: connection.execute(statements.scan(log.parquet)).fetchall()}


def test_scan(meter: Meter, connection: DuckDBPyConnection, log: Log, rows: int) -> None:
    """The yardstick itself."""
    meter(scanned(connection, log)["scan"], rounds=rounds(rows), events=rows)


def test_plain_sums(meter: Meter, connection: DuckDBPyConnection, log: Log, *, rows: int, copied: Copy) -> None:
    """What a dashboard query does: counts and sums by 15 bins, with no check of the rows."""
    against = scanned(connection, log)
    meter(lambda: copied(statements.plain(log.parquet)), against=against, rounds=rounds(rows), events=rows)


def test_cells_by_hand(meter: Meter, connection: DuckDBPyConnection, log: Log, *, rows: int, copied: Copy) -> None:
    """The leanest statement for cells: one grid of 384 bins, eight sums in floating point, nothing told apart."""
    against = scanned(connection, log)
    meter(lambda: copied(statements.cells(log.parquet)), against=against, rounds=rounds(rows), events=rows)


def test_cells(
    meter: Meter, connection: DuckDBPyConnection, log: Log, *, rows: int, scratch: Path, copied: Copy
) -> None:
    """The cells alone, with every check of the rows, straight from the log."""
    inner = zip(SLICE_COLUMNS, grading.slice_names(SLICE_COLUMNS), strict=True)
    renamed = ", ".join(f"{outer} AS {name}" for outer, name in inner)
    coded = grading.coded(DuckDb(), f"SELECT *, {renamed}, false AS conflicted FROM ({relation(connection, log)})")
    select = Statement(DuckDb(), SPEC).fact(CELLS, coded)
    notes = Notes(SLICE_COLUMNS, CELLS.resolution_us)
    meter(
        lambda: write_fact(connection, select, scratch / "cells.parquet", notes),
        against={**scanned(connection, log), "by hand": lambda: copied(statements.cells(log.parquet))},
        rounds=rounds(rows),
        events=rows,
    )
    # A million events of a day leave a cell for every second event, ten million one for every tenth.
    meter.goal("cells / scan", meter.ratio("scan"), at_most=8 if rows > 1_000_000 else 14)
    # Twice: ten sums instead of eight, each of them rounded to an integer, and every row told good from bad.
    meter.goal("cells / by hand", meter.ratio("by hand"), at_most=2.5)


@pytest.mark.parametrize("spec", [SPEC, UNCHECKED], ids=["deduplicated", "trusted_ids"])
def test_all_facts(
    meter: Meter, connection: DuckDBPyConnection, log: Log, *, rows: int, scratch: Path, spec: AggregateSpec
) -> None:
    """The whole pass: totals, cells, latency, masks and the events that wait for a label."""
    canonical = relation(connection, log)
    found = meter(
        lambda: aggregate(connection, canonical, spec, None, out=scratch / "partial"),
        against=scanned(connection, log),
        rounds=rounds(rows),
        events=rows,
    )
    size = sum(file.stat().st_size for file in (scratch / "partial").iterdir())
    meter.note(duplicates=found.duplicates, waiting=found.pending, partial_MB=size / 2**20)


def test_twice_the_events_cost_at_most_twice(meter: Meter, connection: DuckDBPyConnection, scratch: Path) -> None:
    """Cost follows the events: nothing in the pass grows faster than they do."""
    half, whole = (relation(connection, written(LogSpec(size))) for size in (500_000, 1_000_000))
    meter(
        lambda: aggregate(connection, whole, SPEC, None, out=scratch / "whole"),
        against={"half of it": lambda: aggregate(connection, half, SPEC, None, out=scratch / "half")},
        rounds=3,
        events=1_000_000,
    )
    meter.goal("growth", meter.ratio("half of it"), at_most=2.4)


def test_memory(meter: Meter, rows: int, log: Log, scratch: Path) -> None:
    """The largest amount of memory that a process of its own ever holds in one pass; events do not add to it."""
    found = meter(lambda: apart("aggregate", log.spec, scratch), rounds=1, events=rows)
    meter.note(peak_MB=found.peak_mb)
    meter.goal("peak MB", found.peak_mb, at_most=600)
