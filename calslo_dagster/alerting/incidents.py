"""Incidents: gather the firing alerts of a group, follow how bad it is, and end it when all are well."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from calslo_dagster.alerting.escalation import begin, renew, restart, stop
from calslo_dagster.alerting.model import (
    EVERYTHING,
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
from calslo_dagster.alerting.readings import moment, times
from calslo_dagster.alerting.rules import Rules
from calslo_dagster.alerting.suppression import firing_members
from calslo_dagster.slo.windows import spoken

# What most slices at once make of a severity. What may be read tomorrow stays so, however much of it there is.
WIDESPREAD = {Severity.WARNING: Severity.CRITICAL, Severity.CRITICAL: Severity.EMERGENCY}
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
            draft.note(incident, "joined", f"{_trouble(members)} too", _listed(members))
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
            draft.note(incident, "left", f"{_well(left[incident.id])} well again", _listed(left[incident.id]))
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
        flaps_since=(last.flaps_since or last.opened_at) if last and flaps else None,
    )
    draft.put_incident(incident)
    again = f", episode {episode}" if episode > 1 else ""
    draft.note(incident, "opened", f"{_trouble(members)}: {members[0].finding.reason}{again}", _listed(members))
    if flaps >= rules.flapping_after:
        draft.note(incident, "flapping", flapping(incident, rules))
    begin(draft, rules, incident)
    return incident


def _flaps(draft: Draft, rules: Rules, last: Incident | None) -> int:
    if last is None or last.resolved_at is None or last.resolved_by:
        return 0
    return last.flaps + 1 if draft.now - last.resolved_at <= rules.cool_down else 0


def severity_of(draft: Draft, rules: Rules, members: Sequence[Alert]) -> Severity:
    """Return the worst severity of the members, one worse if most slices of the model break the promise at once."""
    worst = max((member.severity for member in members), key=lambda s: s.rank)
    subject = members[0].subject
    judged = draft.picture.judged.get((subject.name, subject.model), 0)
    # All traffic is no slice: it is breached because the slices are.
    broken = sum(member.subject.slice != EVERYTHING for member in members)
    wide = broken >= max(rules.widespread_least, rules.widespread_share * judged)
    return WIDESPREAD.get(worst, worst) if subject.kind is Kind.BREACH and judged and wide else worst


def _goes_on(draft: Draft, rules: Rules, incident: Incident, firing: Sequence[Alert]) -> None:
    severity = severity_of(draft, rules, firing)
    now = replace(incident, severity=severity, members=len(firing))
    if incident.clear_since is not None:
        now = replace(now, clear_since=None, flaps=now.flaps + 1)
        draft.note(now, "came back", f"{_trouble(firing)} again; it came back {times(now.flaps)}", _listed(firing))
    rises = is_rise(incident, severity)
    if rises:
        worst = max(severity, incident.peak_severity, key=lambda one: one.rank)
        now = replace(unacknowledged(now), peak_severity=worst)
        broken = f", which ends the acknowledgement by {incident.acked_by}" if incident.acked_by else ""
        draft.note(now, "raised", f"from {incident.severity} to {severity}{broken}")
    elif incident.ack_expires_at and draft.now >= incident.ack_expires_at:
        now = unacknowledged(now)
        draft.note(now, "unacked", f"the acknowledgement by {incident.acked_by} has expired")
    if severity is not incident.severity:
        now = _told_again(draft, rules, now)
    if now != incident:
        draft.put_incident(now)
    if rises:
        restart(draft, rules, now)
    elif incident.state is IncidentState.ACKED and now.state is IncidentState.FIRING:
        renew(draft, now)


def is_rise(incident: Incident, severity: Severity) -> bool:
    """Whether it is worse than anybody knows: than ever, or than when whoever has it took it on."""
    return severity.rank > (incident.acked_severity or incident.peak_severity).rank


def _told_again(draft: Draft, rules: Rules, incident: Incident) -> Incident:
    """Return the incident with the date at which it is told again, no later than its severity wants from now on."""
    repeat = rules.repeat.get(incident.severity)
    if repeat is None or incident.state is IncidentState.ACKED or not draft.told(incident.id):
        return incident
    due = draft.now + repeat
    return replace(incident, next_repeat_at=min(due, incident.next_repeat_at or due))


def unacknowledged(incident: Incident) -> Incident:
    """Return the incident with nobody who has it."""
    free = replace(incident, state=IncidentState.FIRING, acked_by=None, acked_severity=None)
    return replace(free, acked_at=None, ack_expires_at=None)


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


def flapping(incident: Incident, rules: Rules) -> str:
    """Return how it comes and goes, which is told once and not each time; empty unless it flaps."""
    if incident.flaps < rules.flapping_after:
        return ""
    since = f" since {moment(incident.flaps_since)}" if incident.flaps_since else ""
    ends = f"; it is told once, and ends when it has been well for {spoken(rules.flapping_clear)}"
    return f"it came back {times(incident.flaps)}{since}{ends if incident.is_open else ''}"


def _trouble(members: Sequence[Alert]) -> str:
    """Return what is wrong with how many, as people call it."""
    subject, is_one = members[0].subject, len(members) == 1
    if subject.kind is Kind.PIPELINE:
        return f"{subject.name} is in trouble"
    wrong = {
        Kind.BLIND: "cannot be judged",
        Kind.BURN: "burns its budget" if is_one else "burn their budgets",
    }
    return f"{_slices(members)} {wrong.get(subject.kind, 'is breached' if is_one else 'are breached')}"


def _well(members: Sequence[Alert]) -> str:
    if members[0].subject.kind is Kind.PIPELINE:
        return f"{members[0].subject.name} is"
    return f"{_slices(members)} {'is' if len(members) == 1 else 'are'}"


def _slices(members: Sequence[Alert]) -> str:
    return "1 slice" if len(members) == 1 else f"{len(members):,} slices"


def _listed(members: Sequence[Alert]) -> dict[str, list[str]]:
    return {
        "slices": [member.subject.slice for member in members],
        "fingerprints": [m.subject.fingerprint for m in members],
    }
