"""Explain why somebody was told at an instant, or why nobody was: one chain from what was measured to what was sent."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Final

from sqlalchemy.orm import Session

from calslo_dagster.alerting.alerts import BY_PERSON
from calslo_dagster.alerting.model import Alert, Incident, Kind, Subject
from calslo_dagster.alerting.readings import place, span
from calslo_dagster.errors import CalsloError, SettingsError
from calslo_dagster.pipeline.describe_incident import record_of
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.respond_to_alerts import find
from calslo_dagster.pipeline.trace_decisions import Reason, Topic, Trace, second
from calslo_dagster.slo.model import JUDGED, SLO, Measurement, Verdict
from calslo_dagster.slo.parameters import unknown_name
from calslo_dagster.slo.windows import EPOCH, spoken
from calslo_dagster.store import alerts, breaches, incidents, measurements, silences
from calslo_dagster.store.breaches import Breach

_INSTANT: Final = timedelta.resolution
_KINDS: Final = [str(kind) for kind in Kind]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why it was so at an instant: the answer in a sentence, and the chain that it rests on."""

    subject: str
    at: datetime
    incident_id: str | None
    conclusion: str
    reasons: tuple[Reason, ...]


def explain_incident(project: Project, incident_id: str, *, at: datetime | None, now: datetime) -> Explanation:
    """Explain the incident whose id begins so, as of `at`, or as it is now."""
    _require_past(at, now)
    with project.store.read() as session:
        incident = find(session, incident_id)
        when = at or now
        name = incident.labels["slo"]
        if when < incident.opened_at:
            words = f"incident {incident.id} opened at {second(incident.opened_at)}"
            answer = f"Nothing was open then: {words}."
            return Explanation(
                _called(incident), when, None, answer, (Reason(Topic.INCIDENT, words, incident.opened_at),)
            )
        trace = _trace(session, incident, when)
        seen = [Reason(Topic.SEEN, _worst(alert, name), alert.since) for alert in trace.record.members[:1]]
        return _explained(_called(incident), trace, [*seen, *_rule(project, name, incident)], is_now=at is None)


def explain_slice(project: Project, slo: str, slice_name: str, *, at: datetime | None, now: datetime) -> Explanation:
    """Explain the slice of an SLO, or a component of ours, as of `at`, or as it is now.

    SettingsError if nothing of that name is measured or has ever had an incident.
    """
    _require_past(at, now)
    with project.store.read() as session:
        _require_known(session, project, slo)
        found = _Place(session, project, slo, slice_name, at or now)
        traces = found.open_then()
        if not traces:
            quiet = (*found.seen(), *_rule(project, slo), *found.neighbours())
            return Explanation(found.called, found.at, None, f"Nothing was open then: {found.why()}.", quiet)
        first, *others = traces
        links = (*found.seen(), *_rule(project, slo, first.record.incident))
        beside = [Reason(Topic.INCIDENT, f"open too: {_called(one.record.incident)}") for one in others]
        return _explained(found.called, first, [*links, *beside], is_now=at is None)


def _explained(called: str, trace: Trace, before: list[Reason], *, is_now: bool) -> Explanation:
    links = [*before, *trace.reasons()]
    if is_now and trace.record.next_step:
        links.append(Reason(Topic.NEXT, trace.record.next_step))
    incident_id = trace.record.incident.id
    return Explanation(called, trace.at, incident_id, trace.conclusion(), tuple(links))


def _trace(session: Session, incident: Incident, at: datetime, slice_name: str | None = None) -> Trace:
    active = silences.overlapping(session, start=at, end=at + _INSTANT)
    known = [one for one in active if one.created_at <= at]
    return Trace(record_of(session, incident), at, slice_name, known)


def _require_past(at: datetime | None, now: datetime) -> None:
    if at is not None and at > now:
        raise CalsloError(f"{second(at)} lies in the future; what will be told is in `calslo route --explain`")


def _require_known(session: Session, project: Project, slo: str) -> None:
    names = dict.fromkeys(project.registry.names)
    if slo in names:
        return
    # One that is retired, or a component of ours.
    ever = incidents.between(session, start=EPOCH, end=datetime.max.replace(tzinfo=UTC))
    if all(one.labels["slo"] != slo for one in ever):
        raise SettingsError(unknown_name("SLO", slo, names))


def _called(incident: Incident) -> str:
    kind = "" if incident.labels["kind"] == Kind.BREACH else f" ({incident.labels['kind']})"
    return f"incident {incident.id} about {incident.labels['slo']}{kind}"


def _worst(alert: Alert, name: str) -> str:
    return f"{name} of {place(alert.subject.slice)} since {second(alert.since)}: {alert.finding.reason}"


def _rule(project: Project, slo: str, incident: Incident | None = None) -> Iterator[Reason]:
    """Yield when a breach of the SLO opens and closes."""
    kind = incident.labels["kind"] if incident else Kind.BREACH
    known = _slo(project, slo)
    if known is not None and kind == Kind.BREACH:
        opens = _windows(known.open_after, "breached", among=known.open_within)
        closes = _windows(known.close_after, "met")
        yield Reason(Topic.RULE, f"a breach opens with {opens} and closes with {closes}")
    if known is not None and kind == Kind.BLIND:
        after = project.settings.alerting.blind_after
        yield Reason(Topic.RULE, f"a slice that could not be judged for {spoken(after)} raises an alert of its own")


def _windows(count: int, verdict: str, *, among: int = 0) -> str:
    if count == 1:
        return f"1 {verdict} window"
    return f"{count} {verdict} of {among} windows" if among > count else f"{count} {verdict} windows in a row"


