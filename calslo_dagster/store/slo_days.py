"""Verdicts counted per day: what budgets and availability add up instead of single measurements."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from calslo_dagster.slo.model import Verdict
from calslo_dagster.slo.windows import day_of, day_span
from calslo_dagster.store import rows as stored
from calslo_dagster.store.schema import measurements, slo_days


@dataclass(frozen=True, slots=True)
class DayCounts:
    """Final windows of one day by verdict; `provisional` ones are in none of the other counts."""

    slo: str
    day: date
    slice: str
    model: str
    meeting: int
    warning: int
    breached: int
    unknown: int
    error: int
    excluded: int
    provisional: int


def recount(session: Session, slo: str, *, start: datetime, end: datetime) -> None:
    """Count the SLO's measurements of every day that has window ends in (start, end] anew."""
    first, last = day_of(start + timedelta(microseconds=1)), day_of(end)
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    session.execute(sa.delete(slo_days).where(slo_days.c.slo == slo, slo_days.c.day.between(first, last)))
    for day in days:
        counts = _counts(slo, day)
        session.execute(sa.insert(slo_days).from_select(list(counts.selected_columns.keys()), counts))


def _counts(slo: str, day: date) -> sa.Select[tuple[object, ...]]:
    table, span = measurements.c, day_span(day)
    verdicts = [
        sa.func.sum(sa.case((sa.and_(table.is_final, table.verdict == verdict.value), 1), else_=0)).label(verdict.value)
        for verdict in Verdict
    ]
    provisional = sa.func.sum(sa.case((table.is_final, 0), else_=1)).label("provisional")
    named = (table.slo, sa.literal(day, sa.Date()).label("day"), table.slice, table.model)
    return (
        sa.select(*named, *verdicts, provisional)
        .where(table.slo == slo, table.window_end > span.start, table.window_end <= span.end)
        .group_by(table.slo, table.slice, table.model)
    )


def between(session: Session, slo: str, *, first: date, last: date) -> tuple[DayCounts, ...]:
    """Return the SLO's counts of the days from `first` to `last`, both included, by day, slice and model."""
    table = slo_days.c
    wanted = sa.select(slo_days).where(table.slo == slo, table.day.between(first, last))
    return stored.load(session, wanted.order_by(table.day, table.slice, table.model), DayCounts)


def added(session: Session, slo: str, *, first: date, last: date) -> dict[str, dict[Verdict, int]]:
    """Return, for each slice, how many final windows of the days have each verdict."""
    table = slo_days.c
    sums = [sa.func.sum(table[verdict.value]) for verdict in Verdict]
    wanted = sa.select(table.slice, *sums).where(table.slo == slo, table.day.between(first, last))
    return {
        name: {verdict: int(windows) for verdict, windows in zip(Verdict, counted, strict=True)}
        for name, *counted in session.execute(wanted.group_by(table.slice))
    }
