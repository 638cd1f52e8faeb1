"""Tails: how often a statistic passes its limit by chance alone, in closed form."""

import math
from typing import Final

import numpy as np

from calslo_dagster.stats.intervals import HALF_NORMAL_MEAN, HALF_NORMAL_VARIANCE, LEVEL, Floats, upper_tail

# Third central moment of |X| for a standard normal X.
HALF_NORMAL_THIRD: Final = HALF_NORMAL_MEAN * (4 / math.pi - 1)
# So near the mean, in deviations, the saddlepoint formula divides two small numbers.
_NEAR_MEAN: Final = 0.05
_STEPS: Final = 60
# Of the mean; below it the saddlepoint formula runs out of digits, and next to nothing is within the limit.
_LEAST: Final = 0.002


def cornish_fisher_tail(z: float, skewness: float) -> float:
    """Return the probability that a statistic exceeds its mean by `z` deviations, corrected for its skewness.

    The quantile at the normal quantile q lies at q + (q^2 - 1) skewness / 6 (Cornish and Fisher 1938); this solves it
    for q. Good to a fifth down to about 1 in 1,000 for a sum of fifteen half-normals; see `absolute_sum_tail` beyond.
    """
    bend = skewness / 6
    if abs(bend) < 1e-9:
        return upper_tail(z)
    root = 1 + 4 * bend * (bend + z)
    return upper_tail((math.sqrt(root) - 1) / (2 * bend)) if root > 0 else float(bend > 0)


def absolute_sum_tail(deviations: Floats, limit: float) -> float:
    """Return P(sum |X_k| > limit) for independent X_k ~ N(0, deviation_k^2).

    Lugannani and Rice (1980) on the cumulant function sum_k s^2 d_k^2 / 2 + log(2 Phi(s d_k)): the relative error stays
    within some 1% however small P is. By Cornish-Fisher close to the mean, where that formula is 0 / 0.
    """
    d = deviations[deviations > 0]
    if not len(d) or limit <= 0:
        return float(limit < 0 or (limit == 0 and len(d) > 0))
    mean, deviation = HALF_NORMAL_MEAN * float(d.sum()), math.sqrt(HALF_NORMAL_VARIANCE * float((d * d).sum()))
    z = (limit - mean) / deviation
    if abs(z) < _NEAR_MEAN:
        return cornish_fisher_tail(z, HALF_NORMAL_THIRD * float((d**3).sum()) / deviation**3)
    if limit < _LEAST * mean:
        return 1.0
    s = _saddlepoint(d, limit)
    cumulant, _, curvature = _cumulants(d, s)
    r = math.copysign(math.sqrt(max(2 * (s * limit - cumulant), 0.0)), s)
    tail = upper_tail(r) + math.exp(-r * r / 2) / math.sqrt(2 * math.pi) * (1 / (s * math.sqrt(curvature)) - 1 / r)
    return min(max(tail, 0.0), 1.0)


def _cumulants(d: Floats, s: float) -> tuple[float, float, float]:
    """Return the cumulant function of sum |X_k| at s, and its first two derivatives."""
    from scipy.special import erfcx, log_ndtr  # noqa: PLC0415 - takes 0.15 s to import, and few need it

    t = s * d
    # Each form overflows on the side of the other.
    scaled = erfcx(-np.minimum(t, 0.0) / math.sqrt(2))
    above = np.maximum(t, 0.0)
    log_above = log_ndtr(above)
    hazard_above = np.exp(-above * above / 2 - log_above) / math.sqrt(2 * math.pi)
    hazard = np.where(t > 0, hazard_above, HALF_NORMAL_MEAN / scaled)
    value = float(np.where(t > 0, above * above / 2 + math.log(2) + log_above, np.log(scaled)).sum())
    slope = float((d * (t + hazard)).sum())
    bend = float((d * d * (1 - hazard * (t + hazard))).sum())
    return value, slope, max(bend, 1e-300)


def _saddlepoint(d: Floats, limit: float) -> float:
    """Return where the derivative of the cumulant function, which increases, is `limit`; by bisection."""
    reach = 1 / float(d.max())
    low, high = -reach, reach
    while _cumulants(d, low)[1] > limit:
        low *= 2
    while _cumulants(d, high)[1] < limit:
        high *= 2
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if _cumulants(d, middle)[1] < limit else (low, middle)
    return (low + high) / 2


def binomial_tail(hits: int, trials: int, rate: float) -> float:
    """Return the probability of more than `hits` among `trials` at this rate; exact."""
    from scipy.special import bdtrc  # noqa: PLC0415 - takes 0.15 s to import, and few need it

    if hits < 0:
        return 1.0
    return float(bdtrc(hits, trials, rate)) if hits < trials else 0.0


def poisson_interval(count: int, level: float = LEVEL) -> tuple[float, float]:
    """Return the exact two-sided interval of a Poisson mean after `count` events (Garwood 1936)."""
    from scipy.special import gammaincinv  # noqa: PLC0415 - takes 0.15 s to import, and few need it

    tail = (1 - level) / 2
    low = float(gammaincinv(count, tail)) if count else 0.0
    return low, float(gammaincinv(count + 1, 1 - tail))
