"""Health: the roll-ups of the latest measurements, as they were at each instant."""

from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from calslo_dagster.slo.health import Health, HealthReport, Word
from calslo_dagster.store import rows as stored
from calslo_dagster.store.schema import health


class Scope(StrEnum):
    """What is rolled up."""

    OVERALL = "overall"
    SLICE = "slice"
    SLO = "slo"
    MODEL = "model"


@dataclass(frozen=True, slots=True)
class HealthRow:
    """The health of one scope at one instant."""

    as_of: datetime
    kind: Scope
    health: Health


def replace(session: Session, as_of: datetime, report: HealthReport) -> None:
    """Make this the health at the instant."""
    session.execute(sa.delete(health).where(health.c.as_of == as_of))
    groups = {Scope.SLICE: report.slices, Scope.SLO: report.slos, Scope.MODEL: report.models}
    found = [(Scope.OVERALL, report.overall), *((kind, one) for kind, group in groups.items() for one in group)]
    stored.insert(session, health, [_record(as_of, kind, one) for kind, one in found])


def latest(session: Session) -> tuple[HealthRow, ...]:
    """Return the newest health of every scope, by kind and name."""
    newest = sa.select(sa.func.max(health.c.as_of)).scalar_subquery()
    return _loaded(session, sa.select(health).where(health.c.as_of == newest))


def history(session: Session, kind: Scope, name: str, *, since: datetime) -> tuple[HealthRow, ...]:
    """Return the health of one scope at `since` and later, oldest first."""
    table = health.c
    same = (table.scope_kind == kind.value, table.scope_name == name, table.as_of >= since)
    return _loaded(session, sa.select(health).where(*same))


def prune(session: Session, before: datetime) -> int:
    """Delete the health of earlier instants; return how many rows that were."""
    return session.connection().execute(sa.delete(health).where(health.c.as_of < before)).rowcount


def _record(as_of: datetime, kind: Scope, found: Health) -> dict[str, Any]:
    counts = {field.name: getattr(found, field.name) for field in fields(found) if field.name != "scope"}
    return {"as_of": as_of, "scope_kind": kind.value, "scope_name": found.scope} | counts | {"word": found.word.value}


def _loaded(session: Session, wanted: sa.Select[Any]) -> tuple[HealthRow, ...]:
    ordered = wanted.order_by(health.c.as_of, health.c.scope_kind, health.c.scope_name)
    return tuple(_row(dict(row._mapping)) for row in session.execute(ordered))


def _row(row: dict[str, Any]) -> HealthRow:
    as_of, kind = row.pop("as_of"), Scope(row.pop("scope_kind"))
    row["word"] = Word(row["word"])
    return HealthRow(as_of, kind, Health(scope=row.pop("scope_name"), **row))
