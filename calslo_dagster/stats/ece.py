"""Expected calibration error: equal width, equal mass, debiased, its worst bin and its noise floor.

With bins k, weights w, scores p and labels y: D_k = sum_k w (p - y), W = sum w, ECE = sum_k |D_k| / W. Only labelled
events enter. An estimate without labelled events has no value.
"""

import math
from dataclasses import dataclass

import numpy as np

from calslo_dagster.stats.batch import Batch, Values
from calslo_dagster.stats.bins import DEFAULT_BINS, Binned, Ints, default_bins, equal_mass_bins
from calslo_dagster.stats.estimate import Estimate
from calslo_dagster.stats.intervals import (
    HALF_NORMAL_MEAN,
    HALF_NORMAL_VARIANCE,
    LEVEL,
    Floats,
    absolute_sum_interval,
    clopper_pearson,
    error_function,
    folded_normal,
    two_sided_z,
    upper_tail,
)
from calslo_dagster.stats.remembered import remembered
from calslo_dagster.stats.snapshot import Snapshot

__all__ = [
    "NullFloor",
    "debiased_ece",
    "debiased_squared_ece",
    "default_bins",
    "ece_bound",
    "equal_mass_bins",
    "equal_mass_ece",
    "equal_mass_ece_many",
    "equal_width_ece",
    "mce",
    "null_floor",
    "worst_null_floor",
]

NO_LABELS = "no labelled events"


@dataclass(frozen=True, slots=True)
class NullFloor:
    """What the ECE of a perfectly calibrated model would be on these scores: mean and standard deviation."""

    mean: float
    deviation: float

    def exceedance(self, limit: float) -> float:
        """Return the probability that a perfectly calibrated model shows an ECE above `limit`, by normal theory."""
        if self.deviation == 0.0:
            return float(self.mean > limit)
        return upper_tail((limit - self.mean) / self.deviation)


def equal_width_ece(snapshot: Snapshot, bins: int = 10, *, level: float = LEVEL) -> Estimate:
    """Return the ECE over equal-width bins [k/bins, (k+1)/bins), the last one closed (Guo et al. 2017, eq. 3).

    Exact, not approximated, when `bins` divides 60; any other number raises ValueError. The interval is that of the
    binned error at `level`, see `absolute_sum_interval`.
    """
    return _ece(Binned.equal_width(snapshot, bins), level)


@remembered
def equal_mass_ece(snapshot: Snapshot, bins: int = DEFAULT_BINS, *, level: float = LEVEL) -> Estimate:
    """Return the ECE over equal-mass bins that keep equal scores together (Roelofs et al. 2022).

    Cutting the fine bins moves the value by at most a third of its own sampling noise, see `Binned.equal_mass`.
    """
    return _ece(Binned.equal_mass(snapshot, bins), level)


def equal_mass_ece_many(batch: Batch, bins: Ints | int = DEFAULT_BINS) -> Values:
    """Return `equal_mass_ece` of every window; bins: one number for all, or one for each, shape (windows,)."""
    value, events = np.full(len(batch), np.nan), np.zeros(len(batch), dtype=np.int64)
    for windows, sums in Binned.equal_mass_many(batch, np.broadcast_to(np.asarray(bins, dtype=np.int64), len(batch))):
        value[windows] = _error(sums)
        events[windows] = np.round(sums.events.sum(axis=-1))
    return Values(value, events)


