"""Distances between the scores of two weeks: one row per week, slice and kind of distance."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from calslo_dagster.store import rows as stored
from calslo_dagster.store.schema import drift_distances


@dataclass(frozen=True, slots=True)
class DistanceRow:
    """How far the scores of a slice moved in the week that ended at `week_end`, against the week before.

    floor: the mean of the distance when nothing moved; p_value: how often chance alone yields as much; events: of the
    smaller week; reading: the customary one, in words.
    """

    week_end: datetime
    slice: str
    name: str
    value: float
    floor: float
    p_value: float
    events: int
    reading: str


def replace(session: Session, week_end: datetime, found: Iterable[DistanceRow]) -> None:
    """Make these the distances of the week."""
    session.execute(sa.delete(drift_distances).where(drift_distances.c.week_end == week_end))
    stored.insert(session, drift_distances, stored.records(drift_distances, found))


def of_week(session: Session, week_end: datetime) -> tuple[DistanceRow, ...]:
    """Return the distances of a week, by slice and name."""
    table = drift_distances
    wanted = sa.select(table).where(table.c.week_end == week_end).order_by(table.c.slice, table.c.name)
    return stored.load(session, wanted, DistanceRow)


def prune(session: Session, before: datetime) -> int:
    """Delete the distances of weeks that ended earlier; return how many rows that were."""
    table = drift_distances
    return session.connection().execute(sa.delete(table).where(table.c.week_end < before)).rowcount
