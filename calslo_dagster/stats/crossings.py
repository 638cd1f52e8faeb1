"""Crossings: how often a value that is looked at step after step, over windows that overlap, begins an episode."""

import math
from functools import lru_cache
from statistics import NormalDist
from typing import Final

import numpy as np

from calslo_dagster.stats.intervals import HALF_NORMAL_VARIANCE, Floats

# Wide enough for limits that a month of looks passes once in millions of years.
_REACH: Final = 9.0
# Points per deviation of a step, and how many there are at most: sharper kernels than that are drawn as wide as a cell.
_FINENESS: Final = 4.0
_MOST_POINTS: Final = 1_201
_LEAST_POINTS: Final = 301
RAREST: Final = 1e-15
# In deviations; how far apart the two tails are that tell how fast it falls.
LITTLE: Final = 0.01


def episode_rate(tail: float, correlation: float, *, open_after: int = 1, close_after: int = 2) -> float:
    """Return the mean number of episodes that begin per step, each step passing its limit with probability `tail`.

    An episode begins with a value past the limit after `close_after` values within it, and counts if the `open_after`
    - 1 values that follow are past it too; those that get there only in a second run, up to a fifth, are left out. The
    values are taken as a stationary Gaussian Markov chain with this
    correlation of neighbours, read at the level of the same tail: sums over a sliding window are Gaussian to first
    order, and near a level they wander as such a chain does (Slepian 1961; Aldous 1989, section C). Exact for windows
    that do not overlap.
    """
    if not RAREST < tail < 1 - RAREST:
        return 0.0
    level = -NormalDist().inv_cdf(tail)
    points, mass, kernel = _chain(round(min(max(correlation, 0.0), 0.9999), 4))
    past = _share_past(points, level)
    before, after = np.ones(len(points)), np.ones(len(points))
    for _ in range(close_after):
        before = kernel @ ((1 - past) * before)
    for _ in range(open_after - 1):
        after = kernel @ (past * after)
    found = float((mass * past * before * after).sum())
    # The cells near the level make the tail of the chain differ a little from the one that was asked for.
    return found * tail / max(float((mass * past).sum()), RAREST)


def window_correlation(steps: float) -> float:
    """Return the correlation of a sum over a window of so many steps with the sum one step later."""
    return max(0.0, 1 - 1 / steps)


def absolute_correlation(correlation: float) -> float:
    """Return the correlation of |X| and |Y| for normal X, Y of this correlation (Nabeya 1951)."""
    r = min(max(correlation, 0.0), 1.0)
    return (2 / math.pi) * (r * math.asin(r) + math.sqrt(1 - r * r) - 1) / HALF_NORMAL_VARIANCE


def local_correlation(correlation: float, tail: float, past: float) -> float:
    """Return the correlation of neighbours that makes a Gaussian chain as restless at its level as a sum of |X_k| is.

    correlation: of the X_k with those one step later; tail, past: the probabilities that the sum exceeds its limit, and
    the limit plus a hundredth of its deviation. A sum falls more slowly with the limit than a Gaussian of the same
    tail, so its excursions last longer, by the square of the ratio.
    """
    base = absolute_correlation(correlation)
    if not RAREST < past < tail < 1 - RAREST:
        return base
    normal = NormalDist()
    fall = (normal.inv_cdf(1 - past) - normal.inv_cdf(1 - tail)) / LITTLE
    return float(base ** (fall * fall))


@lru_cache(maxsize=32)
def _chain(correlation: float) -> tuple[Floats, Floats, Floats]:
    """Return the points of a grid, their stationary mass, and the transition matrix of the chain on them."""
    step = math.sqrt(1 - correlation * correlation)
    count = int(min(max(2 * _REACH * _FINENESS / step, _LEAST_POINTS), _MOST_POINTS)) | 1
    points = np.linspace(-_REACH, _REACH, count)
    wide = max(step, points[1] - points[0])
    kernel = np.exp(-0.5 * ((points - correlation * points[:, np.newaxis]) / wide) ** 2)
    mass = np.exp(-0.5 * points * points)
    return points, mass / mass.sum(), kernel / kernel.sum(axis=1, keepdims=True)


def _share_past(points: Floats, level: float) -> Floats:
    """Return which share of the cell around each point lies past the level."""
    width = float(points[1] - points[0])
    share: Floats = np.clip((points - level) / width + 0.5, 0.0, 1.0)
    return share
