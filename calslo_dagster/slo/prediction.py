"""Predictions: how many false breaches an SLO makes, in closed form, from one slice's scores and volume."""

import math
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import Final

import numpy as np

from calslo_dagster.slo.model import Measurement, Operator, Verdict
from calslo_dagster.slo.rehearsal import Stage, judged
from calslo_dagster.slo.traffic import PANES_PER_DAY, Truth
from calslo_dagster.slo.trials import Calibration, Certain, Rate
from calslo_dagster.slo.windows import DAY, STEP, WEEK
from calslo_dagster.stats.bins import Binned
from calslo_dagster.stats.crossings import LITTLE, episode_rate, local_correlation, window_correlation
from calslo_dagster.stats.intervals import HALF_NORMAL_VARIANCE, upper_tail
from calslo_dagster.stats.snapshot import Snapshot
from calslo_dagster.stats.tails import absolute_sum_tail, binomial_tail, cornish_fisher_tail

# Windows from which mean, scatter and skewness of any other indicator are taken.
_SAMPLED: Final = 200
_SEED: Final = 11
_UPPER: Final = (Operator.AT_MOST, Operator.BELOW)


@dataclass(frozen=True, slots=True)
class Prediction:
    """How often breaches begin while the promise is kept.

    per_month: per slice and 30 days; tail: the share of windows past the limit, over the day; events: those of a window
    in the mean; limit: that of such a window; method: in words; bins: occupied bins, of a calibration error; judged:
    the share of windows with enough events. None where there is no closed form, or no such number.
    """

    per_month: float | None
    tail: float
    events: float
    limit: float | None
    method: str
    bins: int | None = None
    judged: float = 1.0


def predict(stage: Stage, truth: Truth, *, limit: float | None = None) -> Prediction:
    """Return the prediction under this truth; `limit` replaces that of the windows, for what another one would do.

    Windows shorter than a day are taken one by one over the day. A window counts as often as it holds enough events.
    """
    if stage.is_bet_on:
        return _budgeted(stage)
    rng = np.random.default_rng(_SEED)
    parts = [_window(stage, truth, rng, end=end, limit=limit) for end in _ends(stage)]
    per_step = math.fsum(part.starts for part in parts) / len(parts)
    known = [part for part in parts if part.limit is not None]
    return Prediction(
        per_month=None if stage.slo.open_within else per_step * stage.looks_per_month,
        tail=math.fsum(part.tail for part in parts) / len(parts),
        events=math.fsum(part.events for part in parts) / len(parts),
        limit=known[-1].limit if known else None,
        method=_BY_BUDGET if stage.is_sure else _METHODS.get(type(stage.slo.trial), _BY_MOMENTS),
        bins=known[-1].bins if known else None,
        judged=math.fsum(part.judged for part in parts) / len(parts),
    )


_BY_MOMENTS: Final = f"mean, scatter and skewness of {_SAMPLED} simulated windows (Cornish-Fisher)"
_BY_BUDGET: Final = "bound of the budget (normal intervals)"
_METHODS: Final = {
    Calibration: "sum of half-normals by saddlepoint, episodes by a Gaussian chain",
    Rate: "binomial tail, episodes by a Gaussian chain",
    Certain: "a count of facts, which chance does not change",
}


def _budgeted(stage: Stage) -> Prediction:
    """Return the bound: at most as many alarms as steps over the threshold, whatever the data."""
    bound = stage.looks_per_month / stage.threshold
    return Prediction(bound, 0.0, 0.0, None, "bound of the budget (Shiryaev-Roberts)")


