"""What people do about an incident: acknowledge, take it back, resolve."""

from dataclasses import replace
from datetime import datetime

from calslo_dagster.alerting.alerts import BY_PERSON
from calslo_dagster.alerting.escalation import renew
from calslo_dagster.alerting.incidents import resolve, unacknowledged
from calslo_dagster.alerting.model import (
    Action,
    AlertState,
    Escalation,
    EscalationState,
    Incident,
    IncidentState,
    Order,
    Target,
)
from calslo_dagster.alerting.picture import Draft
from calslo_dagster.alerting.rules import Rules


def acknowledge(
    draft: Draft, rules: Rules, incident: Incident, *, until: datetime | None = None, note: str = ""
) -> str:
    """Stop the escalation until somebody takes it back, it expires, or it gets worse; return what was done.

    Channels that know of the incident are told who has it; waiting pages are taken back.
    """
    if not incident.is_open:
        return f"incident {incident.id} is resolved already: {incident.reason}"
    if incident.state is IncidentState.ACKED and incident.acked_by == draft.actor and until is None:
        return f"incident {incident.id} is acknowledged by {incident.acked_by} already"
    expires = until or draft.now + rules.ack_expires
    held = replace(
        incident,
        state=IncidentState.ACKED,
        acked_by=draft.actor,
        acked_at=draft.now,
        acked_severity=incident.severity,
        ack_expires_at=expires,
        next_repeat_at=None,
    )
    draft.put_incident(held)
    said = f": {note}" if note else ""
    draft.note(held, "acked", f"until {expires:%Y-%m-%d %H:%M} UTC{said}", {"until": expires.isoformat()})
    draft.change.superseded[incident.id] = f"{draft.actor} has acknowledged"
    _tell(draft, incident, Action.ACK, f"acknowledged by {draft.actor}{said}")
    escalation = draft.escalation(incident.id)
    if escalation is not None and not _tells_anyway(escalation):
        draft.put_escalation(replace(escalation, state=EscalationState.ACKED, due_at=None))
    return f"incident {incident.id} is acknowledged by {draft.actor} until {expires:%Y-%m-%d %H:%M} UTC"


def unacknowledge(draft: Draft, incident: Incident, *, note: str = "") -> str:
    """Take the acknowledgement back, and begin the escalation again; return what was done."""
    if incident.state is not IncidentState.ACKED:
        return f"incident {incident.id} is not acknowledged"
    free = unacknowledged(incident)
    draft.put_incident(free)
    said = f": {note}" if note else ""
    draft.note(free, "unacked", f"by {draft.actor}, it was held by {incident.acked_by}{said}")
    _tell(draft, incident, Action.UPDATE, f"no longer acknowledged, by {draft.actor}{said}")
    renew(draft, free)
    return f"incident {incident.id} is no longer acknowledged; its escalation starts over"


def close(draft: Draft, rules: Rules, incident: Incident, *, note: str = "") -> str:
    """Resolve the incident by hand; the same trouble does not open it again, a new one does. Return what was done."""
    if not incident.is_open:
        return f"incident {incident.id} is resolved already: {incident.reason}"
    reason = f"{BY_PERSON}{draft.actor}" + (f": {note}" if note else "")
    for alert in draft.alerts.values():
        if alert.incident_id == incident.id and alert.is_open:
            draft.put_alert(replace(alert, state=AlertState.RESOLVED, resolved_at=draft.now, reason=reason))
    resolve(draft, rules, incident, reason=reason, by=draft.actor)
    return f"incident {incident.id} is resolved"


def _tells_anyway(escalation: Escalation) -> bool:
    """Whether steps are left that an acknowledgement does not stop."""
    return any(step.still is Target.FIRING for step in escalation.policy.steps[escalation.step :])


def _tell(draft: Draft, incident: Incident, action: Action, reason: str) -> None:
    cause = f"{action}:{draft.now.isoformat()}"
    for one in draft.told(incident.id):
        if one.sent or one.maybe:
            draft.order(Order(incident.id, one.channel, action, cause, reason, draft.now))
