"""Rehearsals: an SLO on simulated traffic, judged by `measure` and folded into breaches, or bet on in evidence mode."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from statistics import median
from typing import Final

import numpy as np

from calslo_dagster.slo.breach import BreachState, Outcome, Track, fold
from calslo_dagster.slo.limits import own_limits
from calslo_dagster.slo.model import SLO, Cadence, Evidence, Measurement, Verdict
from calslo_dagster.slo.traffic import Traffic, Truth
from calslo_dagster.slo.trials import Calibration, Interval, Mode, Rate
from calslo_dagster.slo.verdict import measure
from calslo_dagster.slo.watch import tolerating
from calslo_dagster.slo.windows import STEP, WEEK, Window
from calslo_dagster.stats.alarm_budget import MONTH, AlarmBudget
from calslo_dagster.stats.baseline import Baseline
from calslo_dagster.stats.batches import Batch
from calslo_dagster.stats.rate_bets import fresh_rate, rate_statistic, rate_step, reset_rate
from calslo_dagster.stats.sequential import Detector, Mixture
from calslo_dagster.stats.snapshot import Snapshot
from calslo_dagster.stats.tails import poisson_interval
from calslo_dagster.stats.tilts import Kind

# A Monday.
_BEGIN: Final = datetime(2026, 1, 5, tzinfo=UTC)
# A weekly SLO is rehearsed over so many times as many weeks, because these are few and cost little.
_WEEKS_PER_MONTH: Final = 60
_DELAY_RUNS: Final = 9


@dataclass(frozen=True, slots=True)
class Count:
    """So many alarms in so many months of 30 days of one slice; past: the share of windows past the limit."""

    alarms: int
    months: float
    past: float = 0.0

    @property
    def rate(self) -> float:
        """Alarms per month."""
        return self.alarms / self.months

    @property
    def interval(self) -> tuple[float, float]:
        """The exact interval of the true rate at 95 %, by Poisson."""
        low, high = poisson_interval(self.alarms)
        return low / self.months, high / self.months


@dataclass(frozen=True, slots=True)
class Stage:
    """What a rehearsal goes by: the SLO, the slice, the distance of two looks, and how many slices there are."""

    slo: SLO
    traffic: Traffic
    step: timedelta = STEP
    slices: int = 1

    @property
    def is_weekly(self) -> bool:
        """Whether weeks are compared."""
        return self.slo.cadence is Cadence.WEEKLY

    @property
    def looks_per_month(self) -> float:
        """Windows in 30 days."""
        return MONTH / (WEEK if self.is_weekly else self.step)

    @property
    def is_bet_on(self) -> bool:
        """Whether alarms come from detectors rather than from windows past a limit."""
        return self.slo.mode is Mode.EVIDENCE and isinstance(self.slo.trial, Calibration | Rate)

    @property
    def is_sure(self) -> bool:
        """Whether a window is breached only where its standard error leaves no doubt."""
        return self.slo.mode is Mode.EVIDENCE and isinstance(self.slo.trial, Interval)

    @property
    def looks(self) -> float:
        """Windows of all slices in 30 days, which share the false alarms of evidence mode."""
        return max(1.0, self.slices * self.looks_per_month)

    @property
    def threshold(self) -> float:
        """What the statistic of a detector must reach in evidence mode."""
        return AlarmBudget(self.slo.alarms.breaches).threshold(self.slices, self.step)

    @property
    def limit(self) -> float | None:
        """The largest rate that keeps the promise of a `Rate`; None for others."""
        if not isinstance(self.slo.trial, Rate):
            return None
        limit = self.slo.trial.limit if self.slo.trial.limit is not None else self._override()
        return limit if isinstance(limit, float | int) and 0 < limit < 1 else None

    def _override(self) -> object:
        row = judged(self, Snapshot(), Snapshot())
        return row.threshold

    @property
    def baseline(self) -> Baseline:
        """What the detectors know of the scores."""
        day = self.traffic.window(timedelta(days=1), 0, Truth(), np.random.default_rng(0))
        return tolerating(self.slo, Baseline.of(day), own_limits(self.slo, self.traffic.name, self.traffic.model)[0])


def judged(
    stage: Stage,
    current: Snapshot,
    baseline: Snapshot | None,
    *,
    end: datetime = _BEGIN,
    panes: Sequence[Snapshot] = (),
) -> Measurement:
    """Return the measurement of a simulated window."""
    slo, traffic = stage.slo, stage.traffic
    evidence = Evidence(current, baseline, traffic.expected, traffic.expected if baseline else {}, panes)
    window = Window(end - slo.window, end)
    return measure(slo, evidence, window, slice_name=traffic.name, model=traffic.model, looks=stage.looks)


def false_breaches(stage: Stage, truth: Truth, rng: np.random.Generator, *, months: float) -> Count:
    """Return how many breaches the windows of so many months make under this truth, or how many alarms the bets do."""
    if stage.is_bet_on:
        return _alarms(stage, truth, rng, months=months)
    looks = _WEEKS_PER_MONTH * months if stage.is_weekly else months * stage.looks_per_month
    step = WEEK if stage.is_weekly else stage.step
    outcomes = [Outcome.of(stage.slo, row) for row in islice(_rows(stage, truth, rng), int(looks))]
    track = replace(Track.of(stage.slo, stage.traffic.name), step=step)
    _, episodes = fold(track, BreachState(), outcomes)
    past = sum(outcome.verdict is Verdict.BREACHED for outcome in outcomes) / len(outcomes)
    return Count(len(episodes), len(outcomes) / stage.looks_per_month, past)


def _rows(stage: Stage, truth: Truth, rng: np.random.Generator) -> Iterator[Measurement]:
    """Yield the measurements of one window end after the other."""
    if stage.is_weekly:
        weeks, before = stage.traffic.windows(WEEK, truth, rng), Snapshot()
        before = next(weeks)
        for number, week in enumerate(weeks):
            yield judged(stage, week, before, end=_BEGIN + (number + 1) * WEEK)
            before = week
        return
    for number, (window, panes) in enumerate(_sliding(stage, truth, rng)):
        yield judged(stage, window, None, end=_BEGIN + (number + 1) * stage.step, panes=panes)


def _sliding(stage: Stage, truth: Truth, rng: np.random.Generator) -> Iterator[tuple[Snapshot, list[Snapshot]]]:
    """Yield the full windows at each look, with their panes where the SLO wants to see them."""
    length, every, pane = stage.slo.window // STEP, stage.step // STEP, stage.slo.pane
    held = deque[Snapshot]()
    begin = Snapshot()
    totals, cells, latency = begin.totals.copy(), begin.cells.copy(), begin.latency.copy()
    for number, one in enumerate(stage.traffic.panes(truth, rng), start=1):
        held.append(one)
        gone = held.popleft() if len(held) > length else Snapshot()
        totals += one.totals - gone.totals
        cells += one.cells - gone.cells
        latency += one.latency - gone.latency
        if number >= length and number % every == 0:
            window = Snapshot(totals.copy(), cells.copy(), latency.copy(), versions=dict(stage.traffic.versions))
            yield window, _grouped(list(held), pane // STEP) if pane else []


def _grouped(panes: list[Snapshot], each: int) -> list[Snapshot]:
    groups = [panes[at : at + each] for at in range(0, len(panes), each)]
    return [sum(group[1:], start=group[0]) for group in groups]


def _alarms(stage: Stage, truth: Truth, rng: np.random.Generator, *, months: float) -> Count:
    """Count the alarms of the breach detector, which begins afresh after each."""
    steps = int(months * stage.looks_per_month)
    alarms, stream = 0, Stream.begun(stage)
    for at, pane in enumerate(islice(stage.traffic.panes(truth, rng, stage.step), steps)):
        stream = stream.after(pane, at)
        if stream.statistic >= stage.threshold:
            alarms, stream = alarms + 1, stream.reset()
    return Count(alarms, steps / stage.looks_per_month)


def delay(stage: Stage, truth: Truth, rng: np.random.Generator, *, longest: timedelta = MONTH) -> timedelta | None:
    """Return the median time until the detector finds what begins with the first pane; None if longer than `longest`.

    The detector has been reset right before, so it has nothing to go on yet.
    """
    found = sorted(_delay(stage, truth, rng, longest // stage.step) for _ in range(_DELAY_RUNS))
    steps = median(found)
    return None if steps == np.inf else steps * stage.step


def _delay(stage: Stage, truth: Truth, rng: np.random.Generator, most: int) -> float:
    stream, threshold = Stream.begun(stage).reset(), stage.threshold
    for at, pane in enumerate(islice(stage.traffic.panes(truth, rng, stage.step), most), start=1):
        stream = stream.after(pane, at)
        if stream.statistic >= threshold:
            return float(at)
    return np.inf


def seen_share(stage: Stage, truth: Truth, rng: np.random.Generator, *, windows: int) -> float:
    """Return in which share of windows that lie wholly under this truth the SLO is breached.

    Of a weekly SLO the week before is that of a calibrated model.
    """
    draws = stage.traffic.windows(stage.slo.window, truth, rng)
    before = stage.traffic.windows(stage.slo.window, Truth(), rng) if stage.is_weekly else None
    rows = (judged(stage, one, next(before) if before else None) for one in islice(draws, windows))
    return sum(row.verdict is Verdict.BREACHED for row in rows) / windows


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """The breach detector of an SLO on one slice, whichever kind it is."""

    stage: Stage
    state: Detector | Mixture
    baseline: Baseline | None = None

    @classmethod
    def begun(cls, stage: Stage) -> "Stream":
        """Return the detector at the begin of an epoch."""
        if isinstance(stage.slo.trial, Rate):
            return cls(stage, fresh_rate())
        return cls(stage, Detector.fresh(Kind.BREACH, ""), stage.baseline)

    def reset(self) -> "Stream":
        """Return the detector after an alarm."""
        return replace(self, state=self.state.reset() if isinstance(self.state, Detector) else reset_rate())

    def after(self, pane: Snapshot, at: float) -> "Stream":
        """Return the detector after a pane."""
        trial, limit = self.stage.slo.trial, self.stage.limit
        if isinstance(self.state, Detector) and self.baseline is not None:
            return replace(self, state=self.state.step(Batch.of(pane), self.baseline, at=at))
        if isinstance(self.state, Mixture) and isinstance(trial, Rate) and limit is not None:
            counts = trial.counts(pane)
            return replace(self, state=rate_step(self.state, counts.hits, counts.trials, limit=limit, at=at))
        return self

    @property
    def statistic(self) -> float:
        """What is compared with the threshold."""
        return rate_statistic(self.state) if isinstance(self.state, Mixture) else self.state.statistic
