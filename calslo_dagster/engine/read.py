"""Reads partials: the snapshots of all slices in a window, or of each slice over time, and a digest of the facts."""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

import duckdb

from calslo_dagster.engine.cube import BATCH_ROWS, FactTables, SliceKey, open_tables, slice_values, slices
from calslo_dagster.engine.facts import FACTS, PANE_US, Fact
from calslo_dagster.engine.merge import summed
from calslo_dagster.engine.parquet import exact_sums, identifier, key_columns, sort_order
from calslo_dagster.engine.series import Panes, SnapshotSeries
from calslo_dagster.engine.window import snapshots
from calslo_dagster.stats.snapshot import Snapshot

__all__ = ["SliceKey", "facts_digest", "seen", "series", "window"]

Views = Sequence[Sequence[str]]

REPETITIONS: Final = "duplicates"
# After every representable time; windows without an end reach here.
_END_US: Final = 2**62


def window(
    connection: duckdb.DuckDBPyConnection,
    partials: Sequence[Path],
    start_us: int | None,
    end_us: int | None,
    *,
    slice_columns: Sequence[str] = (),
    views: Views | None = None,
    version: str | None = None,
) -> dict[SliceKey, Snapshot]:
    """Return the snapshot of every slice with rows in the half-open window, None for an open side.

    views: subsets of the slice columns to evaluate, by default none of them (everything) and all of them; version: of
    this calibrator version alone. The window must lie on edges of the buckets that the partials hold, 15 minutes unless
    they were rolled up.
    """
    tables = open_tables(connection, partials)
    tables = tables if version is None else tables.of_version(version)
    start, end = start_us or 0, _END_US if end_us is None else end_us
    for edge in (start_us, end_us):
        _check_edge(edge, max(tables.resolution_us, PANE_US))
    if end <= start:
        return {}
    wanted = _views(slice_columns, views)
    found = snapshots(connection, tables, wanted, start_us=start, end_us=end)
    if found is None:
        each = _each(connection, tables, Panes(start, end - start, 1), wanted)
        found = {key: series.whole() for key, series in each}
    return found


def seen(
    connection: duckdb.DuckDBPyConnection,
    partials: Sequence[Path],
    start_us: int,
    end_us: int,
    *,
    slice_columns: Sequence[str] = (),
    views: Views | None = None,
) -> list[SliceKey]:
    """Return the slices that `window` would return the snapshots of."""
    tables = open_tables(connection, partials)
    for edge in (start_us, end_us):
        _check_edge(edge, max(tables.resolution_us, PANE_US))
    panes = Panes(start_us, max(0, end_us - start_us), 1)
    wanted = _views(slice_columns, views)
    return [(view, values) for view in wanted for values in slice_values(connection, tables, view, panes)]


def series(
    connection: duckdb.DuckDBPyConnection,
    partials: Sequence[Path],
    start_us: int,
    end_us: int,
    *,
    slice_columns: Sequence[str] = (),
    views: Views | None = None,
    width_us: int = PANE_US,
) -> Iterator[tuple[SliceKey, SnapshotSeries]]:
    """Yield the series of every slice with rows in the half-open span, one slice in memory at a time.

    Its panes are 15 minutes wide unless told, and never narrower than the buckets of the partials.
    """
    tables = open_tables(connection, partials)
    _check_edge(start_us, width_us)
    _check_edge(end_us, width_us)
    _check_edge(width_us, tables.resolution_us)
    panes = Panes(start_us, width_us, max(0, end_us - start_us) // width_us)
    yield from _each(connection, tables, panes, _views(slice_columns, views))


def facts_digest(connection: duckdb.DuckDBPyConnection, partials: Sequence[Path]) -> str:
    """Return the sha256 of the summed facts in the order of their keys, however they are spread over partials.

    How often a prediction was repeated is left out: that tells how the log was delivered, not what it says.
    """
    tables = open_tables(connection, partials)
    digest = sha256()
    for fact in FACTS:
        if fact.name not in tables.selects:
            continue
        digest.update(f"{fact.name}\n".encode())
        with exact_sums():
            for lines in _lines(connection, tables, fact):
                digest.update(lines)
    return digest.hexdigest()


def _each(
    connection: duckdb.DuckDBPyConnection, tables: FactTables, panes: Panes, views: Views
) -> Iterator[tuple[SliceKey, SnapshotSeries]]:
    for view in views:
        for values, found in slices(connection, tables, view, panes):
            yield (tuple(view), values), found


def _views(slice_columns: Sequence[str], views: Views | None) -> list[tuple[str, ...]]:
    wanted = ((), slice_columns) if views is None else views
    return list(dict.fromkeys(tuple(view) for view in wanted))


def _check_edge(edge_us: int | None, width_us: int) -> None:
    if edge_us is not None and edge_us % width_us:
        raise ValueError(f"{edge_us} us is not on a multiple of {width_us} us, the buckets that the snapshots hold")


def _lines(connection: duckdb.DuckDBPyConnection, tables: FactTables, fact: Fact) -> Iterator[bytes]:
    """Yield the summed rows of a fact as text, some thousands at a time."""
    texts = {"version", "mask_id", *tables.slice_columns}
    keys = key_columns(fact, tables.slice_columns)
    values = []
    told = [name for name in fact.sums if name != REPETITIONS]
    for name in (*keys, *told, *fact.firsts, *fact.lasts):
        # The length keeps a value that holds a space, or a line end, apart from two values.
        text = f"strlen({identifier(name)}) || ':' || " if name in texts else ""
        values.append(f"coalesce({text}CAST({identifier(name)} AS VARCHAR), '-')")
    rows = summed(tables.selects[fact.name], fact, tables.slice_columns, fact.resolution_us)
    anything = " OR ".join(f"{identifier(name)} <> 0" for name in told)
    text = f"SELECT concat_ws(' ', {', '.join(values)}) FROM ({rows}) WHERE {anything} ORDER BY {sort_order(keys)}"
    with connection.cursor() as cursor:
        for batch in cursor.sql(text).to_arrow_reader(BATCH_ROWS):
            yield "".join(f"{line}\n" for line in batch.column(0).to_pylist()).encode()
