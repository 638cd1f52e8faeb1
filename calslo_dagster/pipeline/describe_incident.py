"""Gather all that is known of an incident: its slices, what was decided, who was told, and what comes next."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from calslo_dagster.alerting.escalation import next_words
from calslo_dagster.alerting.facts import Facts
from calslo_dagster.alerting.model import (
    Action,
    Alert,
    AlertState,
    Escalation,
    Incident,
    IncidentState,
    Order,
)
from calslo_dagster.pipeline.gather_facts import FactBook
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.read_signals import judged_slices
from calslo_dagster.pipeline.respond_to_alerts import find
from calslo_dagster.store import (
    alert_events,
    alerts,
    deliveries,
    delivery_attempts,
    escalations,
    incidents,
)
from calslo_dagster.store.alert_events import LoggedEvent
from calslo_dagster.store.deliveries import Delivery
from calslo_dagster.store.delivery_attempts import Attempt

SHOWN_RESOLVED: Final = 50


@dataclass(frozen=True, slots=True)
class Line:
    """An incident in a list: since when it is so, how many slices it has, and what comes next."""

    incident: Incident
    since: datetime
    slices: int
    next_step: str


@dataclass(frozen=True, slots=True)
class Record:
    """All rows about one incident; members are those that fire first, each by harm; events and deliveries in order."""

    incident: Incident
    members: tuple[Alert, ...]
    events: tuple[LoggedEvent, ...]
    deliveries: tuple[Delivery, ...]
    attempts: Mapping[int, tuple[Attempt, ...]]
    escalation: Escalation | None

    @property
    def next_step(self) -> str:
        """What happens next, as words; empty when nothing does."""
        return what_next(self.incident, self.escalation)


@dataclass(frozen=True, slots=True)
class Description:
    """An incident as it is now: its rows, and the facts that a message about it would have."""

    record: Record
    facts: Facts

    @property
    def action(self) -> Action:
        """What a message would do that was sent now."""
        return Action.UPDATE if self.record.incident.is_open else Action.RESOLVE


def list_incidents(project: Project, *, is_complete: bool = False) -> tuple[Line, ...]:
    """Return the open incidents, the worst first; if complete, those that were opened last and are over after them."""
    with project.store.read() as session:
        standing = sorted(incidents.open_ones(session), key=_urgency)
        over = [one for one in incidents.recent(session, SHOWN_RESOLVED) if not one.is_open] if is_complete else []
        courses = escalations.of(session, [one.id for one in standing])
        return tuple(_line(session, one, courses.get(one.id)) for one in (*standing, *over))


def describe_incident(project: Project, incident_id: str, *, now: datetime) -> Description:
    """Return all that is known of the incident whose id begins so; UnknownIncident if there is none."""
    with project.store.read() as session:
        found = record_of(session, find(session, incident_id))
        name = found.incident.labels["slo"]
        judged = judged_slices(session, project, project.registry.find(name), now) if name in project.registry else {}
        order = Order(found.incident.id, "", Action.UPDATE, "", "", now)
        return Description(
            found, FactBook(session, project, now, judged).facts(found.incident, order, found.escalation)
        )


def record_of(session: Session, incident: Incident) -> Record:
    """Return the rows about the incident."""
    sent = deliveries.of_incident(session, incident.id)
    tried: dict[int, tuple[Attempt, ...]] = {}
    for attempt in delivery_attempts.of_deliveries(session, [one.id for one in sent]):
        tried[attempt.delivery_id] = (*tried.get(attempt.delivery_id, ()), attempt)
    return Record(
        incident=incident,
        members=tuple(sorted(alerts.of_incident(session, incident.id), key=_harm)),
        events=alert_events.of_incident(session, incident.id),
        deliveries=sent,
        attempts=tried,
        escalation=escalations.of(session, [incident.id]).get(incident.id),
    )


def what_next(incident: Incident, escalation: Escalation | None) -> str:
    """Return what happens next, as words; empty when nothing does."""
    if not incident.is_open:
        return ""
    if incident.suppressed_by:
        return f"held back by {holder(incident.suppressed_by)}"
    if words := next_words(escalation):
        return words
    if incident.state is IncidentState.ACKED and incident.ack_expires_at:
        return f"starts over at {incident.ack_expires_at:%Y-%m-%d %H:%M} UTC, when the acknowledgement expires"
    if incident.clear_since:
        return "ends when it has been well for long enough, since it flaps"
    return f"told again at {incident.next_repeat_at:%Y-%m-%d %H:%M} UTC" if incident.next_repeat_at else ""


def holder(by: str) -> str:
    """Return what holds an incident back, as people call it: `silence 3`, or `mute bad scores`."""
    return f"silence {by}" if by.isdecimal() else f"mute {by.rpartition(':')[0] or by}"


def _line(session: Session, incident: Incident, escalation: Escalation | None) -> Line:
    members = alerts.of_incident(session, incident.id)
    since = min((alert.since for alert in members), default=incident.opened_at)
    return Line(incident, since, incident.members or len(members), what_next(incident, escalation))


def _urgency(incident: Incident) -> tuple[bool, int, datetime]:
    return incident.state is IncidentState.ACKED, -incident.severity.rank, incident.opened_at


def _harm(alert: Alert) -> tuple[bool, float, float, str]:
    finding = alert.finding
    return alert.state is not AlertState.FIRING, -finding.harm, -finding.excess, alert.subject.slice
