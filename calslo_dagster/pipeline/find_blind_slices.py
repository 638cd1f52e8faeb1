"""Find the slices that used to be judged and cannot be any more, and say why others are no longer such."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Final, Self

from sqlalchemy.orm import Session

from calslo_dagster.alerting.model import Alert, Finding, Kind, Severity, Signal, Subject
from calslo_dagster.pipeline.context import step_of
from calslo_dagster.pipeline.project import Project
from calslo_dagster.slo.model import EVERYTHING, JUDGED, SLO, Cadence, Measurement, Verdict
from calslo_dagster.slo.slices import matches, slice_values
from calslo_dagster.slo.windows import DAY, WEEK, day_span, spoken
from calslo_dagster.store import evaluations, measurements, slo_days

# More than this share of the windows must have been judged while all was well: a slice with little traffic is silent
# each night without being blind.
USUAL_SHARE: Final = 0.5
_UNJUDGED: Final = (Verdict.UNKNOWN, Verdict.ERROR)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a slice may be silent, how long before that counts as its usual time, and when it is gone for good."""

    after: timedelta
    usual: timedelta
    gone: timedelta

    @classmethod
    def of(cls, project: Project, slo: SLO) -> Self:
        """Return how patient the settings are with the SLO; a weekly one is blind after two weeks without a verdict."""
        if slo.cadence is Cadence.WEEKLY:
            return cls(after=2 * WEEK, usual=4 * WEEK, gone=4 * WEEK)
        return cls(after=project.settings.alerting.blind_after, usual=WEEK, gone=WEEK)


@dataclass(frozen=True, slots=True)
class Blindness:
    """The slices that are blind, and why the alerts about others end, by fingerprint."""

    signals: tuple[Signal, ...] = ()
    endings: Mapping[str, str] = field(default_factory=dict)


def find_blind_slices(
    session: Session, project: Project, slo: SLO, now: datetime, *, standing: Iterable[Alert] = ()
) -> Blindness:
    """Return the SLO's slices that had verdicts and have had none for long; `standing` are the open alerts.

    One that is blind stays so until a window is judged, nothing is promised for the slice any more, or the slice has
    had no traffic at all for long.
    """
    look = _Look(session, project, slo, now)
    blind = [one for one in standing if one.subject.kind is Kind.BLIND and one.subject.name == slo.name]
    endings = look.endings(blind)
    kept = [look.kept(one) for one in blind if one.subject.fingerprint not in endings]
    return Blindness((*kept, *look.begun(frozenset(one.subject.slice for one in blind))), endings)


