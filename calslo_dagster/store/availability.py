"""Availability: how well a target was kept over a period, what is left of its budget, and the mean times."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from calslo_dagster.slo.availability import Promise, Tally
from calslo_dagster.slo.budget import Budget
from calslo_dagster.slo.model import EVERYTHING
from calslo_dagster.slo.reliability import MeanTime, Reliability
from calslo_dagster.store import rows as stored
from calslo_dagster.store.schema import availability

_MEANS = ("mttr", "mttf", "mtbf")


@dataclass(frozen=True, slots=True)
class AvailabilityRow:
    """The period of `period_days` that ends at `as_of`; `burn` describes the burn rates that fire, as JSON."""

    slo: str
    slice: str
    period_days: int
    as_of: datetime
    target: float
    tally: Tally
    budget: Budget
    reliability: Reliability
    burn: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class BudgetRow:
    """The error budget of one slice over a period, in windows; `burn` describes the burn rates that fire, as JSON."""

    slice: str
    as_of: datetime
    coverage: float | None
    observed: float | None
    budget_allowed: int
    budget_used: int
    budget_left: int
    burn: tuple[Mapping[str, Any], ...] = ()


def put(session: Session, found: Iterable[AvailabilityRow]) -> None:
    """Record the rows, or overwrite those of the same SLO, slice, period and instant."""
    stored.upsert(session, availability, [_record(row) for row in found])


def add(session: Session, found: Iterable[AvailabilityRow]) -> None:
    """Record rows as of an instant that the SLO has no rows of, which takes a third of the time of `put`."""
    stored.insert(session, availability, [_record(row) for row in found])


def is_current(session: Session, slo: str, as_of: datetime) -> bool:
    """Whether the SLO's availability as of this instant is on record."""
    series, table = _series(slo), availability.c
    found = sa.select(table.slo).join_from(series, availability, _of(series, slo)).where(table.as_of == as_of)
    return session.scalar(found.limit(1)) is not None


def latest(session: Session, *, slo: str | None = None, period_days: int | None = None) -> tuple[AvailabilityRow, ...]:
    """Return the newest row of each SLO, slice and period, in that order."""
    names = [slo] if slo else _slos(session)
    return tuple(row for name in names for row in _loaded(session, _newest(name), None, period_days))


def budgets(session: Session, slo: str, period_days: int) -> tuple[BudgetRow, ...]:
    """Return what is left of the budget of each slice, by slice: the newest row, without its mean times."""
    table = availability.c
    columns = [table[field.name] for field in fields(BudgetRow)]
    wanted = _newest(slo).where(table.period_days == period_days).with_only_columns(*columns)
    return stored.load(session, wanted.order_by(table.slice), BudgetRow, burn=tuple)


def last_as_of(session: Session, slo: str, period_days: int) -> datetime | None:
    """Return the instant of the newest row of everything, which every slice shares; None without any."""
    table = availability.c
    wanted = (table.slo == slo, table.slice == EVERYTHING, table.period_days == period_days)
    newest: datetime | None = session.scalar(sa.select(sa.func.max(table.as_of)).where(*wanted))
    return newest


def tightest(session: Session, most: int) -> tuple[tuple[AvailabilityRow, ...], int]:
    """Return those of the newest rows whose budgets have the least left at worst, and how many rows there are in all.

    Of a thousand slices only few are looked at, so only these are built.
    """
    table, found, total = availability.c, list[AvailabilityRow](), 0
    order = (table.budget_left - table.unknown, table.slice, table.period_days)
    for name in _slos(session):
        counted = _newest(name).add_columns(sa.func.count().over().label("rows")).order_by(*order).limit(most)
        rows = session.execute(counted).all()
        found += [_row(row._mapping) for row in rows]
        total += rows[0]._mapping["rows"] if rows else 0
    return tuple(sorted(found, key=lambda row: row.budget.left_at_worst)[:most]), total


def burning(session: Session) -> tuple[AvailabilityRow, ...]:
    """Return the newest rows in which a budget burns too fast, one per SLO and slice, over the shortest period."""
    found: list[AvailabilityRow] = []
    for slo in _slos(session):
        last = session.scalar(sa.select(sa.func.max(_newest(slo).subquery().c.as_of)))
        burns = sa.cast(availability.c.burn, sa.Text()) != "[]"
        found += _loaded(session, _newest(slo).where(burns, availability.c.as_of == last), None, None)
    return tuple({(row.slo, row.slice): row for row in sorted(found, key=lambda row: -row.period_days)}.values())


def forget(session: Session, slo: str) -> None:
    """Delete the SLO's rows, because measurements that they rest on have changed."""
    session.execute(sa.delete(availability).where(availability.c.slo == slo))


def history(
    session: Session, *, since: datetime, slo: str | None = None, period_days: int | None = None
) -> tuple[AvailabilityRow, ...]:
    """Return the rows as of `since` and later, by SLO, slice, period and instant."""
    return _loaded(session, sa.select(availability).where(availability.c.as_of >= since), slo, period_days)


