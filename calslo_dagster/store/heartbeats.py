"""Heartbeats: when each part of ours last showed that it works, and how often it should."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from calslo_dagster.store import rows as stored
from calslo_dagster.store.schema import heartbeats


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The last sign of life of a component, which gives one at least `every` so long."""

    component: str
    last_at: datetime
    every: timedelta

    def is_late(self, now: datetime) -> bool:
        """Whether the component has missed a beat."""
        return now - self.last_at > self.every


def beat(session: Session, component: str, *, now: datetime, every: timedelta) -> None:
    """Note that the component works; an instant earlier than the one on record changes nothing."""
    record = {"component": component, "last_at": now, "every_seconds": every.total_seconds()}
    stored.insert_new(session, heartbeats, [record])
    is_older = sa.and_(heartbeats.c.component == component, heartbeats.c.last_at <= now)
    session.execute(sa.update(heartbeats).where(is_older).values(record))


def every(session: Session) -> tuple[Heartbeat, ...]:
    """Return all heartbeats, by component."""
    found = session.execute(sa.select(heartbeats).order_by(heartbeats.c.component))
    return tuple(Heartbeat(row.component, row.last_at, timedelta(seconds=row.every_seconds)) for row in found)


def late(session: Session, now: datetime) -> tuple[Heartbeat, ...]:
    """Return the heartbeats of those components that have missed one."""
    return tuple(one for one in every(session) if one.is_late(now))


def forget(session: Session, component: str) -> None:
    """Stop expecting a component that is no more."""
    session.execute(sa.delete(heartbeats).where(heartbeats.c.component == component))
