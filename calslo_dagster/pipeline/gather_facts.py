"""Gather what a message may say about an incident, at the moment when the message is ordered."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Final

from sqlalchemy.orm import Session

from calslo_dagster.alerting.escalation import next_words
from calslo_dagster.alerting.facts import Facts, Link, Member
from calslo_dagster.alerting.incidents import flapping
from calslo_dagster.alerting.matchers import shared
from calslo_dagster.alerting.model import Alert, AlertState, Escalation, Incident, IncidentState, Kind, Order, Severity
from calslo_dagster.pipeline.find_runbook import runbook_of, runbook_url
from calslo_dagster.pipeline.project import Project
from calslo_dagster.slo.limits import promise
from calslo_dagster.slo.model import EVERYTHING, SLO
from calslo_dagster.slo.windows import spoken
from calslo_dagster.store import alerts, availability, breach_causes, manifests, measurements
from calslo_dagster.store.availability import AvailabilityRow

MOST_WORST: Final = 10
# A new calibrator version so long before a breach is worth a look.
RECENT: Final = timedelta(days=3)
# What an SLI rests on that comes late, so that its figures may still change.
LABEL: Final = "label"
# What our own troubles are called, by the kind of component.
_TITLES: Final = {
    "evaluation": "SLOs are not being evaluated",
    "job": "A job of calslo fails",
    "delivery": "A channel takes no messages",
}


@dataclass
class FactBook:
    """What all incidents of one moment share; each part is read when first asked for."""

    session: Session
    project: Project
    now: datetime
    judged: Mapping[tuple[str, str], int] = field(default_factory=dict)
    members: dict[str, tuple[Alert, ...]] = field(default_factory=dict)
    extremes: dict[str, tuple[Alert, ...]] = field(default_factory=dict)

    @cached_property
    def slos(self) -> Mapping[str, SLO]:
        """The SLOs by name."""
        return {slo.name: slo for slo in self.project.registry}

    @cached_property
    def budgets(self) -> Mapping[tuple[str, str], AvailabilityRow]:
        """The newest availability over the longest period, by SLO and slice."""
        days = max(period.days for period in self.project.settings.availability.periods)
        return {(r.slo, r.slice): r for r in availability.latest(self.session, period_days=days)}

    def facts(self, incident: Incident, order: Order, escalation: Escalation | None) -> Facts:
        """Return the facts of the incident, as it was just written, for this message."""
        members, slo = self._members(incident.id), self.slos.get(incident.labels["slo"])
        ever = (*members, *self._extremes(incident.id))
        firing = [alert for alert in members if alert.state is AlertState.FIRING]
        shown = sorted(firing or members, key=_harm, reverse=True)
        kind, runbook = incident.labels["kind"], runbook_of(incident.labels["kind"], incident.labels["slo"])
        address = runbook_url(self.project.settings, kind, slo, runbook)
        return Facts(
            **_identity(incident),
            **_of_slo(slo, incident, shown),
            since=min((alert.since for alert in firing or ever), default=incident.opened_at),
            at=order.not_before,
            direction=_direction(shown),
            slices=len(shown),
            measured=self._measured(incident, shown),
            worst=tuple(_member(alert) for alert in shown[:MOST_WORST]),
            peak=max((_member(a) for a in ever), key=lambda m: m.finding.excess, default=None),
            budget=self._budget(slo, shown),
            cause=self._cause(shown),
            changes=tuple(self._changes(incident.labels["model"], shown)),
            cautions=tuple(self._cautions(slo, shown)),
            why=order.reason,
            next_step=next_words(escalation) if incident.is_open else "",
            answers=_answers(incident, "" if address else runbook),
            links=self._links(incident, address),
            flapping=flapping(incident, self.project.settings.alert_rules()),
            page=escalation.pages if escalation else 1,
        )

    def _measured(self, incident: Incident, shown: Sequence[Alert]) -> int:
        """Return of how many the incident's alerts are some: the slices of the model, and all traffic if it is one."""
        judged = self.judged.get((incident.labels["slo"], incident.labels["model"]), 0)
        return judged + any(alert.subject.slice == EVERYTHING for alert in shown)

    def _members(self, incident_id: str) -> tuple[Alert, ...]:
        """Return the alert of each subject that the incident ever had; its messages of one moment share them."""
        if incident_id not in self.members:
            self.members[incident_id] = alerts.members(self.session, incident_id)
        return self.members[incident_id]

    def _extremes(self, incident_id: str) -> tuple[Alert, ...]:
        """Return the first and the worst alert of the incident, which an earlier episode of a subject may be."""
        if incident_id not in self.extremes:
            self.extremes[incident_id] = alerts.extremes(self.session, incident_id)
        return self.extremes[incident_id]

    def _budget(self, slo: SLO | None, shown: Sequence[Alert]) -> str:
        row = self.budgets.get((slo.name, shown[0].subject.slice)) if slo and shown else None
        # While a history is played, what is known by now says what nobody could know then.
        if row is None or row.budget.consumed is None or row.as_of > self.now:
            return ""
        burns = ", ".join(f"{b['long_rate']:.3g} times as fast as it lasts ({b['tier']})" for b in row.burn)
        return _left(row) + (f"; it burns {burns}" if burns else "")

    def _cause(self, shown: Sequence[Alert]) -> str:
        """Return what is likely behind the worst breach, as far as it was known by now; empty where nothing is."""
        worst = next((alert for alert in shown if alert.subject.kind is Kind.BREACH), None)
        known = breach_causes.first(self.session, [worst.source_id], until=self.now) if worst else {}
        found = known.get(worst.source_id) if worst else None
        return found.evidence if found and found.stands_out else ""

    def _changes(self, model: str, shown: Sequence[Alert]) -> Iterable[str]:
        """Yield the calibrators that were fitted shortly before it began, the newest first."""
        if not shown:
            return
        since = min(alert.since for alert in shown)
        slices = {alert.subject.slice for alert in shown} | {EVERYTHING}
        ours = [m for m in manifests.every(self.session) if model in (m.model, EVERYTHING)]
        fitted = [m for m in ours if m.fitted_at and m.slice in slices]
        recent = [m for m in fitted if m.fitted_at and since - RECENT <= m.fitted_at <= since]
        for manifest in sorted(recent, key=lambda m: (m.fitted_at or since, m.slice), reverse=True)[:3]:
            before = since - (manifest.fitted_at or since)
            whose = "" if manifest.slice == EVERYTHING else f" of {manifest.slice}"
            yield f"calibrator {manifest.version}{whose} was fitted {spoken(before)} before it began"

    def _cautions(self, slo: SLO | None, shown: Sequence[Alert]) -> Iterable[str]:
        if slo is None or not shown or LABEL not in slo.needs:
            return
        rows = {row.slice: row for row in measurements.last_rows(self.session, slo.name, until=self.now)}
        row = rows.get(shown[0].subject.slice)
        if row is None or not row.events:
            return
        if not row.is_final:
            yield "the last window is not over, so its figures will still move"

    def _links(self, incident: Incident, runbook: str) -> tuple[Link, ...]:
        base = self.project.settings.dashboard_url
        found = [Link("Runbook", runbook)] if runbook else []
        if base:
            found.append(Link("Incident", f"{base}/alerts/{incident.id}"))
        return tuple(found)


