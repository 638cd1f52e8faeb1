"""Silences and maintenance windows: what was agreed not to be told. Rows are never deleted, only expired."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from calslo_dagster.alerting.matchers import Matcher
from calslo_dagster.alerting.silences import Silence, SilenceKind
from calslo_dagster.errors import StoreError
from calslo_dagster.store.schema import silences


@dataclass(frozen=True, slots=True)
class Matched:
    """How often a silence has held something back, and when it last did."""

    count: int
    last_at: datetime | None


def add(session: Session, silence: Silence) -> Silence:
    """Record a silence; return it with the number by which it is known from now on."""
    added = sa.insert(silences).values(_record(silence)).returning(silences.c.id)
    return replace(silence, id=str(session.execute(added).scalar_one()))


def active_candidates(session: Session, now: datetime) -> tuple[Silence, ...]:
    """Return the silences that may hold at this instant; of those that recur, the rule decides."""
    return overlapping(session, start=now, end=now + timedelta.resolution)


def overlapping(session: Session, *, start: datetime, end: datetime) -> tuple[Silence, ...]:
    """Return the silences that may hold at some instant of [start, end), by number."""
    table = silences.c
    goes_on = sa.or_(table.ends_at.is_(None), table.ends_at > start)
    unexpired = sa.or_(table.expired_at.is_(None), table.expired_at > start)
    return _loaded(session, sa.select(silences).where(table.starts_at < end, goes_on, unexpired))


def every(session: Session) -> tuple[Silence, ...]:
    """Return all silences that there ever were, by number."""
    return _loaded(session, sa.select(silences))


def by_id(session: Session, silence_id: str) -> Silence | None:
    """Return the silence of this number, None if there is none."""
    if not silence_id.isdecimal():
        return None
    return next(iter(_loaded(session, sa.select(silences).where(silences.c.id == int(silence_id)))), None)


def expire(session: Session, silence_id: str, *, now: datetime, by: str) -> Silence:
    """End a silence now and return it; one that has ended stays as it is. StoreError if none has this number."""
    known = by_id(session, silence_id)
    if known is None:
        raise StoreError(f"there is no silence {silence_id}")
    has_ended = known.ends_at is not None and known.ends_at <= now
    if has_ended or known.expired_at is not None:
        return known
    values = {"expired_at": now, "expired_by": by}
    session.execute(sa.update(silences).where(silences.c.id == int(silence_id)).values(values))
    return replace(known, expired_at=now, expired_by=by)


def count_match(session: Session, silence_id: str, *, now: datetime, count: int = 1) -> None:
    """Note that the silence has held something back."""
    values = {"matched": silences.c.matched + count, "last_matched_at": now}
    session.execute(sa.update(silences).where(silences.c.id == int(silence_id)).values(values))


def matched(session: Session) -> dict[str, Matched]:
    """Return how often each silence has held something back, by its number."""
    found = session.execute(sa.select(silences.c.id, silences.c.matched, silences.c.last_matched_at))
    return {str(number): Matched(count, last_at) for number, count, last_at in found}


def _record(silence: Silence) -> dict[str, Any]:
    return {
        "kind": str(silence.kind),
        "matchers": [str(matcher) for matcher in silence.matchers],
        "starts_at": silence.starts_at,
        "ends_at": silence.ends_at,
        "zone": silence.zone,
        "rrule": silence.rrule,
        "duration_seconds": None if silence.duration is None else silence.duration.total_seconds(),
        "covers_emergency": silence.covers_emergency,
        "reason": silence.reason,
        "author": silence.author,
        "ticket": silence.ticket,
        "created_at": silence.created_at,
        "expired_at": silence.expired_at,
        "expired_by": silence.expired_by,
        "matched": 0,
    }


def _loaded(session: Session, wanted: sa.Select[Any]) -> tuple[Silence, ...]:
    return tuple(_silence(row) for row in session.execute(wanted.order_by(silences.c.id)))


def _silence(row: sa.Row[Any]) -> Silence:
    return Silence(
        id=str(row.id),
        matchers=tuple(Matcher.parse(text) for text in row.matchers),
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        reason=row.reason,
        author=row.author,
        created_at=row.created_at,
        zone=row.zone,
        rrule=row.rrule,
        duration=None if row.duration_seconds is None else timedelta(seconds=row.duration_seconds),
        kind=SilenceKind(row.kind),
        ticket=row.ticket,
        covers_emergency=row.covers_emergency,
        expired_at=row.expired_at,
        expired_by=row.expired_by,
    )
