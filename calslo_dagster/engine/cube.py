"""Fact rows of many slices, streamed slice by slice: DuckDB sorts them, and spills, so one slice is held at a time."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Self

import duckdb
import numpy as np
import pyarrow as pa

from calslo_dagster.engine.facts import CELLS, FACTS, LATENCY, MASKS, TOTALS, Fact
from calslo_dagster.engine.parquet import (
    common_slices,
    exact_sums,
    fact_files,
    identifier,
    literal,
    read_notes,
    rows_of,
)
from calslo_dagster.engine.series import Ints, Names, Panes, SliceRows, SnapshotSeries
from calslo_dagster.errors import SnapshotError
from calslo_dagster.stats.snapshot import CELL_SUMS, TOTAL_SUMS

SliceValues = tuple[str | None, ...]
# The columns of the view, and the value of each, None for a missing one.
SliceKey = tuple[tuple[str, ...], SliceValues]

BATCH_ROWS: Final = 65_536


@dataclass(frozen=True, slots=True)
class FactTables:
    """The facts of some partials: per fact a SELECT of its rows, none for a fact that no partial has."""

    selects: dict[str, str]
    slice_columns: tuple[str, ...]
    resolution_us: int

    def check_view(self, view: Sequence[str]) -> None:
        """Refuse a view of columns that the partials were not aggregated by."""
        if unknown := [name for name in view if name not in self.slice_columns] if self.selects else []:
            raise SnapshotError(
                f"snapshots have slices {list(self.slice_columns)}, not {unknown[0]!r}: the slice columns changed; "
                "aggregate these spans again"
            )

    def of_version(self, version: str) -> Self:
        """Return the facts of one calibrator version."""
        wanted = f"version = {literal(version)}"
        return replace(self, selects={name: f"SELECT * FROM ({s}) WHERE {wanted}" for name, s in self.selects.items()})


def open_tables(connection: duckdb.DuckDBPyConnection, partials: Sequence[Path]) -> FactTables:
    """Return the facts of the partials; raise SnapshotError for files of another grid or of different slices."""
    files = {fact.name: fact_files(partials, fact) for fact in FACTS}
    notes = read_notes(connection, [path for paths in files.values() for path in paths])
    return FactTables(
        selects={name: rows_of(paths) for name, paths in files.items() if paths},
        slice_columns=common_slices(notes),
        resolution_us=max((note.resolution_us for note in notes), default=1),
    )


def slice_values(
    connection: duckdb.DuckDBPyConnection, tables: FactTables, view: Sequence[str], panes: Panes
) -> list[SliceValues]:
    """Return every slice of the view that has rows within the panes, sorted, nulls first."""
    tables.check_view(view)
    return _Cube(connection, tables, tuple(view), panes).distinct(TOTALS, view)


def slices(
    connection: duckdb.DuckDBPyConnection, tables: FactTables, view: Sequence[str], panes: Panes
) -> Iterator[tuple[SliceValues, SnapshotSeries]]:
    """Yield every slice of the view that has rows within the panes, in the order of its values."""
    tables.check_view(view)
    if TOTALS.name not in tables.selects:
        return
    cube = _Cube(connection, tables, tuple(view), panes)
    keys = cube.distinct(TOTALS, view)
    versions, masks = cube.distinct(TOTALS, ("version",)), cube.distinct(MASKS, ("version", "mask_id"))
    with ExitStack() as stack:
        streams = [
            stack.enter_context(closing(_SliceStream(cube.sorted_rows(fact, keys, names), columns)))
            for fact, columns, names in (
                (TOTALS, len(TOTAL_SUMS), None),
                (CELLS, len(CELL_SUMS), None),
                (LATENCY, 1, None),
                (MASKS, 1, masks),
                (TOTALS, 1, versions),
            )
        ]
        for place, values in enumerate(keys):
            rows = SliceRows(*(stream.take(place) for stream in streams))
            yield values, SnapshotSeries.of(rows, panes, mask_names=_named(masks), version_names=_named(versions))


@dataclass(frozen=True, slots=True)
class _Cube:
    connection: duckdb.DuckDBPyConnection
    tables: FactTables
    view: tuple[str, ...]
    panes: Panes

    def distinct(self, fact: Fact, columns: Sequence[str]) -> list[SliceValues]:
        """Return the combinations of values that occur within the panes, sorted, nulls first."""
        if fact.name not in self.tables.selects:
            return []
        names = ", ".join(identifier(name) for name in columns) or "true"
        order = ", ".join(f"{i + 1} NULLS FIRST" for i in range(max(len(columns), 1)))
        found = self.connection.execute(
            f"SELECT DISTINCT {names} FROM ({self.tables.selects[fact.name]}) WHERE {self._within()} ORDER BY {order}"
        ).fetchall()
        return found if columns else [() for _ in found]

    def sorted_rows(
        self, fact: Fact, keys: list[SliceValues], names: list[SliceValues] | None
    ) -> Generator[pa.RecordBatch]:
        """Yield BIGINT columns slice, pane, code and sums, sorted; with `names`, the code is the place among them."""
        if fact.name not in self.tables.selects:
            return
        with self.connection.cursor() as cursor:
            cursor.register("slice_keys", places(keys, len(self.view)))
            name_columns = ("version", "mask_id") if fact is MASKS else ("version",)
            if names is not None:
                cursor.register("code_names", places(names, len(name_columns)))
            select = self._select(fact, None if names is None else name_columns)
            with exact_sums():
                yield from cursor.sql(select).to_arrow_reader(BATCH_ROWS)

    def _select(self, fact: Fact, name_columns: tuple[str, ...] | None) -> str:
        """Group before the join with the places of slices and names, so that the join sees few rows."""
        keys = [f"{identifier(name)} AS key_{i}" for i, name in enumerate(self.view)]
        names = [f"{name} AS name_{i}" for i, name in enumerate(name_columns or ())]
        sums = ("n",) if name_columns else fact.sums
        code = fact.keys[0] if fact.keys and not name_columns else "0"
        columns = [*keys, *names, f"(t - {self.panes.start_us}) // {self.panes.width_us} AS pane", f"{code} AS code"]
        is_grouped = bool(name_columns) or self._merges(fact)
        total = "CAST(sum({}) AS BIGINT) AS sum_{}" if is_grouped else "{} AS sum_{}"
        values = [total.format(identifier(name), i) for i, name in enumerate(sums)]
        groups = ", ".join(str(i + 1) for i in range(len(columns)))
        valid = " AND bin >= 0" if fact is CELLS else ""
        rows = f"FROM ({self.tables.selects[fact.name]}) WHERE {self._within()}{valid}"
        facts = f"SELECT {', '.join(columns + values)} {rows}" + (f" GROUP BY {groups}" if is_grouped else "")
        joins = join("slice_keys", "key", len(keys)) + (join("code_names", "name", len(names)) if names else "")
        code = "code_names.place" if names else "code"
        listed = ["slice_keys.place", "pane", code, *(f"sum_{i}" for i in range(len(sums)))]
        casts = ", ".join(f"CAST({column} AS BIGINT) AS column_{i}" for i, column in enumerate(listed))
        # The rows of a slice may come in any order, so that those of the only one need not be sorted.
        return f"SELECT {casts} FROM ({facts}) AS facts{joins}" + (" ORDER BY 1" if keys else "")

    def _merges(self, fact: Fact) -> bool:
        """Whether many stored rows make one of the view, so that adding them up here leaves few to be handed over."""
        return set(self.view) != set(self.tables.slice_columns) or self.panes.width_us > fact.resolution_us

    def _within(self) -> str:
        start, width = self.panes.start_us, self.panes.width_us
        return f"t >= {start} AND t < {start + width * self.panes.count}"


class _SliceStream:
    """Sorted batches, handed out slice by slice; only rows of the batch at hand wait in memory."""

    def __init__(self, batches: Generator[pa.RecordBatch], sums: int) -> None:
        self._batches = batches
        self._rest: list[Ints] = [np.empty(0, dtype=np.int64)] * (3 + sums)

    def take(self, place: int) -> Ints:
        """Return the rows of the slice at this place, without the place; slices are asked for in ascending order."""
        parts = []
        while True:
            end = int(np.searchsorted(self._rest[0], place, side="right"))
            parts.append([column[:end] for column in self._rest[1:]])
            if end < len(self._rest[0]) or (batch := next(self._batches, None)) is None:
                self._rest = [column[end:] for column in self._rest]
                return _joined(parts)
            self._rest = [column.to_numpy(zero_copy_only=False) for column in batch.columns]

    def close(self) -> None:
        """Stop reading."""
        self._batches.close()


def _joined(parts: list[list[Ints]]) -> Ints:
    """Return the rows of all parts, which lie column by column, as they come and as they are worked on."""
    columns = np.empty((len(parts[0]), sum(len(part[0]) for part in parts)), dtype=np.int64)
    for place, column in enumerate(columns):
        np.concatenate([part[place] for part in parts], out=column)
    return columns.T


def places(rows: list[SliceValues], columns: int) -> pa.Table:
    """Return a table of the rows with their place among them, for `join`."""
    values = {f"value_{i}": pa.array([row[i] for row in rows], pa.string()) for i in range(columns)}
    return pa.table({"place": pa.array(range(len(rows)), pa.int64()), **values})


def join(table: str, prefix: str, columns: int) -> str:
    """Return the clause that joins facts, whose keys have this prefix, with a table of `places`."""
    tests = [f"facts.{prefix}_{i} IS NOT DISTINCT FROM {table}.value_{i}" for i in range(columns)]
    return f" JOIN {table} ON {' AND '.join(tests) or 'true'}"


def _named(rows: list[SliceValues]) -> Names:
    return tuple(tuple(value or "" for value in row) for row in rows)
