"""The snapshots of all slices in one window, added up row by row into arrays that hold every slice.

A window needs no order and no running sums, so each fact is read once, however many views there are.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Self

import duckdb
import numpy as np

from calslo_dagster.engine.cube import BATCH_ROWS, FactTables, SliceKey, SliceValues, join, places
from calslo_dagster.engine.facts import CELLS, LATENCY, MASKS, TOTALS, Fact
from calslo_dagster.engine.parquet import exact_sums, identifier, sort_order
from calslo_dagster.engine.series import LARGEST_SUM, MOST_EVENTS, Ints
from calslo_dagster.stats import grid
from calslo_dagster.stats.snapshot import CELL_SUMS, LATENCY_BUCKETS, TOTAL_SUMS, Snapshot

_EVENTS: Final = TOTAL_SUMS.index("n")


def snapshots(
    connection: duckdb.DuckDBPyConnection,
    tables: FactTables,
    views: Sequence[tuple[str, ...]],
    *,
    start_us: int,
    end_us: int,
) -> dict[SliceKey, Snapshot] | None:
    """Return the snapshot of every slice of the views that has rows in the half-open window, by view and values.

    None where the sums of all slices together might not fit 64 bits: then each slice has to be looked at by itself.
    """
    for view in views:
        tables.check_view(view)
    if TOTALS.name not in tables.selects:
        return {}
    wanted = {name for view in views for name in view}
    columns = tuple(name for name in tables.slice_columns if name in wanted)
    rows = _Rows(connection, tables, columns, f"t >= {start_us} AND t < {end_us}")
    totals, masks = rows.named(TOTALS, ("version",)), rows.named(MASKS, ("version", "mask_id"))
    slices = list(dict.fromkeys(totals.slices))
    filled = [_View.of(view, columns, slices) for view in views]
    size = _size(totals.sums)
    for each in filled:
        each.add_named(totals, masks)
    for fact in (CELLS, LATENCY):
        for place, code, sums in rows.coded(fact, slices):
            size += _size(sums)
            for each in filled:
                each.add_coded(fact, place, code, sums)
    if size > LARGEST_SUM or totals.sums[_EVENTS].sum() > MOST_EVENTS:
        return None
    return {key: snapshot for each in filled for key, snapshot in each.snapshots()}


@dataclass(frozen=True, slots=True, eq=False)
class _Named:
    """Sums by slice and names, such as calibrator versions, in their order; sums: shape (sums, rows)."""

    slices: list[SliceValues]
    names: list[tuple[str, ...]]
    sums: Ints


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows of one window, by the slice columns that any view asks for."""

    connection: duckdb.DuckDBPyConnection
    tables: FactTables
    columns: tuple[str, ...]
    within: str

    def named(self, fact: Fact, names: Sequence[str]) -> _Named:
        """Return the sums by slice and names, sorted, nulls first."""
        if fact.name not in self.tables.selects:
            return _Named([], [], np.empty((len(fact.sums), 0), dtype=np.int64))
        keys = [*self.columns, *names]
        sums = [f"CAST(sum({identifier(name)}) AS BIGINT) AS sum_{i}" for i, name in enumerate(fact.sums)]
        listed = ", ".join([*map(identifier, keys), *sums])
        groups = ", ".join(map(identifier, keys))
        rows = f"SELECT {listed} FROM ({self.tables.selects[fact.name]}) WHERE {self.within} GROUP BY {groups}"
        with exact_sums():
            found = self.connection.sql(f"SELECT * FROM ({rows}) ORDER BY {sort_order(keys)}").to_arrow_table()
        texts = list(zip(*(column.to_pylist() for column in found.columns[: len(keys)]), strict=True))
        return _Named(
            [row[: len(self.columns)] for row in texts],
            [tuple(value or "" for value in row[len(self.columns) :]) for row in texts],
            np.stack([column.to_numpy() for column in found.columns[len(keys) :]]),
        )

    def coded(self, fact: Fact, slices: list[SliceValues]) -> Iterator[tuple[Ints, Ints, list[Ints]]]:
        """Yield rows by the batch: the places of their slices, their bins or buckets, and each of their sums."""
        if fact.name not in self.tables.selects:
            return
        (code,), valid = fact.keys, " AND bin >= 0" if fact is CELLS else ""
        keys = [f"{identifier(name)} AS key_{i}" for i, name in enumerate(self.columns)]
        sums = [f"{identifier(name)} AS sum_{i}" for i, name in enumerate(fact.sums)]
        listed = ", ".join([*keys, f"{code} AS code", *sums])
        rows = f"SELECT {listed} FROM ({self.tables.selects[fact.name]}) WHERE {self.within}{valid}"
        columns = ["slice_keys.place", "code", *(f"sum_{i}" for i in range(len(sums)))]
        casts = ", ".join(f"CAST({column} AS BIGINT) AS column_{i}" for i, column in enumerate(columns))
        with self.connection.cursor() as cursor:
            cursor.register("slice_keys", places(slices, len(self.columns)))
            select = f"SELECT {casts} FROM ({rows}) AS facts{join('slice_keys', 'key', len(self.columns))}"
            for batch in cursor.sql(select).to_arrow_reader(BATCH_ROWS):
                place, found, *values = (column.to_numpy(zero_copy_only=False) for column in batch.columns)
                yield place, found, values


