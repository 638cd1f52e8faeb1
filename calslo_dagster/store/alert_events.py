"""The audit log: every decision about alerts, only ever added to, each line chained to the one before by its hash.

The hash of a line covers all its columns and the hash before it, so that a line that is changed, removed or put in is
found by reading the log once. Lines cut off at the end, or a log that was written anew from some line on, are found by
whoever kept a hash of it elsewhere.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from calslo_dagster.alerting.model import Event
from calslo_dagster.store import rows as stored
from calslo_dagster.store.columns import to_json
from calslo_dagster.store.schema import alert_events
from calslo_dagster.store.session import hold

FIRST: Final = "0" * 64
_CHAIN_LOCK: Final = int.from_bytes(b"chains")
_PAGE: Final = 1_000
_TEXTS: Final = ("incident_id", "kind", "at", "actor", "source", "reason", "payload", "prev_hash")


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """A line of the audit log: its number, from 1 without gaps, and its hash."""

    id: int
    event: Event
    hash: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What reading the log found: how many lines are sound, the hash of the last of them, and the first broken line.

    broken_id: the number at which it is broken, None if it is not; reason: what is wrong there.
    """

    events: int
    head: str
    broken_id: int | None = None
    reason: str = ""


def append(session: Session, events: Iterable[Event]) -> tuple[LoggedEvent, ...]:
    """Add the events at the end, in this order; return them with their places.

    The end of the log is held until the session commits, so this comes last in it: whoever held the log and then waited
    for a row could wait for one who holds the row and waits for the log.
    """
    found = list(events)
    if not found:
        return ()
    hold(session.connection(), _CHAIN_LOCK)
    last_id, head = _end(session)
    out, records = [], []
    for number, event in enumerate(found, start=last_id + 1):
        record = _record(number, event, head)
        head = record["hash"]
        records.append(record)
        out.append(LoggedEvent(number, event, head))
    stored.insert(session, alert_events, records)
    return tuple(out)


def of_incident(session: Session, incident_id: str) -> tuple[LoggedEvent, ...]:
    """Return the events of an incident, in the order in which they were written."""
    return _loaded(session, sa.select(alert_events).where(alert_events.c.incident_id == incident_id))


def last_at(session: Session, incident_id: str) -> datetime | None:
    """Return when the last event of an incident was, None if it has none."""
    found: datetime | None = session.scalar(
        sa.select(sa.func.max(alert_events.c.at)).where(alert_events.c.incident_id == incident_id)
    )
    return found


def newest_at(session: Session) -> datetime | None:
    """Return when the last event of the log was, None while there is none."""
    found: datetime | None = session.scalar(sa.select(alert_events.c.at).order_by(alert_events.c.id.desc()).limit(1))
    return found


def between(session: Session, *, start: datetime, end: datetime) -> tuple[LoggedEvent, ...]:
    """Return the events of [start, end), in the order in which they were written."""
    return _loaded(session, sa.select(alert_events).where(alert_events.c.at >= start, alert_events.c.at < end))


def head(session: Session) -> str:
    """Return the hash of the last line, to be kept elsewhere; 64 zeros while there is none."""
    return _end(session)[1]


def verify(session: Session, *, expected: str | None = None) -> Verification:
    """Read the whole log and return whether it is sound; `expected` is a hash that it had at its end at some time."""
    count, head, is_met = 0, FIRST, expected in (None, FIRST)
    with session.execute(_raw(session).execution_options(yield_per=_PAGE)) as rows:
        for row in rows:
            texts = {name: _text(row._mapping[name]) for name in (*_TEXTS, "hash")}
            if wrong := _mistake(row.id, texts, follows=count, head=head):
                return Verification(count, head, count + 1, wrong)
            count, head = row.id, texts["hash"]
            is_met = is_met or head == expected
    if not is_met:
        return Verification(count, head, count + 1, f"no line has the hash {expected}, which the log once ended with")
    return Verification(count, head)


def _mistake(number: int, texts: dict[str, str], *, follows: int, head: str) -> str:
    if number != follows + 1:
        return f"line {follows + 1} is missing, line {number} follows"
    if texts["prev_hash"] != head:
        return "its hash of the line before is not the one of that line"
    return "" if texts["hash"] == _hash(number, texts) else "its content does not have its hash"


def _end(session: Session) -> tuple[int, str]:
    last = sa.select(alert_events.c.id, alert_events.c.hash).order_by(alert_events.c.id.desc()).limit(1)
    row = session.execute(last).first()
    return (row.id, row.hash) if row else (0, FIRST)


def _record(number: int, event: Event, prev_hash: str) -> dict[str, Any]:
    texts = {
        "incident_id": event.incident_id,
        "kind": event.kind,
        "at": _instant(event.at),
        "actor": event.actor,
        "source": event.source,
        "reason": event.reason,
        "payload": to_json(event.payload),
        "prev_hash": prev_hash,
    }
    return {**texts, "id": number, "at": event.at, "hash": _hash(number, texts)}


def _hash(number: int, texts: dict[str, str]) -> str:
    content = to_json([number, *(texts[name] for name in _TEXTS)])
    # What is no UTF-8 any more was read with surrogates in place of its bytes.
    return hashlib.sha256(content.encode("utf-8", "surrogateescape")).hexdigest()


def _raw(session: Session) -> sa.Select[Any]:
    """Select the log as it is stored: on SQLite as bytes, since text that was tampered with may not even be text."""
    if session.connection().dialect.name != "sqlite":
        return sa.select(alert_events).order_by(alert_events.c.id)
    plain = [sa.cast(alert_events.c[name], sa.LargeBinary).label(name) for name in (*_TEXTS, "hash")]
    return sa.select(alert_events.c.id, *plain).order_by(alert_events.c.id)


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return _instant(value)
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)


def _instant(at: datetime) -> str:
    """Return the instant as SQLite stores it, so that the hash is the same on both databases."""
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")


def _loaded(session: Session, wanted: sa.Select[Any]) -> tuple[LoggedEvent, ...]:
    return tuple(_logged(row) for row in session.execute(wanted.order_by(alert_events.c.id)))


def _logged(row: sa.Row[Any]) -> LoggedEvent:
    payload = json.loads(row.payload)
    event = Event(row.incident_id, row.kind, row.at, row.reason, row.actor, row.source, payload)
    return LoggedEvent(row.id, event, row.hash)
