"""Incidents: gather the firing alerts of a group, follow how bad it is, and end it when all are well."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from calslo_dagster.alerting.escalation import begin, renew, stop
from calslo_dagster.alerting.model import (
    Action,
    Alert,
    AlertState,
    EscalationState,
    Incident,
    IncidentState,
    Kind,
    Order,
    Severity,
    identity,
)
from calslo_dagster.alerting.picture import Draft
from calslo_dagster.alerting.rules import Rules
from calslo_dagster.alerting.suppression import firing_members
from calslo_dagster.slo.windows import spoken

# How many leases after a resolve it is sent again, when a message of the incident may have arrived unseen.
ECHO_LEASES = 3


def gather(draft: Draft, rules: Rules) -> None:
    """Open an incident for each group that fires and has none; let the other firing alerts join theirs."""
    newcomers = defaultdict[str, list[Alert]](list)
    for alert in draft.alerts.values():
        if alert.state is AlertState.FIRING and alert.incident_id is None:
            newcomers[alert.subject.group_key].append(alert)
    for key, members in newcomers.items():
        incident = draft.incident(key)
        if incident is None or not incident.is_open:
            incident = _opened(draft, rules, members, last=incident)
        else:
            draft.note(incident, "joined", f"{_slices(members)} breached too", _listed(members))
        for member in members:
            draft.put_alert(replace(member, incident_id=incident.id))


def follow(draft: Draft, rules: Rules) -> None:
    """Bring every open incident in line with its members: severity, lost acknowledgements, and the end."""
    alerts = draft.alerts
    members = firing_members(alerts.values())
    left = _left(draft)
    for incident in [one for one in draft.incidents if one.is_open]:
        firing = members.get(incident.id, [])
        if left.get(incident.id):
            draft.note(incident, "left", f"{_slices(left[incident.id])} well again", _listed(left[incident.id]))
        if firing:
            _goes_on(draft, rules, incident, firing)
        else:
            _is_clear(draft, rules, incident, left.get(incident.id, []))


def resolve(draft: Draft, rules: Rules, incident: Incident, *, reason: str, by: str | None = None) -> None:
    """End the incident, and tell every channel that knows of it or may know; no silence holds this back."""
    ended = replace(
        incident,
        state=IncidentState.RESOLVED,
        resolved_at=draft.now,
        resolved_by=by,
        reason=reason,
        next_repeat_at=None,
        suppressed_by=None,
    )
    draft.put_incident(ended)
    draft.note(ended, "resolved", reason)
    draft.change.superseded[incident.id] = f"the incident is resolved: {reason}"
    told = [one for one in draft.told(incident.id) if one.sent or one.maybe]
    for one in told:
        draft.order(Order(incident.id, one.channel, Action.RESOLVE, "resolve", reason, draft.now))
        if one.maybe:
            # A message that was cut short may still arrive after the resolve and open the incident again over there.
            later = draft.now + ECHO_LEASES * rules.lease
            draft.order(Order(incident.id, one.channel, Action.RESOLVE, "resolve:echo", reason, later))
    if not told:
        draft.note(ended, "not notified", "it was over before anybody had been told")
    stop(draft, incident.id, EscalationState.RESOLVED)


def _opened(draft: Draft, rules: Rules, members: Sequence[Alert], last: Incident | None) -> Incident:
    key, episode = members[0].subject.group_key, last.episode + 1 if last else 1
    flaps = _flaps(draft, rules, last)
    severity = severity_of(draft, rules, members)
    subject = members[0].subject
    labels = {k: v for k, v in subject.labels().items() if k != "slice"}
    incident = Incident(
        id=identity(key, str(episode)),
        group_key=key,
        episode=episode,
        labels=labels,
        state=IncidentState.FIRING,
        severity=severity,
        peak_severity=severity,
        opened_at=draft.now,
        members=len(members),
        flaps=flaps,
    )
    draft.put_incident(incident)
    again = f", episode {episode}" if episode > 1 else ""
    draft.note(incident, "opened", f"{_slices(members)} breached: {members[0].finding.reason}{again}", _listed(members))
    if flaps >= rules.flapping_after:
        draft.note(incident, "flapping", f"it came back {flaps} times within {spoken(rules.cool_down)} of its end")
    begin(draft, rules, incident)
    return incident


def _flaps(draft: Draft, rules: Rules, last: Incident | None) -> int:
    if last is None or last.resolved_at is None or last.resolved_by:
        return 0
    return last.flaps + 1 if draft.now - last.resolved_at <= rules.cool_down else 0


def severity_of(draft: Draft, rules: Rules, members: Sequence[Alert]) -> Severity:
    """Return the worst severity of the members; most slices of a promise broken at once are an emergency."""
    worst = max((member.severity for member in members), key=lambda s: s.rank)
    subject = members[0].subject
    judged = draft.picture.judged.get(subject.name, 0)
    wide = len(members) >= max(rules.widespread_least, rules.widespread_share * judged)
    if subject.kind is Kind.BREACH and judged and wide and worst.rank >= Severity.CRITICAL.rank:
        return Severity.EMERGENCY
    return worst


def _goes_on(draft: Draft, rules: Rules, incident: Incident, firing: Sequence[Alert]) -> None:
    severity = severity_of(draft, rules, firing)
    now = replace(incident, severity=severity, members=len(firing), clear_since=None)
    rises = severity.rank > incident.peak_severity.rank
    if rises:
        now = replace(unacknowledged(now), peak_severity=severity)
        broken = f", which ends the acknowledgement by {incident.acked_by}" if incident.acked_by else ""
        draft.note(now, "raised", f"from {incident.peak_severity} to {severity}{broken}")
    elif incident.ack_expires_at and draft.now >= incident.ack_expires_at:
        now = unacknowledged(now)
        draft.note(now, "unacked", f"the acknowledgement by {incident.acked_by} has expired")
    if severity is not incident.severity:
        now = _told_again(draft, rules, now)
    if now != incident:
        draft.put_incident(now)
    if rises or (incident.state is IncidentState.ACKED and now.state is IncidentState.FIRING):
        renew(draft, now)


def _told_again(draft: Draft, rules: Rules, incident: Incident) -> Incident:
    """Return the incident with the date at which it is told again, no later than its severity wants from now on."""
    repeat = rules.repeat.get(incident.severity)
    if repeat is None or incident.state is IncidentState.ACKED or not draft.told(incident.id):
        return incident
    due = draft.now + repeat
    return replace(incident, next_repeat_at=min(due, incident.next_repeat_at or due))


def unacknowledged(incident: Incident) -> Incident:
    """Return the incident with nobody who has it."""
    return replace(incident, state=IncidentState.FIRING, acked_by=None, acked_at=None, ack_expires_at=None)


def _is_clear(draft: Draft, rules: Rules, incident: Incident, left: Sequence[Alert]) -> None:
    since = incident.clear_since or draft.now
    if incident.flaps >= rules.flapping_after and draft.now - since < rules.flapping_clear:
        if incident.clear_since is None:
            draft.put_incident(replace(incident, clear_since=since, members=0))
            end = since + rules.flapping_clear
            draft.note(incident, "clearing", f"all is well, but it flaps; it ends at {end:%H:%M} UTC")
        return
    reasons = dict.fromkeys(alert.reason for alert in left)
    resolve(draft, rules, incident, reason=next(iter(reasons), "all slices are well again"))


def _left(draft: Draft) -> Mapping[str, list[Alert]]:
    """Return the alerts that ended just now, by incident."""
    left = defaultdict[str, list[Alert]](list)
    for alert in draft.change.alerts.values():
        if alert.state is AlertState.RESOLVED and alert.incident_id:
            left[alert.incident_id].append(alert)
    return left


def _slices(members: Sequence[Alert]) -> str:
    return "1 slice is" if len(members) == 1 else f"{len(members):,} slices are"


def _listed(members: Sequence[Alert]) -> dict[str, list[str]]:
    return {
        "slices": [member.subject.slice for member in members],
        "fingerprints": [m.subject.fingerprint for m in members],
    }
