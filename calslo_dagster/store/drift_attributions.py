"""Causes of week-over-week drift: one row per week, slice, metric and part of the slice."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from calslo_dagster.store import rows as stored
from calslo_dagster.store.schema import drift_attributions


@dataclass(frozen=True, slots=True)
class AttributionRow:
    """What changed a metric of a slice: delta = mix + scores + outcome + coverage.

    part: a finer slice, whose rows sum to the one whose part is the slice itself, or that one; only it knows the metric
    in both weeks. share_current, share_previous: of the part in the weight of the slice's events.
    """

    week_end: datetime
    slice: str
    metric: str
    part: str
    current: float | None
    previous: float | None
    delta: float
    mix: float
    scores: float
    outcome: float
    coverage: float
    share_current: float
    share_previous: float


def replace(session: Session, week_end: datetime, found: Iterable[AttributionRow]) -> None:
    """Make these the causes of the week."""
    session.execute(sa.delete(drift_attributions).where(drift_attributions.c.week_end == week_end))
    stored.insert(session, drift_attributions, stored.records(drift_attributions, found))


def of_week(session: Session, week_end: datetime) -> tuple[AttributionRow, ...]:
    """Return the causes of a week, by slice, metric and part."""
    table = drift_attributions
    wanted = sa.select(table).where(table.c.week_end == week_end).order_by(table.c.slice, table.c.metric, table.c.part)
    return stored.load(session, wanted, AttributionRow)


def prune(session: Session, before: datetime) -> int:
    """Delete the causes of weeks that ended earlier; return how many rows that were."""
    table = drift_attributions
    return session.connection().execute(sa.delete(table).where(table.c.week_end < before)).rowcount