def _slo(project: Project, name: str) -> SLO | None:
    return project.registry.find(name) if name in project.registry else None


@dataclass(frozen=True)
class _Place:
    """A slice of an SLO at an instant."""

    session: Session
    project: Project
    slo: str
    slice: str
    at: datetime

    @property
    def called(self) -> str:
        """What people call it."""
        return f"{self.slo} of {place(self.slice)}"

    def open_then(self) -> list[Trace]:
        """Return the incidents that the slice was part of, breaches before anything else."""
        standing = incidents.between(self.session, start=self.at, end=self.at + _INSTANT)
        about = sorted(
            (one for one in standing if one.labels["slo"] == self.slo), key=lambda one: _KINDS.index(one.labels["kind"])
        )
        traces = [_trace(self.session, one, self.at, self.slice) for one in about]
        return [one for one in traces if self.slice in one.members()]

    def seen(self) -> Iterator[Reason]:
        """Yield the last window that had ended by then, and the breach that went on."""
        row = self._row
        if row is not None:
            window = span(row.window_start, row.window_end)
            yield Reason(Topic.SEEN, f"the window {window} was {row.verdict}: {row.reason}", row.window_end)
        elif self.slo in self.project.registry:
            yield Reason(Topic.SEEN, f"no window of {self.slo} for {place(self.slice)} had been measured by then")
        for breach in self._breaches:
            since, opened = second(breach.onset), second(breach.opened_at)
            words = f"a breach had gone on since {since}, open with the window to {opened}"
            # The window that opened it may not have been over yet.
            yield Reason(Topic.SEEN, words, min(breach.opened_at, self.at))

    def why(self) -> str:
        """Return in words why nothing was open."""
        dismissed, pending, after = self._dismissed(), self._pending(), self._after()
        if dismissed is not None and dismissed.resolved_at is not None:
            who, when = dismissed.reason.removeprefix(BY_PERSON), second(dismissed.resolved_at)
            return f"resolved by hand by {who} at {when}; the same trouble does not open it again"
        if self._breaches:
            later = f"; its alert fired at {second(after.fired_at)}" if after and after.fired_at else ""
            return f"the breach had not been seen yet{later}"
        if pending is not None:
            return f"it was pending since {second(pending.since)}, too few windows had shown it"
        return self._by_verdict()

    def neighbours(self) -> Iterator[Reason]:
        """Yield the alert that ended last before, and the one that fired first after."""
        before, after = self._before(), self._after()
        if before is not None and before.resolved_at is not None:
            ended = f"its last alert ended at {second(before.resolved_at)}"
            words = f"{ended} (incident {before.incident_id}): {before.reason}"
            yield Reason(Topic.INCIDENT, words, before.resolved_at)
        if after is not None and after.fired_at is not None:
            words = f"its next alert fired at {second(after.fired_at)} (incident {after.incident_id})"
            yield Reason(Topic.INCIDENT, words, after.fired_at)
        if before is None and after is None:
            yield Reason(Topic.INCIDENT, "it has never been part of an incident")

    def _by_verdict(self) -> str:
        row = self._row
        if row is None:
            return "nothing had been measured by then" if self.slo in self.project.registry else "it was well"
        if row.verdict not in JUDGED:
            return f"its last window was {row.verdict} ({row.reason}), which neither opens nor ends an alert"
        if row.verdict is Verdict.BREACHED:
            return "its last window was breached, but too few in a row to open a breach"
        return "its last window met the promise" + (", with a warning" if row.verdict is Verdict.WARNING else "")

    @cached_property
    def _row(self) -> Measurement | None:
        rows = measurements.last_rows(self.session, self.slo, until=self.at)
        return next((row for row in rows if row.slice == self.slice), None)

    @cached_property
    def _breaches(self) -> list[Breach]:
        horizon = self.project.settings.evaluation_step
        going = breaches.as_of(self.session, self.slo, self.at, horizon=horizon)
        return [one for one in going if one.slice == self.slice]

    @cached_property
    def _alerts(self) -> list[Alert]:
        """The episodes of the slice, oldest first."""
        environment = self.project.settings.alerting.environment
        subjects = [Subject(kind, self.slo, self.slice, environment=environment) for kind in Kind]
        found = [one for s in subjects for one in alerts.of_fingerprint(self.session, s.fingerprint)]
        return sorted(found, key=lambda one: one.since)

    def _pending(self) -> Alert | None:
        begun = (one for one in self._alerts if one.since <= self.at and _is_later(one.fired_at, self.at))
        return next((one for one in begun if _is_later(one.resolved_at, self.at)), None)

    def _dismissed(self) -> Alert | None:
        """Return the episode that a person has ended although its trouble went on."""
        last = next((one for one in reversed(self._alerts) if not _is_later(one.resolved_at, self.at)), None)
        is_by_hand = last is not None and last.reason.startswith(BY_PERSON)
        return last if last and is_by_hand and any(one.id == last.source_id for one in self._breaches) else None

    def _before(self) -> Alert | None:
        over = [one for one in self._alerts if one.incident_id and not _is_later(one.resolved_at, self.at)]
        return over[-1] if over else None

    def _after(self) -> Alert | None:
        return next((one for one in self._alerts if one.fired_at is not None and one.fired_at > self.at), None)


def _is_later(instant: datetime | None, at: datetime) -> bool:
    """Whether it came about after the instant, or has not yet."""
    return instant is None or instant > at
