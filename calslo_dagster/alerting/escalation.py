"""Escalation: who is told next, and what keeps it from happening.

The policy is the one of the time when the incident opened or got worse, so that an edit of the settings strands nobody.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from calslo_dagster.alerting.model import (
    Action,
    Alert,
    Escalation,
    EscalationState,
    Incident,
    IncidentState,
    Order,
    Policy,
    Step,
    Target,
    renewed,
)
from calslo_dagster.alerting.picture import Draft
from calslo_dagster.alerting.rules import Rules
from calslo_dagster.alerting.suppression import Suppression, Suppressor, firing_members
from calslo_dagster.slo.windows import spoken

# A policy whose waits are all nothing may take so many steps at one instant.
MOST_STEPS: Final = 50


def begin(draft: Draft, rules: Rules, incident: Incident) -> None:
    """Start the escalation of a new incident."""
    _begin(draft, rules, incident, after=rules.group_wait)


def restart(draft: Draft, rules: Rules, incident: Incident) -> None:
    """Start the escalation over, now, by the policy for what has become worse: it may be others who are to know."""
    _begin(draft, rules, incident, known=draft.escalation(incident.id))


def renew(draft: Draft, incident: Incident) -> None:
    """Start the escalation over, now, by the policy that it has."""
    known = draft.escalation(incident.id)
    if known is not None:
        again = renewed(known, due_at=draft.now + _wait(known.policy, 0))
        draft.put_escalation(replace(again, pages=known.pages + 1))


def _begin(
    draft: Draft, rules: Rules, incident: Incident, *, after: timedelta = timedelta(0), known: Escalation | None = None
) -> None:
    policy, why = rules.policy_for({**incident.labels, "severity": str(incident.severity)})
    due_at = draft.now + after + _wait(policy, 0)
    round_, pages = (known.round + 1, known.pages + 1) if known else (1, 1)
    draft.put_escalation(Escalation(incident.id, policy, round=round_, due_at=due_at, pages=pages))
    payload = {"policy": policy.name, "round": round_, "due_at": due_at.isoformat()}
    draft.note(incident, "escalation began", why, payload)


def stop(draft: Draft, incident_id: str, state: EscalationState) -> None:
    """End the escalation."""
    known = draft.escalation(incident_id)
    if known is not None and known.state is not state:
        draft.put_escalation(replace(known, state=state, due_at=None))


def escalate(draft: Draft, rules: Rules) -> None:
    """Take every step that is due, and tell again what has gone on for long; what is suppressed waits."""
    alerts = draft.alerts.values()
    suppressor = Suppressor.of(rules, draft.picture.silences, alerts, draft.now)
    members = firing_members(alerts)
    for incident in [one for one in draft.incidents if one.is_open]:
        firing = members.get(incident.id, [])
        if not firing or not _is_due(draft, incident):
            continue
        suppression = suppressor.of_incident(incident, firing)
        seen = _noted(draft, incident, suppression)
        if suppression is None:
            _take(draft, rules, seen)


def _is_due(draft: Draft, incident: Incident) -> bool:
    escalation = draft.escalation(incident.id)
    dates = (escalation.due_at if escalation else None, incident.next_repeat_at)
    is_owed = escalation is not None and _owes(incident, escalation)
    return is_owed or any(date is not None and date <= draft.now for date in dates)


def _owes(incident: Incident, escalation: Escalation) -> bool:
    """Whether it is bad enough by now for a step that was left out."""
    return escalation.owed is not None and not _refusal(incident, escalation.policy.steps[escalation.owed])


def _noted(draft: Draft, incident: Incident, suppression: Suppression | None) -> Incident:
    """Put on record that the incident is now held back, or is no longer; once per change."""
    by = suppression.by if suppression else None
    if by == incident.suppressed_by:
        return incident
    now = replace(incident, suppressed_by=by)
    draft.put_incident(now)
    if suppression:
        kind = "silenced" if suppression.is_silence else "muted"
        draft.note(now, kind, f"not told: {suppression.words}", {"by": suppression.by})
    else:
        draft.note(now, "unsuppressed", "nothing holds it back any more")
    return now


def _take(draft: Draft, rules: Rules, incident: Incident) -> None:
    told = False
    for _ in range(MOST_STEPS):
        escalation = _due(draft, incident)
        if escalation is None:
            break
        told |= _step(draft, incident, escalation)
    repeat = rules.repeat.get(incident.severity)
    if told:
        draft.put_incident(replace(incident, next_repeat_at=draft.now + repeat if repeat else None))
    elif incident.next_repeat_at and incident.next_repeat_at <= draft.now and not draft.picture.is_past:
        _repeat(draft, incident, repeat)


def _due(draft: Draft, incident: Incident) -> Escalation | None:
    """Return the escalation if a step of it is due, begun anew at the step that is owed if there is one.

    Of what has passed only the first step is taken: nobody could answer it, and all steps at once would wake everybody.
    """
    escalation = draft.escalation(incident.id)
    if escalation is None or (draft.picture.is_past and (escalation.round, escalation.step) != (1, 0)):
        return None
    if escalation.owed is not None and _owes(incident, escalation):
        # Those behind it get the time that their waits give whoever is told now.
        return replace(renewed(escalation, due_at=draft.now), step=escalation.owed)
    return escalation if escalation.due_at is not None and escalation.due_at <= draft.now else None


def _step(draft: Draft, incident: Incident, escalation: Escalation) -> bool:
    """Take the step that is due, set the date of the next; return whether somebody is told."""
    step = escalation.policy.steps[escalation.step]
    draft.change.steps.append((incident.id, escalation.round, escalation.step))
    if step.repeat:
        _start_over(draft, incident, escalation, step)
        return False
    refused = _refusal(incident, step)
    _advance(draft, replace(escalation, owed=escalation.step) if _is_owed(incident, escalation) else escalation)
    if refused:
        draft.note(incident, "step not taken", f"step {escalation.step + 1} of {escalation.policy.name}: {refused}")
        return False
    for channel in step.channels:
        cause = f"{escalation.round}:{escalation.step}"
        reason = f"policy {escalation.policy.name}, round {escalation.round}, step {escalation.step + 1}"
        draft.order(Order(incident.id, channel, Action.TRIGGER, cause, reason, draft.now))
    draft.note(
        incident,
        "notified",
        f"step {escalation.step + 1} of {escalation.policy.name}, round {escalation.round}: {', '.join(step.channels)}",
        {"channels": list(step.channels), "round": escalation.round, "step": escalation.step},
    )
    return True


def _refusal(incident: Incident, step: Step) -> str:
    if step.still is Target.UNACKED and incident.state is IncidentState.ACKED:
        return f"{incident.acked_by} has acknowledged"
    if _is_too_mild(incident, step):
        return f"{incident.severity} is less than {step.at_least}"
    return ""


def _is_owed(incident: Incident, escalation: Escalation) -> bool:
    """Whether the step that is due is the first for which it is not bad enough: it is left out, but not for good."""
    return escalation.owed is None and _is_too_mild(incident, escalation.policy.steps[escalation.step])


def _is_too_mild(incident: Incident, step: Step) -> bool:
    return incident.severity.rank < step.at_least.rank


def _advance(draft: Draft, escalation: Escalation) -> None:
    following = escalation.step + 1
    if following >= len(escalation.policy.steps):
        draft.put_escalation(replace(escalation, step=following, due_at=None, state=EscalationState.EXHAUSTED))
        return
    wait = _wait(escalation.policy, following)
    draft.put_escalation(replace(escalation, step=following, due_at=draft.now + wait))


def _start_over(draft: Draft, incident: Incident, escalation: Escalation, step: Step) -> None:
    if escalation.repeats >= step.repeat or incident.state is IncidentState.ACKED:
        reason = f"{incident.acked_by} has acknowledged" if incident.acked_by else f"repeated {step.repeat} times"
        draft.note(incident, "escalation ended", reason)
        draft.put_escalation(replace(escalation, due_at=None, state=EscalationState.EXHAUSTED))
        return
    again = renewed(escalation, due_at=draft.now + _wait(escalation.policy, 0))
    draft.put_escalation(replace(again, repeats=escalation.repeats + 1))


def _repeat(draft: Draft, incident: Incident, repeat: timedelta | None) -> None:
    """Tell those who were told that it goes on: one digest, never a copy of the page."""
    if incident.state is IncidentState.ACKED or repeat is None:
        draft.put_incident(replace(incident, next_repeat_at=None))
        return
    cause = f"digest:{draft.now.isoformat()}"
    reason = f"it goes on, {incident.severity} is told again after {spoken(repeat)}"
    for one in draft.told(incident.id):
        if one.sent or one.maybe:
            draft.order(Order(incident.id, one.channel, Action.DIGEST, cause, reason, draft.now))
    draft.note(incident, "repeated", reason)
    draft.put_incident(replace(incident, next_repeat_at=draft.now + repeat))


def _wait(policy: Policy, step: int) -> timedelta:
    return policy.steps[step].wait


def wakes_at(
    incidents: Sequence[Incident], escalations: Mapping[str, Escalation], rules: Rules, *, after: datetime
) -> datetime | None:
    """Return the next instant after `after` at which time alone changes something; None if nothing is waiting.

    What is due already and held back waits for something else than time.
    """
    dates: list[datetime] = []
    for incident in incidents:
        if not incident.is_open:
            continue
        escalation = escalations.get(incident.id)
        clear = incident.clear_since + rules.flapping_clear if incident.clear_since else None
        waiting = (escalation.due_at if escalation else None, incident.next_repeat_at, incident.ack_expires_at, clear)
        dates += [date for date in waiting if date is not None and date > after]
    return min(dates, default=None)


def next_words(escalation: Escalation | None, alerts: Sequence[Alert] = ()) -> str:
    """Return what happens next, as a sentence for the message; empty when nothing does."""
    if escalation is None or escalation.due_at is None or escalation.step >= len(escalation.policy.steps):
        return ""
    step = escalation.policy.steps[escalation.step]
    if step.repeat:
        return f"at {escalation.due_at:%H:%M} UTC the policy starts over"
    unless = " unless acknowledged" if step.still is Target.UNACKED else ""
    return f"{', '.join(step.channels)} at {escalation.due_at:%H:%M} UTC{unless}"
