"""The manifest of snapshot partials: which files are in force, for which span, made from what."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from calslo_dagster.store import rows as stored
from calslo_dagster.store.schema import partials

# The batch of event partials that cannot be made again, because files that they were made of are lost.
KEPT: Final = "kept"
# Rows, by their name in `Partial.rows`, that came for hours of lost files and cannot be told from what was counted.
UNCOUNTED: Final = "uncounted"


class Kind(StrEnum):
    """What a partial adds up: events of the log, or labels that came later."""

    EVENT = "event"
    LABEL = "label"


@dataclass(frozen=True, slots=True)
class Partial:
    """One partial; (source, kind, batch, span) names it, `batch` is empty for events that can be read again.

    totals_us, cells_us: widths of its time buckets; inputs_digest: what it was made from; content_digest, path: the
    files themselves, relative to the folder of all partials; rows: rows of each fact table.
    """

    source: str
    kind: Kind
    batch: str
    span_start_us: int
    span_end_us: int
    totals_us: int
    cells_us: int
    inputs_digest: str
    content_digest: str
    path: str
    rows: Mapping[str, int]
    first_us: int | None
    last_us: int | None
    run_id: str
    created_at: datetime


def put(session: Session, found: Iterable[Partial]) -> None:
    """Bring the partials into force, each in the place of the one with its name."""
    stored.upsert(session, partials, stored.records(partials, found))


def remove(session: Session, found: Iterable[Partial]) -> None:
    """Take the partials out of force; their files stay until nothing names them."""
    stored.delete(session, partials, found)


def first_start(session: Session, sources: Iterable[str]) -> int | None:
    """Return where the first partial of these sources begins, in microseconds; None without any."""
    first = sa.func.min(partials.c.span_start_us)
    found: int | None = session.scalar(sa.select(first).where(partials.c.source.in_(list(sources))))
    return found


def last_end(session: Session, sources: Iterable[str]) -> int | None:
    """Return where the last partial of these sources ends, in microseconds; None without any."""
    last = sa.func.max(partials.c.span_end_us)
    found: int | None = session.scalar(sa.select(last).where(partials.c.source.in_(list(sources))))
    return found


def overlapping(
    session: Session, source: str, *, start_us: int, end_us: int, kind: Kind | None = None
) -> tuple[Partial, ...]:
    """Return the partials, of one kind if named, whose span shares an instant with [start_us, end_us)."""
    table = partials.c
    wanted = _ordered().where(table.source == source, table.span_start_us < end_us, table.span_end_us > start_us)
    return _loaded(session, wanted.where(table.kind == kind.value) if kind else wanted)


def of_source(session: Session, source: str, kind: Kind | None = None) -> tuple[Partial, ...]:
    """Return every partial of a source, by kind, span and batch."""
    wanted = _ordered().where(partials.c.source == source)
    return _loaded(session, wanted.where(partials.c.kind == kind.value) if kind else wanted)


def paths(session: Session) -> frozenset[str]:
    """Return the path of every partial in force; files elsewhere belong to nobody."""
    return frozenset(session.scalars(sa.select(partials.c.path)))


def _ordered() -> sa.Select[tuple[object, ...]]:
    table = partials.c
    return sa.select(partials).order_by(table.kind, table.span_start_us, table.span_end_us, table.batch)


def _loaded(session: Session, statement: sa.Select[tuple[object, ...]]) -> tuple[Partial, ...]:
    return stored.load(session, statement, Partial, kind=Kind)
