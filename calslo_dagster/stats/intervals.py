"""Intervals: two-sided, at one confidence level for the whole product, in closed form where one exists."""

import math
from collections.abc import Sequence
from functools import cache
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from calslo_dagster.stats.estimate import Estimate

Floats = NDArray[np.float64]

LEVEL: Final = 0.95
HALF_NORMAL_MEAN: Final = math.sqrt(2 / math.pi)
HALF_NORMAL_VARIANCE: Final = 1 - 2 / math.pi


@cache
def two_sided_z(level: float = LEVEL) -> float:
    """Return the normal quantile at `(1 + level) / 2`: 1.96 for 0.95."""
    if not 0.0 < level < 1.0:
        raise ValueError(f"a confidence level lies strictly between 0 and 1, got {level}")
    return NormalDist().inv_cdf((1 + level) / 2)


def upper_tail(z: float) -> float:
    """Return the probability that a standard normal exceeds `z`."""
    return 0.5 * math.erfc(z / math.sqrt(2))


def effective_size(weight: float, square_weight: float) -> float:
    """Return how many equally weighted events carry the information of these: `(sum w)^2 / sum w^2` (Kish 1965).

    The number of events when all weights are equal, 0 without weight.
    """
    return weight * weight / square_weight if square_weight > 0 else 0.0


def clopper_pearson(successes: float, trials: float, level: float = LEVEL) -> tuple[float, float]:
    """Return the exact binomial interval of a proportion (Clopper and Pearson 1934), never below nominal coverage.

    Both arguments may be fractional (an effective size). Without trials it is the whole of [0, 1].
    """
    tail = (1 - level) / 2
    if trials <= 0:
        return 0.0, 1.0
    if successes <= 0:
        return 0.0, 1 - tail ** (1 / trials)
    if successes >= trials:
        return tail ** (1 / trials), 1.0
    # scipy.special takes 0.15 s to import, which only those pay who have seen both outcomes.
    from scipy.special import betaincinv  # noqa: PLC0415

    low = float(betaincinv(successes, trials - successes + 1, tail))
    return low, float(betaincinv(successes + 1, trials - successes, 1 - tail))


def quantile_ranks(events: int, share: float, level: float = LEVEL) -> tuple[int | None, int | None]:
    """Return the ranks (1 = smallest) of the order statistics that enclose the quantile at `share`.

    The number of events below the quantile is binomial(events, share), whatever the distribution (David and Nagaraja
    2003, section 7.1), so the coverage is at least `level`. None: too few events for a bound on that side.
    """
    if events == 0:
        return None, None
    first, below = _binomial_cdf(events, share)
    tail = (1 - level) / 2
    low = first + int(np.searchsorted(below, tail, side="right"))
    high = first + int(np.searchsorted(below, 1 - tail, side="left")) + 1
    return (low if low >= 1 else None), (high if high <= events else None)


def _binomial_cdf(trials: int, share: float) -> tuple[int, Floats]:
    """Return the smallest count that matters and the binomial distribution function from there on."""
    reach = 12 * math.sqrt(trials * share * (1 - share)) + 12
    first = max(0, math.floor(trials * share - reach))
    last = min(trials, math.ceil(trials * share + reach))
    k = np.arange(first + 1, last + 1, dtype=np.float64)
    steps = np.log((trials - k + 1) / k * (share / (1 - share)))
    logs = np.concatenate([[0.0], np.cumsum(steps)])
    mass = np.exp(logs - logs.max())
    # Twelve deviations leave out less than rounding does.
    below: Floats = np.cumsum(mass) / mass.sum()
    return first, below


def proportion(share: float, trials: float, *, events: int, level: float = LEVEL) -> Estimate:
    """Return a share of `trials` (an effective size when weighted) with its exact interval, see `clopper_pearson`.

    Wilson's holds the truth too seldom for some rates, 0.905 of the time for one in a thousand among 100 events.
    The standard error is that of the share after adding z*z/2 successes and failures (Agresti and Coull 1998), so
    that a share of 0 or 1 does not claim to be certain.
    """
    low, high = clopper_pearson(share * trials, trials, level)
    square = two_sided_z(level) ** 2
    middle = (share * trials + square / 2) / (trials + square)
    error = math.sqrt(middle * (1 - middle) / (trials + square))
    return Estimate(share, min(low, share), max(high, share), events, standard_error=error)


def sample_mean(mean: float, mean_square: float, size: float, *, events: int, level: float = LEVEL) -> Estimate:
    """Return the mean of values >= 0 with its normal interval, from their mean square and (effective) number.

    standard error = sqrt((mean of squares - square of mean) / (size - 1)); none for a single event.
    """
    if size <= 1:
        return Estimate(mean, events=events)
    error = math.sqrt(max(mean_square - mean * mean, 0.0) / (size - 1))
    half = two_sided_z(level) * error
    return Estimate(mean, max(0.0, mean - half), mean + half, events, standard_error=error)


def around(value: float, standard_error: float, *, events: int, level: float = LEVEL) -> Estimate:
    """Return the estimate with the interval `value` plus and minus z standard errors."""
    half = two_sided_z(level) * standard_error
    return Estimate(value, value - half, value + half, events, standard_error=standard_error)


def absolute_sum_interval(
    value: float, variances: Floats, weight: float, *, unit: float = 1.0, level: float = LEVEL
) -> tuple[float, float]:
    """Return the interval of a binned L1 calibration error from `value` = sum_k |D_k| / weight.

    variances: shape (bins,), of the D_k = sum_i w_i (p_i - y_i), each the larger of what the model claims and what
    the labels show. With F and s0 the mean and standard deviation of the value under perfect calibration,
    low = max(0, value - F - z s0) by the triangle inequality and high = value + z sqrt(sum V) / weight by Jensen's,
    in the score form sqrt(sum V + z^2/4) + z/2 of a Poisson count, or rare events without a single positive would
    have an interval without width. `unit` is what one event weighs: sum w^2 / sum w.
    """
    z = two_sided_z(level)
    total = float(variances.sum())
    mean = HALF_NORMAL_MEAN * float(np.sqrt(variances).sum())
    spread = math.sqrt(HALF_NORMAL_VARIANCE * total)
    low = max(0.0, value - (mean + z * spread) / weight)
    high = value + z * (math.sqrt(total + (unit * z / 2) ** 2) + unit * z / 2) / weight
    return low, min(1.0, high)


def folded_normal(means: Floats, deviations: Floats) -> tuple[Floats, Floats]:
    """Return mean and variance of |X| for X ~ N(mean, deviation^2), each shape (n,) (Leone, Nelson, Nottingham 1961).

    A deviation of zero gives |mean| and 0.
    """
    safe = np.where(deviations > 0, deviations, 1.0)
    ratio = means / safe
    first = safe * HALF_NORMAL_MEAN * np.exp(-0.5 * ratio * ratio) + means * error_function(ratio / math.sqrt(2))
    first = np.where(deviations > 0, first, np.abs(means))
    return first, np.maximum(means * means + deviations * deviations - first * first, 0.0)


def error_function(values: Sequence[float] | Floats) -> Floats:
    """Return erf of each value, shape (n,); one call per value beats importing scipy for a few dozen bins."""
    return np.array([math.erf(v) for v in values], dtype=np.float64)
