"""When a silence or a maintenance window ends, say what it held back; where that is nothing, say nothing."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from calslo_dagster.alerting.facts import Facts
from calslo_dagster.alerting.model import Action, Incident, Kind, Order, Severity
from calslo_dagster.alerting.silences import Silence, Span, described, spans
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.silence_alerts import HELD_BACK
from calslo_dagster.store import alert_events, deliveries, heartbeats, incidents, silences
from calslo_dagster.store.deliveries import NewDelivery
from calslo_dagster.store.session import Lock

REPORTED: Final = "silences"
EVERY: Final = timedelta(minutes=5)
# After a longer standstill nobody wants to read of windows that ended long ago.
NEWS: Final = timedelta(days=1)
MOST_LISTED: Final = 20


def report_silences(project: Project, *, now: datetime) -> int:
    """Order a message about every window that ended since the last look; return how many messages that were."""
    with project.store.write(Lock.ALERTS) as session:
        last = next((one.last_at for one in heartbeats.every(session) if one.component == REPORTED), None)
        heartbeats.beat(session, REPORTED, now=now, every=EVERY)
        if last is None:
            return 0
        since = max(last, now - NEWS)
        found = [
            message
            for silence in silences.overlapping(session, start=since - timedelta.resolution, end=now)
            for span in _ended(silence, since, now)
            if (held := _held(session, silence, span))
            for message in _messages(project, silence, span, held)
        ]
        return len(deliveries.order(session, found, now=now))


def _ended(silence: Silence, since: datetime, now: datetime) -> Iterator[Span]:
    return (span for span in spans(silence, since - timedelta.resolution, now) if since < span.end <= now)


def _held(session: Session, silence: Silence, span: Span) -> list[Incident]:
    """Return the incidents that were not told because of it, those whose page was ordered before among them."""
    events = [one.event for one in alert_events.between(session, start=span.start, end=span.end)]
    by_it = [one for one in events if one.kind in HELD_BACK and one.payload.get("by") == silence.id]
    return list(incidents.by_ids(session, [event.incident_id for event in by_it]).values())


def _messages(project: Project, silence: Silence, span: Span, held: Sequence[Incident]) -> Iterator[NewDelivery]:
    name = f"silence-{silence.id}-{span.end:%Y%m%dT%H%M%S}"
    listed = [_told(one) for one in held[:MOST_LISTED]]
    more = f"; and {len(held) - MOST_LISTED} more" if len(held) > MOST_LISTED else ""
    facts = Facts(
        incident_id=name,
        episode=1,
        kind=str(Kind.SILENCE),
        slo=f"silence {silence.id}",
        model="",
        environment=project.settings.alerting.environment,
        severity=Severity.INFO,
        since=span.start,
        opened_at=span.start,
        at=span.end,
        title=f"The {silence.kind} has ended and held back {len(held)} incidents",
        reason=f"{'; '.join(listed)}{more}",
        why="a window that holds pages back is reported when it ends",
        note=described(silence, span.start),
    )
    policy, _ = project.settings.alert_rules().policy_for({"severity": str(Severity.INFO)})
    channels = next((step.channels for step in policy.steps if step.channels), ())
    for channel in channels:
        order = Order(name, channel, Action.DIGEST, "ended", "the window has ended", span.end)
        yield NewDelivery(order, facts, name)


def _told(incident: Incident) -> str:
    state = f"over since {incident.resolved_at:%H:%M} UTC" if incident.resolved_at else "goes on"
    return f"{incident.severity} {incident.labels['slo']} of {incident.labels['model'] or 'all models'} ({state})"
