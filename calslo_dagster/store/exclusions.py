"""Exclusions: the maintenance that was agreed not to count."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from calslo_dagster.errors import StoreError
from calslo_dagster.slo.exclusions import Exclusion
from calslo_dagster.slo.windows import Window
from calslo_dagster.store.schema import exclusions


@dataclass(frozen=True, slots=True)
class StoredExclusion:
    """An exclusion with the number it goes by."""

    id: int
    exclusion: Exclusion
    created_at: datetime


def add(session: Session, exclusion: Exclusion, *, created_at: datetime) -> int:
    """Record an exclusion; return its number."""
    statement = sa.insert(exclusions).values(
        starts_at=exclusion.span.start,
        ends_at=exclusion.span.end,
        slos=exclusion.slos,
        slices=exclusion.slices,
        models=exclusion.models,
        reason=exclusion.reason,
        author=exclusion.approved_by,
        created_at=created_at,
    )
    number: int = session.execute(statement.returning(exclusions.c.id)).scalar_one()
    return number


def remove(session: Session, exclusion_id: int) -> None:
    """Take an exclusion back; StoreError if there is none of this number."""
    if not session.connection().execute(sa.delete(exclusions).where(exclusions.c.id == exclusion_id)).rowcount:
        raise StoreError(f"there is no exclusion {exclusion_id}")


def every(session: Session) -> tuple[Exclusion, ...]:
    """Return all exclusions, by start and number."""
    found = session.execute(sa.select(exclusions).order_by(exclusions.c.starts_at, exclusions.c.id))
    return tuple(_stored(row).exclusion for row in found)


def stamp(session: Session) -> str:
    """Return what differs when an exclusion was added or taken back; a number is never given out twice."""
    return str(tuple(session.execute(sa.select(sa.func.count(), sa.func.max(exclusions.c.id))).one()))


def all_of(session: Session) -> tuple[StoredExclusion, ...]:
    """Return all exclusions with their numbers, by start and number."""
    found = session.execute(sa.select(exclusions).order_by(exclusions.c.starts_at, exclusions.c.id))
    return tuple(_stored(row) for row in found)


def overlapping(session: Session, *, start: datetime, end: datetime) -> tuple[StoredExclusion, ...]:
    """Return the exclusions that share an instant with [start, end), by start and number."""
    table = exclusions.c
    wanted = sa.select(exclusions).where(table.starts_at < end, table.ends_at > start)
    return tuple(_stored(row) for row in session.execute(wanted.order_by(table.starts_at, table.id)))


def _stored(row: sa.Row[Any]) -> StoredExclusion:
    exclusion = Exclusion(
        span=Window(row.starts_at, row.ends_at),
        reason=row.reason,
        approved_by=row.author,
        slos=row.slos,
        slices=row.slices,
        models=row.models,
    )
    return StoredExclusion(row.id, exclusion, row.created_at)