def mce(snapshot: Snapshot, bins: int = 15, *, level: float = LEVEL) -> Estimate:
    """Return the largest |mean score - rate| over the non-empty equal-width bins (Guo et al. 2017, eq. 5).

    The interval joins the exact intervals of all bins at a level that holds for them together (Bonferroni), so one bin
    with a single event makes it wide instead of making the value an alarm; Wilson's would be too short in such a bin.
    """
    sums = Binned.equal_width(snapshot, bins)
    if not len(sums.index):
        return Estimate.missing(NO_LABELS)
    gaps = np.abs(sums.gap) / sums.weight
    sizes = sums.size
    within = 1 - (1 - level) / len(gaps)
    low, high = 0.0, 0.0
    for score, rate, size in zip(sums.score / sums.weight, sums.rate, sizes, strict=True):
        least, most = clopper_pearson(float(rate * size), float(size), within)
        low, high = max(low, least - score, score - most), max(high, most - score, score - least)
    value = float(gaps.max())
    return Estimate(value, min(low, value), max(high, value), sums.total_events)


@remembered
def debiased_ece(snapshot: Snapshot, bins: int = DEFAULT_BINS, *, level: float = LEVEL) -> Estimate:
    """Return the ECE less its estimated bias, 2 ECE - E[ECE*], over equal-mass bins.

    ECE* is the ECE with the rate of bin k drawn again from N(rate_k, rate_k (1 - rate_k) / n_k): the debiasing of
    Kumar, Liang, Ma (2019, section 5) for the L1 error, with the mean of a folded normal in place of Monte Carlo. It
    removes some 40% of the bias near perfect calibration and nearly all of it at errors above the noise; it may be
    slightly negative. The interval is that of the plug-in ECE, since both estimate one quantity.
    """
    sums = Binned.equal_mass(snapshot, bins)
    if not len(sums.index):
        return Estimate.missing(NO_LABELS)
    weight, gaps, deviations = sums.total_weight, np.abs(sums.gap), np.sqrt(sums.label_variance)
    redrawn, _ = folded_normal(gaps, deviations)
    value = float((2 * gaps - redrawn).sum()) / weight
    low, high = absolute_sum_interval(float(gaps.sum()) / weight, sums.variance, weight, unit=sums.unit, level=level)
    error = float(np.sqrt((_debiased_variances(gaps, np.sqrt(sums.variance))).sum())) / weight
    return Estimate(value, min(low, value), max(high, value), sums.total_events, standard_error=error)


def debiased_squared_ece(snapshot: Snapshot, bins: int = DEFAULT_BINS, *, level: float = LEVEL) -> Estimate:
    """Return the debiased squared L2 calibration error over equal-mass bins; signed, without a root.

    sum_k (n_k / N) [(mean p - rate)^2 - rate (1 - rate) / (n_k - 1)] (Kumar, Liang, Ma 2019, section 5; Broecker
    2012). Bins of fewer than two (effective) events are left out. Unbiased, so a calibrated model scatters around 0.
    standard error: sqrt(sum_k (n_k / N)^2 (4 d_k^2 v_k + 2 v_k^2)) with gap d_k of variance v_k.
    interval: of the squared L2 norm of true gaps. By the triangle inequality the root is at least that of the gaps
    seen less that of noise alone, a weighted sum of chi-squares (Satterthwaite 1946); and at most what is seen plus
    noise along one direction, of variance max (n_k / N) v_k, in the score form of `absolute_sum_interval`.
    """
    sums = Binned.equal_mass(snapshot, bins)
    if not len(sums.index):
        return Estimate.missing(NO_LABELS)
    sizes = sums.size
    enough = sizes >= 2
    if not enough.any():
        return Estimate.missing("no bin has two labelled events", sums.total_events)
    rate, share = sums.rate[enough], sums.weight[enough] / sums.total_weight
    variances = np.maximum(rate * (1 - rate), 0.0) / (sizes[enough] - 1)
    squares = (sums.gap[enough] / sums.weight[enough]) ** 2
    value = float((share * (squares - variances)).sum())
    spread = 4 * np.maximum(squares - variances, 0.0) * variances + 2 * variances**2
    error = math.sqrt(float((share**2 * spread).sum()))
    low, high = _squared_interval(sums, level)
    return Estimate(value, min(low, value), max(high, value), sums.total_events, standard_error=error)


