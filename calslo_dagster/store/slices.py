"""Slices: which segments of traffic were ever seen, with their values under each column."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from calslo_dagster.store import rows as stored
from calslo_dagster.store.schema import slices


@dataclass(frozen=True, slots=True)
class SliceRow:
    """A slice: `view` joins its columns by commas, empty for everything; `values` has None for a missing value."""

    name: str
    view: str
    values: Mapping[str, str | None]


def put(session: Session, found: Iterable[SliceRow]) -> None:
    """Record the slices."""
    stored.upsert(session, slices, stored.records(slices, found))


def names(session: Session) -> frozenset[str]:
    """Return the names of all slices."""
    return frozenset(session.scalars(sa.select(slices.c.name)))


def every(session: Session, view: str | None = None) -> tuple[SliceRow, ...]:
    """Return the slices, of one view if it is named, by name."""
    wanted = sa.select(slices).order_by(slices.c.name)
    return stored.load(session, wanted if view is None else wanted.where(slices.c.view == view), SliceRow)
