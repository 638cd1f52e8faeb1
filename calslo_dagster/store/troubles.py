"""Troubles of our own that go on: a standstill, a failed job, a channel that does not take messages."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from calslo_dagster.alerting.rules import DELIVERY
from calslo_dagster.slo.model import Severity
from calslo_dagster.store import rows as stored
from calslo_dagster.store.schema import troubles

LONGEST_REASON: Final = 500


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong with one component of ours, since when, and what it rests on (a run, a message)."""

    component: str
    severity: Severity
    since: datetime
    reason: str
    source_id: str = ""


def delivery_to(channel: str) -> str:
    """Return the component that delivers to a channel."""
    return f"{DELIVERY}{channel}"


def put(session: Session, found: Trouble) -> None:
    """Note the trouble; one of the same component that goes on keeps its beginning."""
    record = {
        "component": found.component,
        "severity": str(found.severity),
        "since": found.since,
        "reason": found.reason[:LONGEST_REASON],
        "source_id": found.source_id,
    }
    stored.insert_new(session, troubles, [record])
    changed = {name: record[name] for name in ("severity", "reason", "source_id")}
    session.execute(sa.update(troubles).where(troubles.c.component == found.component).values(changed))


def clear(session: Session, components: Iterable[str]) -> None:
    """Note that the components work again."""
    session.execute(sa.delete(troubles).where(troubles.c.component.in_(list(components))))


def open_ones(session: Session) -> tuple[Trouble, ...]:
    """Return the troubles that go on, by component."""
    return stored.load(session, sa.select(troubles).order_by(troubles.c.component), Trouble, severity=Severity)