def _identity(incident: Incident) -> dict[str, Any]:
    """Return what the incident itself says."""
    return {
        "incident_id": incident.id,
        "episode": incident.episode,
        **{name: incident.labels[name] for name in ("kind", "slo", "model", "environment")},
        "severity": incident.severity,
        "opened_at": incident.opened_at,
        "resolved_at": incident.resolved_at,
        "acked_by": incident.acked_by or "",
        "reason": incident.reason,
        "flaps": incident.flaps,
    }


def _of_slo(slo: SLO | None, incident: Incident, shown: Sequence[Alert]) -> dict[str, Any]:
    """Return what the promise says; nothing but a title for what is none."""
    name, kind = incident.labels["slo"], Kind(incident.labels["kind"])
    if slo is None:
        return {"title": _TITLES.get(name.partition(":")[0], name)}
    return {
        "title": slo.title,
        "promise": _promise(kind, slo, shown),
        "unit": "times" if kind is Kind.BURN else slo.unit,
        "owner": slo.owner,
        "first_action": slo.runbook if kind is Kind.BREACH else "",
    }


def _harm(alert: Alert) -> tuple[float, float]:
    return alert.finding.harm, alert.finding.excess


def _member(alert: Alert) -> Member:
    return Member(alert.subject.slice, alert.since, alert.finding, alert.severity)


def _promise(kind: Kind, slo: SLO, shown: Sequence[Alert]) -> str:
    if not shown:
        return ""
    if kind is Kind.BURN:
        return f"the budget of {slo.target:.4g} lasts its period"
    limit = shown[0].finding.limit
    said = promise(slo.objective.operator, slo.objective.limit if limit is None else limit, slo.unit)
    return f"{said} over {spoken(slo.window)}"


def _left(row: AvailabilityRow) -> str:
    budget, days = row.budget, row.period_days
    if budget.left >= 0:
        return f"{budget.left} of {budget.allowed} bad windows left in {days} days"
    return f"{budget.used} bad windows in {days} days, {budget.allowed} are allowed"


def _direction(shown: Sequence[Alert]) -> str:
    reason = shown[0].finding.reason.lower() if shown and shown[0].subject.kind is Kind.BREACH else ""
    return next((word for word in ("over-confident", "under-confident") if word in reason), "")


def _answers(incident: Incident, runbook: str) -> tuple[str, ...]:
    """Return the commands that answer the incident, and the one that prints the runbook, which needs no address."""
    book = (f"calslo runbook {runbook}",) if runbook else ()
    if not incident.is_open:
        return (f"calslo alerts show {incident.id}", *book)
    matchers = " ".join(matcher.argument for matcher in shared(incident.labels))
    # Without it the silence would let just this incident pass.
    also = " --covers-emergency" if incident.severity is Severity.EMERGENCY else ""
    return (
        f"calslo alerts {'unack' if incident.state is IncidentState.ACKED else 'ack'} {incident.id}",
        f"calslo silence add {matchers} --for 2h{also} --reason ...",
        f"calslo alerts show {incident.id}",
        *book,
    )
