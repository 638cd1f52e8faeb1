"""Trends: one row per SLO, day, slice and quantity."""

from collections.abc import Iterable
from datetime import date

import sqlalchemy as sa
from sqlalchemy.orm import Session

from calslo_dagster.slo.slice_trends import Quantity, SliceTrend
from calslo_dagster.stats.trend import Direction
from calslo_dagster.store import rows as stored
from calslo_dagster.store.schema import trends


def replace(session: Session, slo: str, day: date, found: Iterable[SliceTrend]) -> None:
    """Make these the trends of the SLO as of the day."""
    found = list(found)
    if strays := [row for row in found if (row.slo, row.day) != (slo, day)]:
        raise ValueError(f"{len(strays)} rows are not of {slo} on {day}, first of {strays[0].slo} on {strays[0].day}")
    session.execute(sa.delete(trends).where(trends.c.slo == slo, trends.c.day == day))
    stored.insert(session, trends, stored.records(trends, found))


def of_day(session: Session, slo: str, day: date) -> tuple[SliceTrend, ...]:
    """Return the trends as of the day, by slice and quantity."""
    return _loaded(session, sa.select(trends).where(trends.c.slo == slo, trends.c.day == day))


def latest(session: Session, slo: str, *, until: date | None = None) -> tuple[SliceTrend, ...]:
    """Return the trends as of the last day that has any, none later than `until`, by slice and quantity."""
    days = sa.select(sa.func.max(trends.c.day)).where(trends.c.slo == slo)
    newest = days if until is None else days.where(trends.c.day <= until)
    return _loaded(session, sa.select(trends).where(trends.c.slo == slo, trends.c.day == newest.scalar_subquery()))


def history(session: Session, slo: str, slice_name: str, *, since: date) -> tuple[SliceTrend, ...]:
    """Return the trends of one slice as of `since` and later days, oldest first."""
    same = (trends.c.slo == slo, trends.c.slice == slice_name, trends.c.day >= since)
    return _loaded(session, sa.select(trends).where(*same))


def prune(session: Session, before: date) -> int:
    """Delete the trends of earlier days; return how many rows that were."""
    return session.connection().execute(sa.delete(trends).where(trends.c.day < before)).rowcount


def _loaded(session: Session, wanted: sa.Select[tuple[object, ...]]) -> tuple[SliceTrend, ...]:
    ordered = wanted.order_by(trends.c.day, trends.c.slice, trends.c.quantity)
    return stored.load(session, ordered, SliceTrend, direction=Direction, quantity=Quantity)
