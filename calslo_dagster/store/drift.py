"""Week-over-week drift: one row per week, slice and metric."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from calslo_dagster.slo.model import Verdict
from calslo_dagster.store import rows as stored
from calslo_dagster.store.schema import drift


@dataclass(frozen=True, slots=True)
class DriftRow:
    """How one metric of one slice changed in the week that ended at `week_end`, against the week before.

    se, low, high: standard error and interval of `delta`, which is current minus previous; p_value: of a change within
    the limit, q_value: the same among the slices of its view; events_needed: how many events would decide what is
    unknown.
    """

    week_end: datetime
    slice: str
    metric: str
    current: float | None
    previous: float | None
    delta: float | None
    se: float | None
    low: float | None
    high: float | None
    events_current: int
    events_previous: int
    limit: float | None
    verdict: Verdict
    reason: str
    p_value: float | None = None
    q_value: float | None = None
    events_needed: int | None = None


def replace(session: Session, week_end: datetime, found: Iterable[DriftRow]) -> None:
    """Make these the drift of the week."""
    found = list(found)
    if strays := [row for row in found if row.week_end != week_end]:
        raise ValueError(f"{len(strays)} rows are not of the week that ends {week_end}, first {strays[0].week_end}")
    session.execute(sa.delete(drift).where(drift.c.week_end == week_end))
    stored.insert(session, drift, stored.records(drift, found))


def of_week(session: Session, week_end: datetime) -> tuple[DriftRow, ...]:
    """Return the drift of a week, by slice and metric."""
    return _loaded(session, sa.select(drift).where(drift.c.week_end == week_end))


def history(session: Session, *, since: datetime, slice_name: str | None = None) -> tuple[DriftRow, ...]:
    """Return the drift of the weeks that ended at `since` or later, by week, slice and metric."""
    wanted = sa.select(drift).where(drift.c.week_end >= since)
    return _loaded(session, wanted.where(drift.c.slice == slice_name) if slice_name else wanted)


def last_week(session: Session) -> datetime | None:
    """Return the end of the last week with a drift report, None if there is none."""
    return session.scalar(sa.select(drift.c.week_end).order_by(drift.c.week_end.desc()).limit(1))


def prune(session: Session, before: datetime) -> int:
    """Delete the drift of weeks that ended earlier; return how many rows that were."""
    return session.connection().execute(sa.delete(drift).where(drift.c.week_end < before)).rowcount


def _loaded(session: Session, wanted: sa.Select[tuple[object, ...]]) -> tuple[DriftRow, ...]:
    ordered = wanted.order_by(drift.c.week_end, drift.c.slice, drift.c.metric)
    return stored.load(session, ordered, DriftRow, verdict=Verdict)
