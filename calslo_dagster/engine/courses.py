"""What each slice holds hour by hour: totals, the events of each calibrator version, levels of scores and latency."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
from numpy.typing import NDArray

from calslo_dagster.engine.cube import SliceValues, open_tables
from calslo_dagster.engine.facts import CELLS, HOUR_US, TOTALS, Fact
from calslo_dagster.engine.parquet import identifier
from calslo_dagster.errors import SnapshotError

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Courses:
    """The facts of some partials over a span that begins and ends at full hours."""

    connection: duckdb.DuckDBPyConnection
    partials: Sequence[Path]
    start_us: int
    end_us: int

    @property
    def hours(self) -> int:
        """How many hours the span has."""
        return (self.end_us - self.start_us) // HOUR_US

    def totals(self, view: Sequence[str], sums: Sequence[str]) -> dict[SliceValues, Ints]:
        """Return these sums by slice of the view, each shape (sums, hours); hours without rows are 0."""
        listed = [f"sum({identifier(name)})" for name in sums]
        out: dict[SliceValues, Ints] = {}
        for keys, hour, values in self._rows(TOTALS, view, listed):
            out.setdefault(keys, np.zeros((len(sums), self.hours), dtype=np.int64))[:, hour] = values
        return out

    def versions(self, view: Sequence[str]) -> dict[tuple[SliceValues, str], Ints]:
        """Return the events by slice of the view and calibrator version, each shape (hours,)."""
        out: dict[tuple[SliceValues, str], Ints] = {}
        for keys, hour, (n,) in self._rows(TOTALS, (*view, "version"), ["sum(n)"]):
            at = (keys[:-1], keys[-1] or "")
            out.setdefault(at, np.zeros(self.hours, dtype=np.int64))[hour] = n
        return out

    def levels(self, fact: Fact, view: Sequence[str], *, levels: int, block_hours: int) -> dict[SliceValues, Ints]:
        """Return events by level of score or latency and block of some hours, each shape (levels, blocks).

        The levels of a slice hold about the same share of its events over the whole span: each bin or bucket goes to
        the one that its middle falls into.
        """
        select = self._levels(fact, view, levels, block_hours * HOUR_US)
        out: dict[SliceValues, Ints] = {}
        if not select:
            return out
        blocks = -(-self.hours // block_hours)
        for *keys, block, level, n in self.connection.execute(select).fetchall():
            out.setdefault(tuple(keys), np.zeros((levels, blocks), dtype=np.int64))[level, block] = n
        return out

    def _levels(self, fact: Fact, view: Sequence[str], levels: int, width_us: int) -> str:
        (code,), valid = fact.keys, " AND bin >= 0" if fact is CELLS else ""
        rows = self._select(fact, view, [code, "sum(n)"], width_us=width_us, also=valid, groups=1)
        if not rows:
            return ""
        names = [identifier(name) for name in view]
        listed, over = ", ".join([*names, ""]), f"PARTITION BY {', '.join(names)}" if names else ""
        pooled = f"SELECT {listed}value_0 AS code, sum(value_1) AS n FROM facts GROUP BY {listed}value_0"
        middle = f"sum(n) OVER ({over} ORDER BY code) - n / 2"
        placed = f"least({levels - 1}, floor({levels} * ({middle}) / sum(n) OVER ({over})))"
        same = " AND ".join(f"facts.{name} IS NOT DISTINCT FROM levels.{name}" for name in names) or "true"
        facts = ", ".join([*(f"facts.{name}" for name in names), "block", "level"])
        return (
            f"WITH facts AS ({rows}), pooled AS ({pooled}),"
            f" levels AS (SELECT {listed}code, CAST({placed} AS BIGINT) AS level FROM pooled)"
            f" SELECT {facts}, CAST(sum(value_1) AS BIGINT) FROM facts JOIN levels ON value_0 = code AND {same}"
            f" GROUP BY {facts}"
        )

    def _rows(
        self, fact: Fact, view: Sequence[str], values: Sequence[str]
    ) -> list[tuple[SliceValues, int, tuple[int, ...]]]:
        select = self._select(fact, view, values, width_us=HOUR_US)
        if not select:
            return []
        width = len(view)
        found = self.connection.execute(select).fetchall()
        return [(row[:width], row[width], row[width + 1 :]) for row in found]

    def _select(
        self, fact: Fact, view: Sequence[str], values: Sequence[str], *, width_us: int, also: str = "", groups: int = 0
    ) -> str:
        """Return the SELECT of the slice, the block and the values, of which the first `groups` are keys too."""
        tables = open_tables(self.connection, self.partials)
        if fact.name not in tables.selects:
            return ""
        if tables.resolution_us > HOUR_US:
            raise SnapshotError("these snapshots were rolled up to days, which do not tell one hour from another")
        tables.check_view([name for name in view if name != "version"])
        block = f"CAST((t - {self.start_us}) // {width_us} AS BIGINT) AS block"
        numbers = [f"CAST({value} AS BIGINT) AS value_{i}" for i, value in enumerate(values)]
        columns = [*(identifier(name) for name in view), block, *numbers]
        keys = ", ".join(str(i + 1) for i in range(len(view) + 1 + groups))
        within = f"t >= {self.start_us} AND t < {self.end_us}{also}"
        return f"SELECT {', '.join(columns)} FROM ({tables.selects[fact.name]}) WHERE {within} GROUP BY {keys}"
