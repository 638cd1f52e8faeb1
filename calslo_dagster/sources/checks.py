"""The one check of a unit: a pass over its rows that counts hours, bad times and values that cannot be read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import duckdb

from calslo_dagster.engine.facts import HOUR_US
from calslo_dagster.errors import SourceError
from calslo_dagster.sources import complaints
from calslo_dagster.sources.base import BAD_TIME, FeedSpec, Intake, LabelSpec, Unit
from calslo_dagster.sources.canonical import readings
from calslo_dagster.sources.reading import Reading, Scan

_AHEAD = 5  # hour, rows, timed rows, first and last time come before the counts of each column


@dataclass(frozen=True, slots=True)
class Checked:
    """What the pass counted; `seen` has the non-null values of each role."""

    rows: int = 0
    hours: Mapping[int, int] = field(default_factory=dict)
    bad_times: int = 0
    first_us: int | None = None
    last_us: int | None = None
    seen: Mapping[str, int] = field(default_factory=dict)

    def intake(self, unit: Unit) -> Intake:
        """Return the intake of a unit in which nothing is wrong."""
        rejected = {BAD_TIME: self.bad_times} if self.bad_times else {}
        columns = tuple(name for name, count in self.seen.items() if count)
        return Intake(unit, self.rows, self.hours, rejected, self.first_us, self.last_us, columns)


def check(connection: duckdb.DuckDBPyConnection, scan: Scan, spec: FeedSpec, *, where: str, now: datetime) -> Checked:
    """Read every mapped column once and count; raise SourceError on the first thing that makes the unit unusable."""
    columns = readings(scan, spec, where)
    faults = [r for r in columns if r.fault]
    present = [r for r in columns if r.column]
    found = connection.execute(_counting(columns, faults, present, spec=spec, scan=scan, now=now)).fetchall()
    faulty = [sum(row[_AHEAD + i] for row in found) for i in range(len(faults))]
    for reading, count in zip(faults, faulty, strict=True):
        if count:
            row, value = first_fault(scan, reading)
            raise SourceError(complaints.bad_value(where, reading.role, row=row, value=value))
    seen = [sum(row[_AHEAD + len(faults) + i] for row in found) for i in range(len(present))]
    good = [row for row in found if row[0] is not None]
    # A label feed need not tell the time of the event, so a null there is no bad time.
    timed = 2 if isinstance(spec, LabelSpec) else 1
    return Checked(
        rows=sum(row[1] for row in found),
        hours={row[0]: row[1] for row in sorted(good)},
        bad_times=sum(row[timed] for row in found if row[0] is None),
        first_us=min((row[3] for row in good), default=None),
        last_us=max((row[4] for row in good), default=None),
        seen={r.role.name: n for r, n in zip(present, seen, strict=True)},
    )


def first_fault(scan: Scan, reading: Reading) -> tuple[int, str]:
    """Return row, counted from 1, and text of the first value of the reading that cannot be read."""
    raw = reading.column.sql if reading.column else "NULL"
    numbered = f"SELECT row_number() OVER () AS n, {raw} AS value, {reading.fault} AS bad FROM {scan.source}"
    # The caller's connection may read rows in any order; this one reads them as they stand in the file.
    with duckdb.connect(config={"threads": 1}) as ordered:
        ordered.execute("SET TimeZone = 'UTC'")
        found = ordered.execute(f"SELECT n, CAST(value AS VARCHAR) FROM ({numbered}) WHERE bad ORDER BY n LIMIT 1")
        row, value = found.fetchall()[0]
    return int(row), str(value)


def _counting(
    columns: tuple[Reading, ...],
    faults: list[Reading],
    present: list[Reading],
    *,
    spec: FeedSpec,
    scan: Scan,
    now: datetime,
) -> str:
    time = next(r for r in columns if r.role.name == "event_time")
    low, high = spec.bounds_us(now)
    inner = [f"{time.value} AS t", f"{time.column.sql if time.column else 'NULL'} AS raw"]
    inner += [f"{r.fault} AS f{i}" for i, r in enumerate(faults)]
    # The values, not the columns: of a column alone only the nulls would be read, and damage would stay unseen. A
    # column that may have a fault is read to look for it, and its values would be errors.
    inner += [f"{r.column.sql if r.fault and r.column else r.value} AS c{i}" for i, r in enumerate(present)]
    counts = [f"count(*) FILTER (WHERE f{i})" for i in range(len(faults))] + [
        f"count(c{i})" for i in range(len(present))
    ]
    hour = f"CASE WHEN t >= {low} AND t < {high} THEN t // {HOUR_US} * {HOUR_US} END"
    outer = [f"{hour} AS hour", "count(*)", "count(raw)", "min(t)", "max(t)", *counts]
    return f"SELECT {', '.join(outer)} FROM (SELECT {', '.join(inner)} FROM {scan.source}) GROUP BY 1"
