"""Verdicts counted per day: what budgets and availability add up instead of single measurements."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from calslo_dagster.slo.availability import Tally
from calslo_dagster.slo.model import EVERYTHING, JUDGED, Verdict
from calslo_dagster.slo.windows import day_of, day_span
from calslo_dagster.store import rows as stored
from calslo_dagster.store.schema import measurements, slo_days

_COUNTS: Final = (*(verdict.value for verdict in Verdict), "provisional")
# By slice, model and what is counted.
_Counts = Counter[tuple[str, str, str]]


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


@contextmanager
def kept(session: Session, slo: str, *, start: datetime, end: datetime) -> Iterator[None]:
    """Keep the counts true while the SLO's measurements with window ends in (start, end] are replaced.

    Within a day only these are counted, before and after: the day may have a hundred thousand by its end.
    """
    day = day_of(end)
    if start <= day_span(day).start:
        yield
        recount(session, slo, start=start, end=end)
        return
    part = _counts(slo, day, start=start, end=end)
    before = _counted(session, part)
    yield
    after = _counted(session, part)
    if after != before:
        counts = _counted(session, sa.select(slo_days).where(slo_days.c.slo == slo, slo_days.c.day == day))
        counts.update(after)
        counts.subtract(before)
        _put(session, slo, day, counts)


def _counted(session: Session, counts: sa.Select[Any]) -> _Counts:
    found = session.execute(counts).mappings()
    return Counter({(row["slice"], row["model"], name): int(row[name]) for row in found for name in _COUNTS})


def _put(session: Session, slo: str, day: date, counts: _Counts) -> None:
    """Make these the counts of the day."""
    records: dict[tuple[str, str], dict[str, Any]] = {}
    for (name, model, counted), n in counts.items():
        if n:
            empty = {"slo": slo, "day": day, "slice": name, "model": model, **dict.fromkeys(_COUNTS, 0)}
            records.setdefault((name, model), empty)[counted] = n
    session.execute(sa.delete(slo_days).where(slo_days.c.slo == slo, slo_days.c.day == day))
    stored.insert(session, slo_days, list(records.values()))


def recount(session: Session, slo: str, *, start: datetime, end: datetime) -> None:
    """Count the SLO's measurements of every day that has window ends in (start, end] anew."""
    first, last = day_of(start + timedelta(microseconds=1)), day_of(end)
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    session.execute(sa.delete(slo_days).where(slo_days.c.slo == slo, slo_days.c.day.between(first, last)))
    for day in days:
        counts = _counts(slo, day, start=day_span(day).start, end=day_span(day).end)
        session.execute(sa.insert(slo_days).from_select(list(counts.selected_columns.keys()), counts))


def _counts(slo: str, day: date, *, start: datetime, end: datetime) -> sa.Select[tuple[object, ...]]:
    """Return the SELECT that counts the measurements with window ends in (start, end], a part of the day."""
    table = measurements.c
    verdicts = [
        sa.func.sum(sa.case((sa.and_(table.is_final, table.verdict == verdict.value), 1), else_=0)).label(verdict.value)
        for verdict in Verdict
    ]
    provisional = sa.func.sum(sa.case((table.is_final, 0), else_=1)).label("provisional")
    named = (table.slo, sa.literal(day, sa.Date()).label("day"), table.slice, table.model)
    return (
        sa.select(*named, *verdicts, provisional)
        .where(table.slo == slo, table.window_end > start, table.window_end <= end)
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


def bad_windows(session: Session, slo: str, slice_name: str, *, first: date, last: date) -> dict[date, int]:
    """Return how many final windows of the slice were breached on each of the days that it was measured on."""
    table = slo_days.c
    wanted = sa.select(table.day, sa.func.sum(table[Verdict.BREACHED.value])).where(
        table.slo == slo, table.slice == slice_name, table.day.between(first, last)
    )
    return {row[0]: int(row[1]) for row in session.execute(wanted.group_by(table.day))}


def tallies(session: Session, slos: Iterable[str], *, first: date, last: date) -> dict[tuple[str, date], Tally]:
    """Return the final windows of each SLO on each of the days, all slices together."""
    table = slo_days.c
    sums = [sa.func.sum(table[verdict.value]).label(verdict.value) for verdict in Verdict]
    wanted = sa.select(table.slo, table.day, *sums).where(table.slo.in_(list(slos)), table.day.between(first, last))
    found = session.execute(wanted.group_by(table.slo, table.day)).mappings()
    return {
        (row["slo"], row["day"]): Tally.counted({verdict: int(row[verdict.value]) for verdict in Verdict})
        for row in found
    }


def last_judged(session: Session, slo: str, *, first: date, last: date) -> dict[str, date]:
    """Return, for each slice, the last of the days that has a final window that could be judged."""
    table = slo_days.c
    is_judged = sa.or_(*(table[verdict.value] > 0 for verdict in JUDGED))
    wanted = sa.select(table.slice, sa.func.max(table.day).label("day")).where(
        table.slo == slo, table.day.between(first, last), is_judged
    )
    return {row.slice: row.day for row in session.execute(wanted.group_by(table.slice))}


def last_days(session: Session, slo: str, *, first: date, last: date) -> dict[str, dict[Verdict, date]]:
    """Return, for each slice, the last of the days that has a final window of each verdict."""
    table = slo_days.c
    days = [sa.func.max(sa.case((table[verdict.value] > 0, table.day))).label(verdict.value) for verdict in Verdict]
    wanted = sa.select(table.slice, *days).where(table.slo == slo, table.day.between(first, last))
    return {
        name: {verdict: day for verdict, day in zip(Verdict, found, strict=True) if day is not None}
        for name, *found in session.execute(wanted.group_by(table.slice))
    }


def present(session: Session, slo: str, *, first: date, last: date) -> frozenset[str]:
    """Return the slices that were measured on any of the days, whatever the verdicts."""
    table = slo_days.c
    wanted = sa.select(table.slice).where(table.slo == slo, table.day.between(first, last))
    return frozenset(session.scalars(wanted.distinct()))


def last_models(
    session: Session, slos: Iterable[str], names: Iterable[str], *, first: date, last: date
) -> dict[str, str]:
    """Return the one model of each of these slices on the last of the days that tells of any, whatever the SLO."""
    table, wanted = slo_days.c, list(names)
    if not wanted:
        return {}
    found = sa.select(table.slice, table.day, table.model).where(
        table.slo.in_(list(slos)), table.day.between(first, last), table.slice.in_(wanted)
    )
    named = found.where(table.model.not_in(["", EVERYTHING])).distinct().order_by(table.day)
    by_day: dict[tuple[str, date], set[str]] = {}
    for name, day, model in session.execute(named):
        by_day.setdefault((name, day), set()).add(model)
    latest = {name: models for (name, _), models in by_day.items()}
    return {name: next(iter(models)) for name, models in latest.items() if len(models) == 1}