@dataclass
class _Look:
    """One look at one SLO."""

    session: Session
    project: Project
    slo: SLO
    now: datetime

    @property
    def until(self) -> datetime:
        """The end of the window that still goes on."""
        return self.now + self.project.settings.evaluation_step

    @cached_property
    def at(self) -> datetime:
        """The end of the last evaluated window: while we stand still ourselves no slice falls silent or goes away."""
        ends = [row.window_end for row in self.silent.values()][:1]
        last = evaluations.last_end(self.session, self.slo.name, until=self.until)
        return min(self.now, max([*ends, *([last] if last else [])], default=self.now))

    @cached_property
    def patience(self) -> Patience:
        """How long is long."""
        return Patience.of(self.project, self.slo)

    @cached_property
    def silent(self) -> Mapping[str, Measurement]:
        """The rows of the last window that could not be judged."""
        rows = measurements.last_rows(self.session, self.slo.name, until=self.until, verdicts=_UNJUDGED)
        return {row.slice: row for row in rows}

    def endings(self, blind: Sequence[Alert]) -> dict[str, str]:
        """Return why those of the alerts end that do, by fingerprint."""
        absent = [alert for alert in blind if alert.subject.slice not in self.silent]
        if not absent:
            return {}
        judged = self._judged_lately([alert.subject.slice for alert in absent])
        first, last = (self.at - self.patience.gone).date(), self.until.date()
        there = slo_days.present(self.session, self.slo.name, first=first, last=last)
        reasons = {alert.subject.fingerprint: self._ending(alert, judged, there) for alert in absent}
        return {fingerprint: reason for fingerprint, reason in reasons.items() if reason}

    def _ending(self, alert: Alert, judged: Mapping[str, datetime], there: Collection[str]) -> str:
        """Return why an alert ends about a slice that the last window does not call unknown, empty if it goes on."""
        name = alert.subject.slice
        if name in judged and judged[name] > alert.since:
            return f"it can be judged again, since the window that ended at {judged[name]:%Y-%m-%d %H:%M} UTC"
        if not matches(self.slo.slices, name):
            return f"SLO {self.slo.name} promises nothing for it any more"
        # Where nothing comes at all it is the log that is gone, and no slice.
        if name not in there and name != EVERYTHING:
            return f"it has had no traffic at all for {spoken(self.patience.gone)}: the slice is gone"
        return ""

    def kept(self, alert: Alert) -> Signal:
        """Return the signal of an alert that goes on, with what the last window says if it says anything."""
        row = self.silent.get(alert.subject.slice)
        finding = _finding(row) if row else alert.finding
        return Signal(
            alert.subject,
            alert.severity,
            alert.since,
            alert.since,
            finding,
            values=alert.values,
            source_id=alert.source_id,
        )

    def begun(self, known: Collection[str]) -> Iterator[Signal]:
        """Yield the slices beside the known ones that have been silent for too long."""
        silent = [name for name in self.silent if name not in known and matches(self.slo.slices, name)]
        pasts = self._pasts(silent)
        lately = self._judged_lately(pasts)
        late = {name: past for name, past in pasts.items() if name not in lately}
        if not late:
            return
        first, step = min(past.day for past in late.values()), step_of(self.project, self.slo)
        start, cutoff = day_span(first).start, self.at - self.patience.after
        for name, last in measurements.last_known(self.session, self.slo.name, late, start=start, end=cutoff).items():
            if late[name].share(last, step) > USUAL_SHARE:
                yield self._signal(self.silent[name], last)

    def _signal(self, row: Measurement, last: datetime) -> Signal:
        environment = self.project.settings.alerting.environment
        subject = Subject(Kind.BLIND, self.slo.name, row.slice, row.model, environment)
        values = slice_values(row.slice)
        return Signal(subject, Severity.WARNING, last, last, _finding(row), values=values, source_id=str(last))

    def _pasts(self, names: Collection[str]) -> dict[str, "_Past"]:
        """Return what came before the last verdict of those slices that may be blind, without looking at windows."""
        if not names:
            return {}
        cutoff, usual, slo = self.at - self.patience.after, self.patience.usual, self.slo.name
        last = slo_days.last_judged(self.session, slo, first=(cutoff - 2 * usual).date(), last=self.until.date())
        days = {name: last[name] for name in names if name in last and last[name] <= cutoff.date()}
        found: dict[str, _Past] = {}
        for day in set(days.values()):
            counted = slo_days.added(self.session, slo, first=day - usual + DAY, last=day)
            on_day = slo_days.added(self.session, slo, first=day, last=day)
            found |= {name: _Past.of(day, counted[name], on_day[name]) for name, one in days.items() if one == day}
        return {name: past for name, past in found.items() if past.most > USUAL_SHARE}

    def _judged_lately(self, names: Iterable[str]) -> dict[str, datetime]:
        """Return those of the slices that were judged within the time after which a slice is blind."""
        cutoff = self.at - self.patience.after
        return measurements.last_known(self.session, self.slo.name, names, start=cutoff, end=self.until)


@dataclass(frozen=True, slots=True)
class _Past:
    """The windows of a slice up to the day of its last verdict; `unjudged_then` are those of that day."""

    day: date
    judged: int
    unjudged: int
    unjudged_then: int

    @classmethod
    def of(cls, day: date, counted: Mapping[Verdict, int], on_day: Mapping[Verdict, int]) -> Self:
        """Return the past of a slice from its verdicts up to the day, and from those of the day alone."""
        return cls(day, _sum(counted, JUDGED), _sum(counted, _UNJUDGED), _sum(on_day, _UNJUDGED))

    @property
    def most(self) -> float:
        """The share of windows that were judged, at most."""
        return self.judged / (self.judged + self.unjudged - self.unjudged_then)

    def share(self, last: datetime, step: timedelta) -> float:
        """Return the share of windows up to the last verdict that were judged.

        The windows after it say nothing about how it used to be.
        """
        after = max(0, (day_span(self.day).end - last) // step)
        return self.judged / (self.judged + self.unjudged - min(after, self.unjudged_then))


def _sum(counted: Mapping[Verdict, int], verdicts: Iterable[Verdict]) -> int:
    return sum(counted.get(verdict, 0) for verdict in verdicts)


def _finding(row: Measurement) -> Finding:
    return Finding(events=row.events, reason=row.reason, window_end=row.window_end)
