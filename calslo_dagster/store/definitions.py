"""Definitions: what each SLO said when it was measured, by the hash that measurements carry."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from calslo_dagster.store import rows as stored
from calslo_dagster.store.schema import definitions


@dataclass(frozen=True, slots=True)
class Definition:
    """One edition of an SLO; `body` is its canonical JSON."""

    hash: str
    slo: str
    body: Mapping[str, Any]
    first_seen: datetime


def add(session: Session, found: Iterable[Definition]) -> None:
    """Record the editions that are new; the others keep the time they were first seen."""
    stored.insert_new(session, definitions, stored.records(definitions, found))


def of_slo(session: Session, slo: str) -> tuple[Definition, ...]:
    """Return the editions of an SLO, the oldest first."""
    wanted = sa.select(definitions).where(definitions.c.slo == slo)
    return stored.load(session, wanted.order_by(definitions.c.first_seen, definitions.c.hash), Definition)


def by_hash(session: Session, hash_: str) -> Definition | None:
    """Return the edition with this hash, None if it was never recorded."""
    found = stored.load(session, sa.select(definitions).where(definitions.c.hash == hash_), Definition)
    return found[0] if found else None
