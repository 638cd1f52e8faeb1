"""The aggregate pass against the least that reading the log costs, and against statements written by hand."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

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
# What is wanted of the cells, and past what the benchmark fails. A million events of a day leave a cell for every other
# event, ten million one for every tenth, so the small log is near the limit, which another program may push it over.
SCAN_GOAL: Final = 8.0
SCAN_CEILING_OF_A_SMALL_LOG: Final = 10.0
BY_HAND_GOAL: Final = 1.5
BY_HAND_CEILING: Final = 1.75
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


@pytest.mark.parametrize("is_weighted", [True, False], ids=["weighted", "all_weights_one"])
def test_cells(
    meter: Meter, connection: DuckDBPyConnection, log: Log, *, rows: int, scratch: Path, copied: Copy, is_weighted: bool
) -> None:
    """The cells alone, with every check of the rows, straight from the log."""
    inner = zip(SLICE_COLUMNS, grading.slice_names(SLICE_COLUMNS), strict=True)
    renamed = ", ".join(f"{outer} AS {name}" for outer, name in inner)
    coded = grading.coded(DuckDb(), f"SELECT *, {renamed}, false AS conflicted FROM ({relation(connection, log)})")
    select = Statement(DuckDb(), SPEC, is_weighted, adds_doubles=True).fact(CELLS, coded)
    notes = Notes(SLICE_COLUMNS, CELLS.resolution_us)
    meter(
        lambda: write_fact(connection, select, scratch / "cells.parquet", notes),
        against={**scanned(connection, log), "by hand": lambda: copied(statements.cells(log.parquet))},
        rounds=3,
        events=rows,
    )
    scan_ceiling = SCAN_GOAL if rows > 1_000_000 else SCAN_CEILING_OF_A_SMALL_LOG
    meter.goal("cells / scan", meter.ratio("scan"), at_most=SCAN_GOAL, ceiling=scan_ceiling)
    meter.goal("cells / by hand", meter.ratio("by hand"), at_most=BY_HAND_GOAL, ceiling=BY_HAND_CEILING)


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
