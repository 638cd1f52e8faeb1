"""The outbox: messages that must go out once, with what became of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from calslo_dagster.store import rows as stored
from calslo_dagster.store.schema import outbox


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message to send: `key` is the same whenever the same thing is to be told."""

    key: str
    kind: str
    payload: Mapping[str, Any]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Message:
    """A message in the outbox; `channel` is where it went, `last_error` why the last attempt failed."""

    id: int
    key: str
    kind: str
    payload: Mapping[str, Any]
    created_at: datetime
    sent_at: datetime | None
    channel: str | None
    attempts: int
    last_error: str | None


def add(session: Session, found: Iterable[NewMessage]) -> int:
    """Put the messages in the outbox unless their key was there before; return how many are new."""
    counted = sa.select(sa.func.count()).select_from(outbox)
    before = session.scalar(counted) or 0
    stored.insert_new(session, outbox, [record | {"attempts": 0} for record in stored.records(outbox, found)])
    return (session.scalar(counted) or 0) - before


def unsent(session: Session, limit: int = 100) -> tuple[Message, ...]:
    """Return the oldest messages that have not been sent."""
    wanted = sa.select(outbox).where(outbox.c.sent_at.is_(None)).order_by(outbox.c.id).limit(limit)
    return stored.load(session, wanted, Message)


def keys(session: Session) -> frozenset[str]:
    """Return the key of every message, sent or not."""
    return frozenset(session.scalars(sa.select(outbox.c.key)))


def of_kind(session: Session, kind: str, *, since: datetime) -> tuple[Message, ...]:
    """Return the messages of a kind that were created at `since` or later, oldest first."""
    wanted = sa.select(outbox).where(outbox.c.kind == kind, outbox.c.created_at >= since)
    return stored.load(session, wanted.order_by(outbox.c.id), Message)


def begin(session: Session, message_id: int, *, channel: str) -> None:
    """Note that an attempt begins, before anything is sent: what is cut short then counts as an attempt."""
    _note(session, message_id, channel=channel, attempts=outbox.c.attempts + 1)


def mark_sent(session: Session, message_id: int, *, at: datetime) -> None:
    """Note that the message went out."""
    _note(session, message_id, sent_at=at, last_error=None)


def mark_failed(session: Session, message_id: int, *, error: str) -> None:
    """Note why the attempt failed; the message stays unsent."""
    _note(session, message_id, last_error=error)


def prune(session: Session, before: datetime) -> int:
    """Delete what was sent before this instant; return how many messages that were."""
    return session.connection().execute(sa.delete(outbox).where(outbox.c.sent_at < before)).rowcount


def _note(session: Session, message_id: int, **changes: Any) -> None:
    session.execute(sa.update(outbox).where(outbox.c.id == message_id).values(changes))
