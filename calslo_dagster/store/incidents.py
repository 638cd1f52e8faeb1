"""Incidents: the units that page, one row per episode, at most one of a group open at any time."""

from collections.abc import Iterable
from dataclasses import fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from calslo_dagster.alerting.labels import named as about
from calslo_dagster.alerting.model import Incident, IncidentState, Severity
from calslo_dagster.errors import StoreError
from calslo_dagster.store import rows as stored
from calslo_dagster.store.schema import incidents

# Sorts after every id that begins with the same letters.
_AFTER = "\U0010ffff"
# Of those whose ids begin alike, enough to find one's own.
_SHOWN = 5
_COLUMNS = [incidents.c[field.name] for field in fields(Incident)]


def put(session: Session, found: Iterable[Incident]) -> None:
    """Record the incidents as they are now; a second open one of the same group is refused by the database."""
    # An episode has to be closed before the next one can open.
    ordered = sorted(found, key=lambda incident: incident.is_open)
    stored.upsert(session, incidents, [_record(incident) for incident in ordered])


def open_ones(session: Session) -> tuple[Incident, ...]:
    """Return the incidents that are firing or acknowledged, oldest first."""
    return _loaded(session, _all().where(incidents.c.open_key.is_not(None)))


def last_by_group(session: Session, group_keys: Iterable[str]) -> dict[str, Incident]:
    """Return the last episode of each group that has had one, by group key."""
    out: dict[str, Incident] = {}
    for some in stored.chunks(group_keys):
        last = sa.select(incidents.c.group_key, sa.func.max(incidents.c.episode).label("episode"))
        newest = last.where(incidents.c.group_key.in_(some)).group_by(incidents.c.group_key).subquery()
        same = sa.and_(incidents.c.group_key == newest.c.group_key, incidents.c.episode == newest.c.episode)
        out |= {incident.group_key: incident for incident in _loaded(session, _all().join(newest, same))}
    return out


def by_id(session: Session, incident_id: str) -> Incident | None:
    """Return the incident whose id begins so, None if there is none; StoreError if there are several."""
    begins = sa.and_(incidents.c.id >= incident_id, incidents.c.id < incident_id + _AFTER)
    rows = session.execute(_all().where(begins).order_by(incidents.c.id).limit(_SHOWN)).all() if incident_id else []
    # A whole id sorts before those that it begins.
    if len(rows) > 1 and rows[0].id != incident_id:
        found = "; ".join(f"{row.id} ({about(row.labels)})" for row in rows)
        raise StoreError(f"several incidents begin with {incident_id}; write more letters of the id: {found}")
    return _incident(rows[0]) if rows else None


def by_ids(session: Session, incident_ids: Iterable[str]) -> dict[str, Incident]:
    """Return the incidents with these whole ids, by id."""
    found = (_loaded(session, _all().where(incidents.c.id.in_(some))) for some in stored.chunks(incident_ids))
    return {incident.id: incident for some in found for incident in some}


def between(session: Session, *, start: datetime, end: datetime) -> tuple[Incident, ...]:
    """Return the incidents that share an instant with [start, end), oldest first."""
    goes_on = sa.or_(incidents.c.resolved_at.is_(None), incidents.c.resolved_at > start)
    return _loaded(session, _all().where(incidents.c.opened_at < end, goes_on))


def recent(session: Session, limit: int = 50) -> tuple[Incident, ...]:
    """Return the incidents that were opened last, newest first."""
    newest = _all().order_by(incidents.c.opened_at.desc(), incidents.c.id.desc()).limit(limit)
    return tuple(_incident(row) for row in session.execute(newest))


def _record(incident: Incident) -> dict[str, Any]:
    record = stored.records(incidents, [incident])[0]
    return record | {
        "labels": dict(incident.labels),
        "open_key": incident.group_key if incident.is_open else None,
    }


def _all() -> sa.Select[Any]:
    return sa.select(*_COLUMNS)


def _loaded(session: Session, wanted: sa.Select[Any]) -> tuple[Incident, ...]:
    ordered = wanted.order_by(incidents.c.opened_at, incidents.c.id)
    return tuple(_incident(row) for row in session.execute(ordered))


def _incident(row: sa.Row[Any]) -> Incident:
    named = {name: row._mapping[name] for name in ("severity", "peak_severity", "acked_severity")}
    words = {name: word and Severity(word) for name, word in named.items()}
    return Incident(**{**row._mapping, **words, "state": IncidentState(row.state)})
