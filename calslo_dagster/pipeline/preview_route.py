"""Say beforehand who would be told of an alert with given labels, when, and what would keep it back just now."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from calslo_dagster.alerting.matchers import IDENTITY, matches, written
from calslo_dagster.alerting.model import (
    EVERYTHING,
    Alert,
    AlertState,
    Finding,
    Incident,
    IncidentState,
    Kind,
    Policy,
    Severity,
    Subject,
)
from calslo_dagster.alerting.rules import Rules
from calslo_dagster.alerting.suppression import Suppressor
from calslo_dagster.errors import CalsloError
from calslo_dagster.pipeline.project import Project
from calslo_dagster.slo.parameters import unknown_name
from calslo_dagster.slo.slices import parse_slice
from calslo_dagster.store import alerts, silences

_NOBODY: Final = "preview"


@dataclass(frozen=True, slots=True)
class Taken:
    """A step as it would be taken: how long after the beginning, what is done, and under which condition."""

    after: timedelta
    what: str
    condition: str


@dataclass(frozen=True, slots=True)
class Preview:
    """What would happen: the labels in full, the policy and why it is that one, its steps, and what holds it back.

    held: a silence, or an alert that explains it, as of now; mutes: those of the rules that could, now or later.
    """

    labels: Mapping[str, str]
    policy: str
    why: str
    steps: tuple[Taken, ...]
    repeat: timedelta | None
    held: str
    mutes: tuple[str, ...]


def preview_route(project: Project, labels: Mapping[str, str], *, now: datetime) -> Preview:
    """Return what would happen to an alert with these labels; those that are left out have their usual values.

    CalsloError tells every label that no alert has and every value that does not exist.
    """
    rules, full = project.settings.alert_rules(), _full(project, labels)
    severity = Severity(full["severity"])
    # A route sees what the slices of an incident share.
    policy, why = rules.policy_for({name: full[name] for name in IDENTITY - {"slice"}})
    alert, incident = _alert(full, severity, now), _incident(full, severity, now)
    with project.store.read() as session:
        suppressor = Suppressor.of(rules, silences.active_candidates(session, now), alerts.open_ones(session), now)
    held = suppressor.of_alert(alert, incident)
    return Preview(
        labels=full,
        policy=policy.name,
        why=why,
        steps=tuple(steps_of(policy, rules.group_wait)),
        repeat=rules.repeat.get(severity),
        held=held.words if held else "",
        mutes=tuple(_mutes(rules, full)),
    )


def _full(project: Project, labels: Mapping[str, str]) -> dict[str, str]:
    """Return the labels with the usual values of those that are left out."""
    known = {*IDENTITY, *project.slice_columns}
    mistakes = [unknown_name("label", name, dict.fromkeys(sorted(known))) for name in labels if name not in known]
    mistakes += [
        unknown_name(name, labels[name], dict.fromkeys(words))
        for name, words in (("kind", Kind), ("severity", Severity))
        if name in labels and labels[name] not in set(words)
    ]
    name, kind = labels.get("slo", ""), labels.get("kind", Kind.BREACH)
    if kind != Kind.PIPELINE and name and name not in project.registry:
        mistakes.append(unknown_name("SLO", name, dict.fromkeys(project.registry.names)))
    if mistakes:
        raise CalsloError("\n".join(mistakes))
    values = {column: value or "" for column, value in parse_slice(labels.get("slice", EVERYTHING))}
    severity = project.registry.find(name).severity if name in project.registry else Severity.CRITICAL
    usual = {
        "kind": str(Kind.BREACH),
        "slo": "",
        "slice": EVERYTHING,
        "model": next(iter(sorted(project.models)), ""),
        "environment": project.settings.alerting.environment,
        "severity": str(severity),
    }
    return usual | values | dict(labels)


def _alert(labels: Mapping[str, str], severity: Severity, now: datetime) -> Alert:
    subject = Subject(Kind(labels["kind"]), labels["slo"], labels["slice"], labels["model"], labels["environment"])
    values = {name: value for name, value in labels.items() if name not in IDENTITY}
    return Alert(
        id=_NOBODY,
        episode=1,
        subject=subject,
        state=AlertState.FIRING,
        severity=severity,
        since=now,
        seen_at=now,
        finding=Finding(),
        values=values,
        incident_id=_NOBODY,
    )


def _incident(labels: Mapping[str, str], severity: Severity, now: datetime) -> Incident:
    return Incident(_NOBODY, _NOBODY, 1, labels, IncidentState.FIRING, severity, severity, now, members=1)


def steps_of(policy: Policy, wait: timedelta) -> Iterator[Taken]:
    """Yield the steps of a policy with how long after the beginning each is due; `wait` comes before the first."""
    after = wait
    for step in policy.steps:
        after += step.wait
        worse = f"if it is {step.at_least} or worse" if step.at_least is not Severity.INFO else ""
        condition = " and ".join(filter(None, [f"while {step.still}", worse]))
        times = "once" if step.repeat == 1 else f"{step.repeat} times at most"
        what = f"start over, {times}" if step.repeat else f"tell {', '.join(step.channels)}"
        yield Taken(after, what, condition)


def _mutes(rules: Rules, labels: Mapping[str, str]) -> Iterator[str]:
    for mute in rules.mutes:
        if matches(mute.target, labels):
            same = f" with the same {', '.join(mute.equal)}" if mute.equal else ""
            yield f"{mute.name}: while an alert with {written(mute.source)} fires{same}"
