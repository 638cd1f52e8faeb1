"""Intervals of sums whose noise is skewed, as that of rare events is: exact for counts, by three moments otherwise."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from calslo_dagster.stats.estimate import Estimate
from calslo_dagster.stats.intervals import LEVEL, clopper_pearson, two_sided_z

Floats = NDArray[np.float64]

# From so many events up the approximation by Wilson and Hilferty is off by less than a thousandth of the half width.
MANY: Final = 50.0


def garwood(count: float, level: float = LEVEL) -> tuple[float, float]:
    """Return the exact interval of a Poisson mean (Garwood 1936), never below nominal coverage.

    The count may be fractional. From 50 up by the cube root of Wilson and Hilferty (1931).
    """
    tail = (1 - level) / 2
    if count <= 0.0:
        return 0.0, -math.log(tail)
    if count >= MANY:
        z = two_sided_z(level)
        low, high = (
            k * (1 - 1 / (9 * k) + side * z / (3 * math.sqrt(k))) ** 3 for k, side in ((count, -1.0), (count + 1, 1.0))
        )
        return low, high
    # scipy.special takes 0.15 s to import, which only those pay who have few events.
    from scipy.special import gammaincinv  # noqa: PLC0415

    return float(gammaincinv(count, tail)), float(gammaincinv(count + 1, 1 - tail))


def count_interval(count: float, variance: float, size: float, level: float = LEVEL) -> tuple[float, float]:
    """Return the interval of the expected number of positives among events that differ in their probability.

    count: the positives, fractional where weighted, of `size` events; variance: sum q (1 - q), or more. A sum of unlike
    Bernoulli variables is close to the binomial of its mean and variance (Ehm 1991), so this is the exact interval of
    that one, by its rarer outcome; of a Poisson count where the variance is that or more. Within [0, size].
    """
    rare = min(count, size - count)
    if variance >= rare:
        low, high = garwood(rare, level)
    else:
        trials = rare * rare / (rare - variance)
        low, high = (trials * end for end in clopper_pearson(rare, trials, level))
    low, high = min(low, rare), min(high, size)
    return (low, high) if count <= size - count else (size - high, size - low)


def translated_poisson(
    value: float, variance: float, third: float, *, unit: float, level: float = LEVEL
) -> tuple[float, float]:
    """Return the interval of a mean from the variance and the third central moment of its estimate.

    Those of u X + c with X a Poisson count (Roellin 2007): u = third / variance, mean of X = variance / u^2. So it is
    value + u (end - mean) with the ends of `garwood`: normal where skewness vanishes, and never without room for an
    event that was not seen. unit: what one such event would add, which stands for u where there is no variance.
    """
    if variance <= 0.0:
        return value, value + unit * garwood(0.0, level)[1]
    jump = third / variance
    mean = variance / (jump * jump) if jump else math.inf
    if mean > 1e8:
        half = two_sided_z(level) * math.sqrt(variance)
        return value - half, value + half
    low, high = garwood(mean, level)
    ends = value + jump * (low - mean), value + jump * (high - mean)
    return min(ends), max(ends)


def cell_mean(
    mean: float, square: float, cells: tuple[Floats, Floats], *, size: float, events: int, level: float = LEVEL
) -> Estimate:
    """Return a mean >= 0 over events with its interval, which a single event does not have.

    square: mean of the squares; cells: values and shares of the weight, each (cells,). standard error =
    sqrt((square - mean^2) / (size - 1)). The interval is `translated_poisson`, as if the largest value seen made up the
    variance, since the tail of scores may be longer than a few show; the low end is the normal one where that is lower.
    """
    if size <= 1:
        return Estimate(mean, events=events)
    variance, (values, shares) = max(square - mean * mean, 0.0) / (size - 1), cells
    distances = values - mean
    third, largest = (
        float(shares @ (distances * distances * distances)) / size**2,
        float(distances.max(initial=0.0)) / size,
    )
    third = max(third, variance * largest) if third > 0 else third
    low, high = translated_poisson(mean, variance, third, unit=0.0, level=level)
    error = math.sqrt(variance)
    low = max(0.0, min(low, mean - two_sided_z(level) * error))
    return Estimate(mean, low, high, events, standard_error=error)