def prune(session: Session, before: datetime) -> int:
    """Delete the rows as of an earlier instant; return how many they were."""
    return session.connection().execute(sa.delete(availability).where(availability.c.as_of < before)).rowcount


def _slos(session: Session) -> list[str]:
    """Return the SLOs that have rows; each takes one look into the key, however many rows there are."""
    first = sa.select(sa.func.min(availability.c.slo))
    names, name = [], session.scalar(first)
    while name is not None:
        names.append(name)
        name = session.scalar(first.where(availability.c.slo > name))
    return names


def _newest(slo: str) -> sa.Select[Any]:
    """Return the SELECT of the newest row of each slice and period of the SLO."""
    series, older = _series(slo), availability.alias()
    same = (older.c.slo == slo, older.c.slice == series.c.slice, older.c.period_days == series.c.period_days)
    last = sa.select(sa.func.max(older.c.as_of)).where(*same).scalar_subquery()
    joined = sa.select(availability).join_from(series, availability, _of(series, slo))
    return joined.where(availability.c.as_of == last)


def _series(slo: str) -> sa.CTE:
    """Return the slices and periods of the SLO, the last one without a period.

    Each step takes one look into the key, so that neither DISTINCT nor GROUP BY goes through the history, which grows
    by a million rows a day for a thousand slices.
    """
    table = availability.c

    def least(column: sa.Column[Any], *wanted: sa.ColumnElement[bool]) -> sa.ScalarSelect[Any]:
        return sa.select(sa.func.min(column)).where(table.slo == slo, *wanted).scalar_subquery()

    slices = sa.select(least(table.slice).label("slice")).cte("slices_of", recursive=True)
    following = least(table.slice, table.slice > slices.c.slice)
    slices = slices.union_all(sa.select(following).where(slices.c.slice.is_not(None)))
    first = least(table.period_days, table.slice == slices.c.slice).label("period_days")
    series = sa.select(slices.c.slice, first).where(slices.c.slice.is_not(None)).cte("series_of", recursive=True)
    following = least(table.period_days, table.slice == series.c.slice, table.period_days > series.c.period_days)
    return series.union_all(sa.select(series.c.slice, following).where(series.c.period_days.is_not(None)))


def _of(series: sa.CTE, slo: str) -> sa.ColumnElement[bool]:
    """Return the condition that a row is of one of the slices and periods."""
    table = availability.c
    return sa.and_(table.slo == slo, table.slice == series.c.slice, table.period_days == series.c.period_days)


def _record(row: AvailabilityRow) -> dict[str, Any]:
    tally, budget = row.tally, row.budget
    means = {name: getattr(row.reliability, name) for name in _MEANS}
    return {
        "slo": row.slo,
        "slice": row.slice,
        "period_days": row.period_days,
        "as_of": row.as_of,
        "target": row.target,
        "good": tally.good,
        "bad": tally.bad,
        "unknown": tally.unknown,
        "excluded": tally.excluded,
        "expected": tally.expected,
        "coverage": tally.coverage,
        "low": tally.low,
        "high": tally.high,
        "observed": tally.observed,
        "up_share": row.reliability.availability,
        "budget_allowed": budget.allowed,
        "budget_used": budget.used,
        "budget_left": budget.left,
        **{f"{name}_seconds": _seconds(mean.value) for name, mean in means.items()},
        **{f"{name}_low_seconds": _seconds(mean.low) for name, mean in means.items()},
        **{f"{name}_high_seconds": _seconds(mean.high) for name, mean in means.items()},
        **{f"{name}_censored": mean.is_censored for name, mean in means.items()},
        "verdict": budget.promise.value,
        "burn": list(row.burn),
    }


def _loaded(
    session: Session, wanted: sa.Select[Any], slo: str | None, period_days: int | None
) -> tuple[AvailabilityRow, ...]:
    table = availability.c
    wanted = wanted.where(table.slo == slo) if slo else wanted
    wanted = wanted.where(table.period_days == period_days) if period_days else wanted
    ordered = wanted.order_by(table.slo, table.slice, table.period_days, table.as_of)
    return tuple(_row(row._mapping) for row in session.execute(ordered))


def _row(row: Mapping[Any, Any]) -> AvailabilityRow:
    return AvailabilityRow(
        slo=row["slo"],
        slice=row["slice"],
        period_days=row["period_days"],
        as_of=row["as_of"],
        target=row["target"],
        tally=Tally(row["good"], row["bad"], row["unknown"], row["excluded"]),
        budget=Budget(row["budget_allowed"], row["budget_used"], row["unknown"], Promise(row["verdict"])),
        reliability=Reliability(_mean(row, "mttr"), _mean(row, "mttf"), _mean(row, "mtbf"), row["up_share"]),
        burn=tuple(row["burn"]),
    )


def _mean(row: Mapping[Any, Any], name: str) -> MeanTime:
    value, low, high = (_span(row[f"{name}{part}_seconds"]) for part in ("", "_low", "_high"))
    return MeanTime(value, low, high, is_censored=row[f"{name}_censored"])


def _seconds(span: timedelta | None) -> float | None:
    return None if span is None else span.total_seconds()


def _span(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)
