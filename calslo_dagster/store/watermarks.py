"""Watermarks: the instant up to which a source is believed to be complete."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from calslo_dagster.store import rows as stored
from calslo_dagster.store.schema import watermarks


@dataclass(frozen=True, slots=True)
class Watermark:
    """How far a source has come: `last_event` is its newest event, `watermark` that minus the allowed lateness."""

    source: str
    watermark: datetime | None
    last_event: datetime | None


def put(session: Session, found: Watermark) -> None:
    """Record how far the source has come."""
    stored.upsert(session, watermarks, stored.records(watermarks, [found]))


def of_source(session: Session, source: str) -> Watermark | None:
    """Return how far a source has come, None if it was never looked at."""
    found = stored.load(session, sa.select(watermarks).where(watermarks.c.source == source), Watermark)
    return found[0] if found else None


def every(session: Session) -> tuple[Watermark, ...]:
    """Return the watermark of every source, by name."""
    return stored.load(session, sa.select(watermarks).order_by(watermarks.c.source), Watermark)
