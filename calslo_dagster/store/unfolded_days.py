"""Unfolded days: whose measurements have changed since breaches were last tracked."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

import sqlalchemy as sa
from sqlalchemy.orm import Session

from calslo_dagster.store import rows as stored
from calslo_dagster.store.schema import unfolded_days


@dataclass(frozen=True, slots=True)
class UnfoldedDay:
    """A day of an SLO that the breaches do not reflect yet."""

    slo: str
    day: date


def mark(session: Session, slo: str, days: Iterable[date]) -> None:
    """Note that the SLO's measurements of these days have changed."""
    stored.insert_new(session, unfolded_days, [{"slo": slo, "day": day} for day in sorted(set(days))])


def every(session: Session) -> tuple[UnfoldedDay, ...]:
    """Return the days to fold, by SLO and day."""
    wanted = sa.select(unfolded_days).order_by(unfolded_days.c.slo, unfolded_days.c.day)
    return stored.load(session, wanted, UnfoldedDay)


def clear(session: Session, found: Iterable[UnfoldedDay]) -> None:
    """Note that the breaches reflect these days."""
    stored.delete(session, unfolded_days, found)