def null_floor(snapshot: Snapshot, bins: int = DEFAULT_BINS) -> NullFloor | None:
    """Return the floor of the equal-mass ECE under perfect calibration, None without labelled events.

    mean = sqrt(2/pi) sum_k sqrt(V_k) / W, variance = (1 - 2/pi) sum_k V_k / W^2, V_k = sum_k w^2 p (1 - p): each D_k
    is about N(0, V_k) when the model is right, so |D_k| is half-normal. Needs n_k p (1 - p) of about 1 or more.
    """
    sums = Binned.equal_mass(snapshot, bins)
    return _floor_of(sums.model_variance, sums.total_weight) if len(sums.index) else None


def worst_null_floor(events: int, bins: int) -> NullFloor:
    """Return the floor of the least predictable scores, all 0.5, which no other scores exceed: V_k = n / (4 bins)."""
    return _floor_of(np.full(bins, events / (4 * bins)), events)


def ece_bound(events: float, bins: int, c: float, floor: float) -> float:
    """Return the limit max(floor, c sqrt(bins / events)); 1.0, which no ECE exceeds, without events.

    c: above what chance alone yields; `worst_null_floor(events, bins).exceedance(limit)` says how often it would.
    """
    return max(floor, c * math.sqrt(bins / events)) if events > 0 else max(floor, 1.0)


def _floor_of(variances: Floats, weight: float) -> NullFloor:
    mean = HALF_NORMAL_MEAN * float(np.sqrt(variances).sum()) / weight
    return NullFloor(mean, math.sqrt(HALF_NORMAL_VARIANCE * float(variances.sum())) / weight)


def _ece(sums: Binned, level: float) -> Estimate:
    if not len(sums.index):
        return Estimate.missing(NO_LABELS)
    weight, gaps, variances = sums.total_weight, np.abs(sums.gap), sums.variance
    value = float(_error(sums))
    low, high = absolute_sum_interval(value, variances, weight, unit=sums.unit, level=level)
    _, scatter = folded_normal(gaps, np.sqrt(variances))
    error = math.sqrt(float(scatter.sum())) / weight
    return Estimate(value, low, high, sums.total_events, standard_error=error, bins=len(sums.index))


def _squared_interval(sums: Binned, level: float) -> tuple[float, float]:
    """Return the ends of sum_k (n_k / N) d_k^2 over all bins."""
    z, share = two_sided_z(level), sums.weight / sums.total_weight
    seen = math.sqrt(float((sums.gap**2 / sums.weight).sum()) / sums.total_weight)
    noise = share * sums.variance / sums.weight**2
    mean, spread = float(noise.sum()), 2 * float((noise**2).sum())
    # A chi-square of so many degrees of freedom, by Wilson and Hilferty (1931).
    degrees = 2 * mean * mean / spread if spread > 0 else 1.0
    most = mean * max(0.0, 1 - 2 / (9 * degrees) + z * math.sqrt(2 / (9 * degrees))) ** 3
    unit = z / 2 * sums.unit / float(np.sqrt(sums.weight.min() * sums.total_weight))
    reach = z * math.hypot(math.sqrt(float(noise.max())), unit) + z * unit
    return max(0.0, seen - math.sqrt(most)) ** 2, min(1.0, seen + reach) ** 2


def _error(sums: Binned) -> Floats:
    """Return sum_k |D_k| / W of one window, shape (), or of several, (windows,)."""
    found: Floats = np.abs(sums.gap).sum(axis=-1) / sums.weight.sum(axis=-1)
    return found


def _debiased_variances(gaps: Floats, deviations: Floats) -> Floats:
    """Return the variance of 2|D| - E|D*| per bin: that of |D| times the squared slope, 2 - erf(|D| / sd / sqrt 2)."""
    _, scatter = folded_normal(gaps, deviations)
    safe = np.where(deviations > 0, deviations, 1.0)
    slope = 2 - error_function(gaps / safe / math.sqrt(2))
    return slope * slope * scatter
