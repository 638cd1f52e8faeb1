"""Alerts: episodes of trouble, one row each, at most one of a subject open at any time."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from calslo_dagster.alerting.facts import finding_from_json, finding_to_json
from calslo_dagster.alerting.model import Alert, AlertState, Kind, Severity, Subject
from calslo_dagster.store import rows as stored
from calslo_dagster.store.schema import alerts


def put(session: Session, found: Iterable[Alert]) -> None:
    """Record the alerts as they are now; a second open one of the same subject is refused by the database."""
    # An episode has to be closed before the next one can open.
    ordered = sorted(found, key=lambda alert: alert.is_open)
    stored.upsert(session, alerts, [_record(alert) for alert in ordered])


def open_ones(session: Session) -> tuple[Alert, ...]:
    """Return the alerts that are pending or firing, oldest first."""
    return _loaded(session, sa.select(alerts).where(alerts.c.open_key.is_not(None)))


def count_firing(session: Session, kind: Kind) -> int:
    """Return how many alerts of this kind fire."""
    wanted = sa.and_(alerts.c.open_key.is_not(None), alerts.c.kind == str(kind))
    firing = sa.select(sa.func.count()).where(wanted, alerts.c.state == str(AlertState.FIRING))
    return session.scalar(firing) or 0


def last_by_fingerprint(session: Session, fingerprints: Iterable[str]) -> dict[str, Alert]:
    """Return the last episode of each subject that has had one, by fingerprint."""
    out: dict[str, Alert] = {}
    for some in stored.chunks(fingerprints):
        last = sa.select(alerts.c.fingerprint, sa.func.max(alerts.c.episode).label("episode"))
        newest = last.where(alerts.c.fingerprint.in_(some)).group_by(alerts.c.fingerprint).subquery()
        same = sa.and_(alerts.c.fingerprint == newest.c.fingerprint, alerts.c.episode == newest.c.episode)
        found = _loaded(session, sa.select(alerts).join(newest, same))
        out |= {alert.subject.fingerprint: alert for alert in found}
    return out


def of_incident(session: Session, incident_id: str) -> tuple[Alert, ...]:
    """Return the alerts that the incident gathers or gathered, oldest first."""
    return _loaded(session, sa.select(alerts).where(alerts.c.incident_id == incident_id))


def members(session: Session, incident_id: str) -> tuple[Alert, ...]:
    """Return the last episode that each subject has in the incident, oldest first; one that flaps has many."""
    last = sa.select(alerts.c.fingerprint, sa.func.max(alerts.c.episode).label("episode"))
    newest = last.where(alerts.c.incident_id == incident_id).group_by(alerts.c.fingerprint).subquery()
    same = sa.and_(alerts.c.fingerprint == newest.c.fingerprint, alerts.c.episode == newest.c.episode)
    return _loaded(session, sa.select(alerts).join(newest, same))


def extremes(session: Session, incident_id: str) -> tuple[Alert, ...]:
    """Return the alert of the incident that began first and the one furthest past its limit, of all episodes."""
    ours = sa.select(alerts).where(alerts.c.incident_id == incident_id)
    past = alerts.c.finding["excess"].as_float().desc()
    # Else reading ten thousand slices that have flapped for a day would take longer than a look may.
    wanted = (ours.order_by(*order, alerts.c.since, alerts.c.id).limit(1) for order in ((), (past,)))
    return tuple(_alert(row) for query in wanted for row in session.execute(query))


def of_fingerprint(session: Session, fingerprint: str) -> tuple[Alert, ...]:
    """Return every episode of a subject, oldest first."""
    return _loaded(session, sa.select(alerts).where(alerts.c.fingerprint == fingerprint))


def prune(session: Session, before: datetime) -> int:
    """Delete what was resolved before this instant; return how many rows that were.

    The last episode of a subject stays: the next one counts on from it.
    """
    later = aliased(alerts)
    is_followed = sa.exists().where(later.c.fingerprint == alerts.c.fingerprint, later.c.episode > alerts.c.episode)
    return session.connection().execute(sa.delete(alerts).where(alerts.c.resolved_at < before, is_followed)).rowcount


def _record(alert: Alert) -> dict[str, Any]:
    subject, fingerprint = alert.subject, alert.subject.fingerprint
    return {
        "id": alert.id,
        "fingerprint": fingerprint,
        "episode": alert.episode,
        "kind": str(subject.kind),
        "name": subject.name,
        "slice": subject.slice,
        "model": subject.model,
        "environment": subject.environment,
        "state": str(alert.state),
        "severity": str(alert.severity),
        "since": alert.since,
        "seen_at": alert.seen_at,
        "finding": finding_to_json(alert.finding),
        "values": dict(alert.values),
        "source_id": alert.source_id,
        "open_key": fingerprint if alert.is_open else None,
        "incident_id": alert.incident_id,
        "fired_at": alert.fired_at,
        "resolved_at": alert.resolved_at,
        "reason": alert.reason,
    }


def _loaded(session: Session, wanted: sa.Select[Any]) -> tuple[Alert, ...]:
    ordered = wanted.order_by(alerts.c.since, alerts.c.id)
    return tuple(_alert(row) for row in session.execute(ordered))


def _alert(row: sa.Row[Any]) -> Alert:
    return Alert(
        id=row.id,
        episode=row.episode,
        subject=Subject(Kind(row.kind), row.name, row.slice, row.model, row.environment),
        state=AlertState(row.state),
        severity=Severity(row.severity),
        since=row.since,
        seen_at=row.seen_at,
        finding=finding_from_json(row.finding),
        values=row._mapping["values"],
        source_id=row.source_id,
        incident_id=row.incident_id,
        fired_at=row.fired_at,
        resolved_at=row.resolved_at,
        reason=row.reason,
    )