@dataclass(frozen=True, slots=True, eq=False)
class _View:
    """The sums of every slice of one view; `place` is that of each slice of all columns among the slices of the view.

    totals: shape (slices, sums); cells: shape (slices, cell sums, bins); latency: shape (slices, 1, buckets).
    """

    columns: tuple[str, ...]
    slices: list[SliceValues]
    place: dict[SliceValues, int]
    places: Ints
    totals: Ints
    cells: Ints
    latency: Ints
    versions: list[dict[str, int]]
    masks: list[dict[tuple[str, str], int]]

    @classmethod
    def of(cls, view: tuple[str, ...], columns: tuple[str, ...], parts: list[SliceValues]) -> Self:
        """Return the empty view of the slices that these are the parts of."""
        at = [columns.index(name) for name in view]
        values = [tuple(part[i] for i in at) for part in parts]
        slices = sorted(set(values), key=lambda found: [(value is not None, value or "") for value in found])
        order = {found: place for place, found in enumerate(slices)}
        return cls(
            columns=view,
            slices=slices,
            place={part: order[found] for part, found in zip(parts, values, strict=True)},
            places=np.array([order[found] for found in values], dtype=np.int64),
            totals=np.zeros((len(slices), len(TOTAL_SUMS)), dtype=np.int64),
            cells=np.zeros((len(slices), len(CELL_SUMS), grid.FINE_BINS), dtype=np.int64),
            latency=np.zeros((len(slices), 1, LATENCY_BUCKETS), dtype=np.int64),
            versions=[{} for _ in slices],
            masks=[{} for _ in slices],
        )

    def add_named(self, totals: _Named, masks: _Named) -> None:
        """Add the totals, and count events by version and mask."""
        at = np.array([self.place[part] for part in totals.slices], dtype=np.int64)
        np.add.at(self.totals, at, totals.sums.T)
        for place, (version,), n in zip(at.tolist(), totals.names, totals.sums[_EVENTS].tolist(), strict=True):
            self.versions[place][version] = self.versions[place].get(version, 0) + n
        for part, (version, mask), n in zip(masks.slices, masks.names, masks.sums[0].tolist(), strict=True):
            if part in self.place:
                counts = self.masks[self.place[part]]
                counts[version, mask] = counts.get((version, mask), 0) + n

    def add_coded(self, fact: Fact, place: Ints, code: Ints, sums: Sequence[Ints]) -> None:
        """Add rows of cells or latency."""
        target = self.cells if fact is CELLS else self.latency
        _, width, codes = target.shape
        at, flat = self.places[place] * (width * codes) + code, target.reshape(-1)
        for i, values in enumerate(sums):
            np.add.at(flat, at + i * codes, values)

    def snapshots(self) -> Iterator[tuple[SliceKey, Snapshot]]:
        """Yield the snapshots in the order of their values; they share arrays, which can no longer be written to."""
        for array in (self.totals, self.cells, self.latency):
            array.flags.writeable = False
        for place, values in enumerate(self.slices):
            yield (
                (self.columns, values),
                Snapshot(
                    self.totals[place],
                    self.cells[place],
                    self.latency[place, 0],
                    {name: n for name, n in sorted(self.masks[place].items()) if n},
                    {name: n for name, n in sorted(self.versions[place].items()) if n},
                ),
            )


def _size(sums: Sequence[Ints] | Ints) -> float:
    """Return a bound on every sum of these rows, whichever of them are added."""
    return max((float(np.abs(values.astype(np.float64)).sum()) for values in sums), default=0.0)
