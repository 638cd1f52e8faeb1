"""Availability, error budgets, burn rates and mean times of every SLO and slice, as of the last final window."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

from sqlalchemy.orm import Session

from calslo_dagster.pipeline.context import step_of
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.watermark import current_watermark
from calslo_dagster.slo.availability import State, Tally, states
from calslo_dagster.slo.breach import Episode
from calslo_dagster.slo.budget import Budget, PlannedTier, budget, burning, plan_tiers
from calslo_dagster.slo.model import SLO, Verdict
from calslo_dagster.slo.reliability import Exposure, Reliability, exposure, reliability
from calslo_dagster.slo.windows import DAY, Window, day_of, day_span, open_end, window_ends
from calslo_dagster.store import availability, breaches, measurements, slo_days
from calslo_dagster.store.availability import AvailabilityRow

# Of a thousand slices there are ten thousand rows, of which a person looks at the first few.
MOST_ROWS: Final = 100
_REMEMBERED: Final = 4_096


@dataclass(frozen=True, slots=True)
class AvailabilityReport:
    """The newest rows with the least budget left at worst, the least first; `total` is how many newest rows there are.

    `measured` rows are new in this run.
    """

    rows: tuple[AvailabilityRow, ...]
    total: int
    measured: int


def measure_availability(project: Project, *, now: datetime) -> AvailabilityReport:
    """Bring availability up to date; an SLO without a newly final window keeps its rows."""
    watermark, new = current_watermark(project, now), 0
    for slo in project.registry if watermark else ():
        as_of = open_end(watermark, step_of(project, slo)) - step_of(project, slo) if watermark else now
        new += _measure(project, slo, as_of)
    with project.store.read() as session:
        rows, total = availability.tightest(session, MOST_ROWS)
    return AvailabilityReport(rows, total, new)


def _measure(project: Project, slo: SLO, as_of: datetime) -> int:
    """Record the SLO's availability as of the instant unless it is on record; return how many rows are new."""
    with project.store.read() as session:
        if availability.is_current(session, slo.name, as_of):
            return 0
        look = _Look(project, session, slo, as_of, measurements.first_ends(session, slo.name))
        rows = [row for period in project.settings.availability.periods for row in look.rows(period)]
    with project.store.write() as session:
        if availability.is_current(session, slo.name, as_of):
            # Another run was faster; it has counted the same.
            return 0
        availability.add(session, rows)
    return len(rows)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """The windows of one slice by state, the time in and out of breaches, and the burn rates that fire."""

    tally: Tally
    observed: Exposure
    burn: tuple[Mapping[str, object], ...] = ()


@dataclass(frozen=True, slots=True)
class _Look:
    """One SLO at one instant; `firsts` are the ends of the first windows of its slices.

    Slices without a breached window are counted, the others are gone through one by one.
    """

    project: Project
    session: Session
    slo: SLO
    as_of: datetime
    firsts: Mapping[str, datetime]

    def rows(self, period: timedelta) -> Iterator[AvailabilityRow]:
        """Yield the availability of each slice over the period that ends at the instant."""
        span = Window(self.as_of - period, self.as_of)
        episodes: dict[str, list[Episode]] = {}
        for breach in breaches.between(self.session, start=span.start, end=span.end, slo=self.slo.name):
            episodes.setdefault(breach.slice, []).append(breach.episode)
        for name, counted in sorted(self._counts(span).items()):
            start = max(span.start, self.firsts[name] - self.step)
            if start >= span.end:
                # So far the slice has been seen in windows after the instant only.
                continue
            seen = Window(start, span.end)
            if counted.get(Verdict.BREACHED, 0) or name in episodes:
                outcome = self._gone_through(name, seen, episodes.get(name, []))
            else:
                outcome = self._counted(counted, seen)
            yield self._row(name, period, outcome)

    @property
    def step(self) -> timedelta:
        """The distance of two window ends."""
        return step_of(self.project, self.slo)

    def _counts(self, span: Window) -> dict[str, dict[Verdict, int]]:
        """Return the verdicts of each slice: whole days from their counts, the first day, cut by the span, by rows."""
        first = day_of(span.start + self.step)
        found = slo_days.added(self.session, self.slo.name, first=first + DAY, last=day_of(span.end))
        cut = measurements.counts(self.session, self.slo.name, start=span.start, end=min(day_span(first).end, span.end))
        for name, counted in cut.items():
            whole = found.setdefault(name, {})
            for verdict, windows in counted.items():
                whole[verdict] = whole.get(verdict, 0) + windows
        return found

    def _counted(self, counted: Mapping[Verdict, int], seen: Window) -> _Outcome:
        """Return the tally of a slice that was never breached; windows that are missing are unknown."""
        good = counted.get(Verdict.MEETING, 0) + counted.get(Verdict.WARNING, 0)
        excluded = counted.get(Verdict.EXCLUDED, 0)
        unknown = _expected(seen, self.step) - good - excluded
        return _Outcome(Tally(good, 0, unknown, excluded), Exposure(up=good * self.step, ends_up=int(good > 0)))

    def _gone_through(self, name: str, seen: Window, episodes: Sequence[Episode]) -> _Outcome:
        burn = self.project.settings.burn
        reach = min(seen.start, self.as_of - burn.period)
        verdicts = measurements.verdicts(self.session, self.slo.name, name, start=reach, end=self.as_of)
        ends = window_ends(seen.start, seen.end, self.step)
        found = states(verdicts, ends)
        tally = Tally(*(found.count(state) for state in State))
        plan = plan_tiers(self.step, self.slo.target, burn.period, self.project.settings.burn_tiers())
        observed = exposure(seen, episodes, ends=ends, found=found, step=self.step)
        return _Outcome(tally, observed, tuple(self._burns(plan, found)))

    def _row(self, name: str, period: timedelta, outcome: _Outcome) -> AvailabilityRow:
        left, times = _judged(outcome.tally, outcome.observed, self.slo.target)
        return AvailabilityRow(
            slo=self.slo.name,
            slice=name,
            period_days=period // DAY,
            as_of=self.as_of,
            target=self.slo.target,
            tally=outcome.tally,
            budget=left,
            reliability=times,
            burn=outcome.burn,
        )

    def _burns(self, plan: Sequence[PlannedTier], found: Sequence[State]) -> Iterator[Mapping[str, object]]:
        for burn in burning(plan, found, self.slo.target):
            yield {
                "tier": burn.tier.name,
                "factor": float(burn.tier.factor),
                "long_rate": float(burn.long_rate),
                "short_rate": float(burn.short_rate),
                "bad": burn.bad,
                "expected": burn.expected,
            }


@lru_cache(_REMEMBERED)
def _expected(seen: Window, step: timedelta) -> int:
    """Return how many windows end in the span, which is the same for most slices."""
    return len(window_ends(seen.start, seen.end, step))


@lru_cache(_REMEMBERED)
def _judged(tally: Tally, observed: Exposure, target: float) -> tuple[Budget, Reliability]:
    """Return what is left of the budget and the mean times; slices without trouble have the same."""
    return budget(tally, target), reliability(observed)
