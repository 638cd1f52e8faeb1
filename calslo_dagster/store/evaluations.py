"""Evaluations: what the measurements at each window end rested on, so that only changed ones are taken again."""

from collections.abc import Mapping
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from calslo_dagster.store import rows as stored
from calslo_dagster.store.schema import evaluations


def put(session: Session, slo: str, inputs: Mapping[datetime, str], *, at: datetime) -> None:
    """Record the digest of the inputs at each window end, and when they were evaluated."""
    records = [
        {"slo": slo, "window_end": end, "inputs_digest": digest, "evaluated_at": at} for end, digest in inputs.items()
    ]
    stored.upsert(session, evaluations, records)


def touch(session: Session, slo: str, *, at: datetime) -> None:
    """Note that the SLO was looked at and nothing had changed."""
    table = evaluations.c
    last = sa.select(sa.func.max(table.window_end)).where(table.slo == slo).scalar_subquery()
    session.execute(sa.update(evaluations).where(table.slo == slo, table.window_end == last).values(evaluated_at=at))


def between(session: Session, slo: str, *, start: datetime, end: datetime) -> dict[datetime, str]:
    """Return the digest of the inputs at each evaluated window end in (start, end]."""
    table = evaluations.c
    wanted = sa.select(table.window_end, table.inputs_digest).where(
        table.slo == slo, table.window_end > start, table.window_end <= end
    )
    return {row.window_end: row.inputs_digest for row in session.execute(wanted)}


def last_live(session: Session, slo: str) -> datetime | None:
    """Return when the SLO was last evaluated over a window that went on, None if it never was.

    Windows that were over are what a backfill evaluates, which says nothing about the present.
    """
    table = evaluations.c
    live = sa.select(table.evaluated_at).where(table.slo == slo, table.window_end >= table.evaluated_at)
    return session.scalar(live.order_by(table.window_end.desc()).limit(1))


def last_closed(session: Session, slo: str) -> datetime | None:
    """Return the end of the last window that was evaluated once it was over, None if none ever was."""
    table = evaluations.c
    closed = sa.select(table.window_end).where(table.slo == slo, table.window_end <= table.evaluated_at)
    return session.scalar(closed.order_by(table.window_end.desc()).limit(1))


def last_look(session: Session, slo: str) -> datetime | None:
    """Return when the SLO was last looked at, whether or not anything had changed; None if it never was."""
    table = evaluations.c
    seen = sa.select(table.evaluated_at).where(table.slo == slo)
    return session.scalar(seen.order_by(table.window_end.desc()).limit(1))


def last_end(session: Session, slo: str, *, until: datetime) -> datetime | None:
    """Return the end of the last window by `until` that was evaluated, whether or not it had any row."""
    table = evaluations.c
    ended = sa.select(table.window_end).where(table.slo == slo, table.window_end <= until)
    return session.scalar(ended.order_by(table.window_end.desc()).limit(1))


def prune(session: Session, slo: str, before: datetime) -> int:
    """Forget the evaluations of window ends before this instant; return how many they were."""
    old = sa.delete(evaluations).where(evaluations.c.slo == slo, evaluations.c.window_end < before)
    return session.connection().execute(old).rowcount