def _ends(stage: Stage) -> range:
    if stage.is_weekly or stage.slo.window % DAY == timedelta(0):
        return range(1)
    return range(0, PANES_PER_DAY, stage.step // STEP)


@dataclass(frozen=True, slots=True)
class _Part:
    starts: float
    tail: float
    events: float
    limit: float | None
    judged: float
    bins: int | None = None


def _window(stage: Stage, truth: Truth, rng: np.random.Generator, *, end: int, limit: float | None) -> _Part:
    current = stage.traffic.window(stage.slo.window, end, truth, rng)
    baseline = stage.traffic.window(WEEK, end, truth, rng) if stage.is_weekly else None
    row = judged(stage, current, baseline)
    fail = row.threshold if limit is None else limit
    enough = _enough(row.events, stage.slo.min_events)
    if not isinstance(fail, float | int) or row.value is None or not enough:
        return _Part(0.0, 0.0, row.events, None, enough)
    tail, correlation = _tail(stage, row, current, fail=float(fail), truth=truth)
    slo = stage.slo
    starts = tail
    if not stage.is_sure:
        starts = episode_rate(tail, correlation, open_after=slo.open_after, close_after=slo.close_after)
    return _Part(enough * starts, enough * tail, row.events, float(fail), enough, row.bins)


def _enough(events: float, least: int) -> float:
    """Return how likely a Poisson number of this mean is at least `least`."""
    return upper_tail((least - 0.5 - events) / math.sqrt(events)) if events else float(least <= 0)


def _tail(stage: Stage, row: Measurement, current: Snapshot, *, fail: float, truth: Truth) -> tuple[float, float]:
    """Return how likely a window is past its limit, and how alike neighbours are."""
    shared = 0.0 if stage.is_weekly else window_correlation(stage.slo.window / stage.step)
    if stage.is_sure:
        return stage.slo.alarms.breaches / stage.looks, shared
    match stage.slo.trial:
        case Certain():
            return 0.0, shared
        case Calibration():
            return _of_error(current, row, fail, shared)
        case Rate(counts=counts):
            trials, rate = counts(current).trials, truth.rate
            return (0.0 if rate is None else binomial_tail(_allowed(stage, trials), trials, rate)), shared
        case _:
            return _of_moments(stage, fail, truth), shared


def _of_error(current: Snapshot, row: Measurement, fail: float, shared: float) -> tuple[float, float]:
    sums = Binned.equal_mass(current, row.bins or 1)
    deviations = np.sqrt(sums.model_variance) / sums.total_weight
    scatter = math.sqrt(HALF_NORMAL_VARIANCE * float((deviations * deviations).sum()))
    tail, past = (absolute_sum_tail(deviations, fail + by * scatter) for by in (0.0, LITTLE))
    return tail, local_correlation(shared, tail, past)


def _allowed(stage: Stage, trials: int) -> int:
    """Return how many hits a window of so many trials may have."""
    limit = stage.limit or 0.0
    if stage.slo.objective.operator is Operator.BELOW and stage.slo.unit != "us":
        return math.ceil(limit * trials - 1e-9) - 1
    return math.floor(limit * trials + 1e-9)


def _of_moments(stage: Stage, fail: float, truth: Truth) -> float:
    """Return how likely the indicator is past its limit, by the first three moments of simulated values."""
    rng, is_upper = np.random.default_rng(_SEED), stage.slo.objective.operator in _UPPER
    draws = stage.traffic.windows(stage.slo.window, truth, rng)
    before = stage.traffic.windows(stage.slo.window, truth, rng) if stage.is_weekly else None
    rows = [judged(stage, one, next(before) if before else None) for one in islice(draws, _SAMPLED)]
    values = np.array([row.value for row in rows if row.value is not None])
    if len(values) < 2 or stage.slo.objective.operator in (Operator.EQUAL, Operator.WITHIN):
        return sum(row.verdict is Verdict.BREACHED for row in rows) / _SAMPLED
    deviation = float(values.std(ddof=1))
    if deviation == 0.0:
        return float(rows[0].verdict is Verdict.BREACHED)
    centred = (values - values.mean()) / deviation
    skewness, z = float((centred**3).mean()), (fail - float(values.mean())) / deviation
    return cornish_fisher_tail(z, skewness) if is_upper else cornish_fisher_tail(-z, -skewness)
