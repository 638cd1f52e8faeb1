"""Availability: how well a target was kept over a period, what is left of its budget, and the mean times."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from calslo_dagster.slo.availability import Promise, Tally
from calslo_dagster.slo.budget import Budget
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


def put(session: Session, found: Iterable[AvailabilityRow]) -> None:
    """Record the rows, or overwrite those of the same SLO, slice, period and instant."""
    stored.upsert(session, availability, [_record(row) for row in found])


def is_current(session: Session, slo: str, as_of: datetime) -> bool:
    """Whether the SLO's availability as of this instant is on record."""
    found = sa.select(availability.c.slo).where(availability.c.slo == slo, availability.c.as_of == as_of)
    return session.scalar(found.limit(1)) is not None


def latest(session: Session, *, slo: str | None = None, period_days: int | None = None) -> tuple[AvailabilityRow, ...]:
    """Return the newest row of each SLO, slice and period, in that order."""
    table, names = availability.c, ("slo", "slice", "period_days")
    keys = [table[name] for name in names]
    last = sa.select(*keys, sa.func.max(table.as_of).label("as_of")).group_by(*keys).subquery()
    same = sa.and_(table.as_of == last.c.as_of, *(table[name] == last.c[name] for name in names))
    return _loaded(session, sa.select(availability).join(last, same), slo, period_days)


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
