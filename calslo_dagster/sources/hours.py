"""The hours of a table as units: one grouping query, whose groups are put into hours by the reading that rows get."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import duckdb
import pyarrow as pa
import sqlalchemy as sa

from calslo_dagster.engine.facts import HOUR_US
from calslo_dagster.errors import SourceError
from calslo_dagster.slo.windows import EPOCH
from calslo_dagster.sources import complaints
from calslo_dagster.sources.base import FeedSpec, Span, Unit
from calslo_dagster.sources.extracts import as_text
from calslo_dagster.sources.layouts import Layout
from calslo_dagster.sources.reading import Column, Scan, read
from calslo_dagster.sources.roles import Role
from calslo_dagster.sources.tables import LATEST_US, Clock, Element, Storage

EVERYTHING: Final = "all"
UNDATED: Final = "undated"
# Beyond so many kinds of unreadable times the whole table is looked through instead.
_MOST_KEYS: Final = 500


@dataclass(slots=True)
class _Bundle:
    """The groups that make up one unit."""

    states: list[str] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)


def list_hours(connection: sa.Connection, layout: Layout, spec: FeedSpec, window: Span | None) -> list[Unit]:
    """Return the hours of the window that have rows, and last the rows without a usable time, if there are any."""
    state = [sa.func.count(), _count(layout, spec.columns.label), _last(layout, spec.cursor)]
    if layout.clock is None or layout.time is None:
        found = connection.execute(sa.select(*state).select_from(layout.table)).one()
        return [Unit(EVERYTHING, _digest(EVERYTHING, [_state(found)]))] if found[0] else []
    low, high = _bounds(spec)
    text, groups = layout.clock.text(), layout.clock.groups()
    query = sa.select(sa.func.min(text), sa.func.max(text), *state).select_from(layout.table).group_by(*groups)
    if window is not None:
        query = query.where(sa.or_(layout.clock.between(*window), layout.clock.outside(low, high)))
    rows = connection.execute(query).all()
    samples = [(as_text(row[0]), as_text(row[1])) for row in rows]
    bundles: dict[int | None, _Bundle] = {}
    for row, sample, time in zip(rows, samples, _times(samples, layout.time, spec, layout.where), strict=True):
        is_dated = time is not None and low <= time < high
        hour = time // HOUR_US * HOUR_US if time is not None and is_dated else None
        bundle = bundles.setdefault(hour, _Bundle())
        bundle.states.append(_state(row))
        if time is None or is_dated:
            # Digits of an hour, `2026-03-01T12`; of an unreadable time as many as it was grouped by.
            bundle.keys.update(text[: 16 if hour is None else 13] for text in sample if text)
    units = [_unit(hour, bundle, layout.clock) for hour, bundle in bundles.items() if _is_in(hour, window)]
    return sorted(units, key=lambda unit: unit.name)


def condition(layout: Layout, unit: Unit, spec: FeedSpec) -> Element:
    """Return a condition that holds for every row of the unit, and maybe for others."""
    clock = layout.clock
    if clock is None or unit.name == EVERYTHING:
        return sa.true()
    if unit.hour_us is None:
        return sa.true() if len(unit.keys) > _MOST_KEYS else clock.undated(*_bounds(spec), unit.keys)
    if clock.storage is Storage.TEXT:
        return clock.beginning(unit.keys)
    return clock.between(unit.hour_us, unit.hour_us + HOUR_US)


def belongs(time: str, unit: Unit, spec: FeedSpec) -> str:
    """Return the DuckDB test that an extracted row is of the unit, given the SQL of its time."""
    if unit.name == EVERYTHING:
        return "true"
    if unit.hour_us is None:
        low, high = _bounds(spec)
        return f"({time}) IS NULL OR ({time}) < {low} OR ({time}) >= {high}"
    # What was grouped with this hour but cannot be read is counted here, or it would be counted nowhere.
    return f"({time}) IS NULL OR ({time}) >= {unit.hour_us} AND ({time}) < {unit.hour_us + HOUR_US}"


def _bounds(spec: FeedSpec) -> Span:
    """Return the span of good times; without a latest one it ends with the calendar."""
    low, high = spec.bounds_us()
    return low, LATEST_US if high is None else high


def _times(
    samples: Sequence[tuple[str | None, str | None]], role: Role, spec: FeedSpec, where: str
) -> list[int | None]:
    """Return the time of each group, from its first or last row; raise SourceError for one that must be refused."""
    names = ("low", "high")
    readings = [read(role, Scan("samples AS f", {role.column: Column(f"f.{name}")}), spec, where) for name in names]
    faults = [f"coalesce({r.fault or 'false'}, false)" for r in readings]
    columns = [pa.array([sample[i] for sample in samples], pa.string()) for i in range(2)]
    table = pa.table([pa.array(range(len(samples)), pa.int64()), *columns], ["n", *names])
    values = f"coalesce({readings[0].value}, {readings[1].value})"
    refused = f"CASE WHEN {faults[0]} THEN f.low WHEN {faults[1]} THEN f.high END"
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.register("samples", table)
        found = connection.execute(f"SELECT {values}, {refused} FROM samples AS f ORDER BY n").fetchall()
    refusals = [row[1] for row in found if row[1] is not None]
    if refusals:
        raise SourceError(complaints.bad_value(where, role, value=min(refusals)))
    return [row[0] for row in found]


def _unit(hour: int | None, bundle: _Bundle, clock: Clock) -> Unit:
    name = UNDATED if hour is None else f"{EPOCH + timedelta(microseconds=hour):%Y-%m-%dT%H}"
    keys = tuple(sorted(bundle.keys)) if clock.storage is Storage.TEXT else ()
    return Unit(name, _digest(name, bundle.states), hour_us=hour, keys=keys)


def _is_in(hour: int | None, window: Span | None) -> bool:
    return hour is None or window is None or (window[0] < hour + HOUR_US and hour < window[1])


def _count(layout: Layout, column: str) -> Element:
    return sa.func.count(layout.table.c[column]) if column in layout.types else sa.literal(0)


def _last(layout: Layout, column: str) -> Element:
    return sa.cast(sa.func.max(layout.table.c[column]), sa.Text) if column else sa.null()


def _state(row: sa.Row[Any]) -> str:
    """Return what is seen of a group's content: rows, labels, and the last value of the cursor."""
    return ":".join(str(value) for value in row[-3:])


def _digest(name: str, states: Sequence[str]) -> str:
    # The name is part of it, because two hours with as many rows are not one that was renamed.
    return hashlib.sha256("\n".join([name, *sorted(states)]).encode()).hexdigest()[:32]
