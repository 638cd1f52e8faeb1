"""Take the next message for a channel out of the outbox, and look once more whether it is still to go."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import uuid4

from sqlalchemy.orm import Session

from calslo_dagster.alerting.late import PAGES, Candidate, Fate, Ruling, ruling, stand_in
from calslo_dagster.alerting.model import Event, Incident
from calslo_dagster.alerting.suppression import Suppression, Suppressor, firing_members
from calslo_dagster.pipeline.project import Project
from calslo_dagster.store import alert_events, alerts, deliveries, incidents, silences
from calslo_dagster.store.deliveries import Delivery
from calslo_dagster.store.delivery_claims import claim, finalize_superseded, postpone
from calslo_dagster.store.session import Lock

# How the audit log calls whoever sends.
SOURCE: Final = "dispatcher"
# When a message that is held back is looked at again.
SUPPRESSED: Final = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message that was taken, and what becomes of it: it is ours to send, or has been given back."""

    message: Delivery
    fate: Fate


def claim_message(project: Project, channel: str, *, clock: Callable[[], datetime], lease: timedelta) -> Claimed | None:
    """Take the next message for the channel and look at it, in one transaction; None if there is none to take."""
    with project.store.write(Lock.NONE) as session:
        # Not before: a database that was busy for long would leave little of the lease.
        now = clock()
        taken = claim(session, token=uuid4().hex, now=now, lease=lease, limit=1, only=channel)
        if not taken:
            return None
        found = _ruling(session, project, taken[0], now)
        note = _given_back(session, taken[0], found, now)
        # Last, since it holds the end of the chain until the transaction ends.
        alert_events.append(session, [note] if note else [])
    return Claimed(taken[0], found.fate)


def _ruling(session: Session, project: Project, one: Delivery, now: datetime) -> Ruling:
    incident = incidents.by_ids(session, [one.incident_id]).get(one.incident_id)
    told = deliveries.told(session, [one.incident_id])[one.incident_id]
    knows = any(known.channel == one.channel and (known.sent or known.maybe) for known in told)
    is_page = incident is not None and incident.is_open and one.action in PAGES
    suppression = _suppression(session, project, incident, now) if incident and is_page else None
    newer = stand_in(one.action, deliveries.behind(session, one, now=now)) if is_page else None
    return ruling(Candidate(one.action, one.ordered_at, was_told=knows, newer=newer), incident, suppression)


def _suppression(session: Session, project: Project, incident: Incident, now: datetime) -> Suppression | None:
    standing = alerts.open_ones(session)
    firing = firing_members(standing).get(incident.id, [])
    active = silences.active_candidates(session, now)
    suppressor = Suppressor.of(project.settings.alert_rules(), active, standing, now)
    return suppressor.of_incident(incident, firing) if firing else None


def _given_back(session: Session, one: Delivery, found: Ruling, now: datetime) -> Event | None:
    """Give the message back if it is not to go now; return the line for the audit log, one for the same reason."""
    named, payload = f"{one.action} to {one.channel}", {"by": found.by, "delivery": one.id}
    if found.fate is Fate.SUPERSEDE:
        finalize_superseded(session, one, now=now, reason=found.reason)
        return Event(one.incident_id, "taken back", now, f"{named}: {found.reason}", source=SOURCE, payload=payload)
    if found.fate is Fate.POSTPONE:
        reason = f"not told: {found.reason}"
        postpone(session, one, now=now, until=now + SUPPRESSED, reason=reason)
        if reason != one.outcome:
            return Event(one.incident_id, "postponed", now, f"{named} {reason}", source=SOURCE, payload=payload)
    return None
