"""A robust line through daily points whose sampling errors are known."""

import math
from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np

from calslo_dagster.stats.daily import Daily, Floats, Paths

# What the median of pairwise slopes is worth against least squares when the errors are normal (Sen 1968).
EFFICIENCY: Final = 3 / math.pi
# More than this is no correlation of neighbours but a line that does not fit.
MOST_CORRELATED: Final = 0.8


@dataclass(frozen=True, slots=True)
class Line:
    """A line: its level on the day `centre`, slope per day and their standard errors, which are uncorrelated.

    dispersion: the factor by which the points scatter about the line beyond what sampling explains, as a variance.
    """

    centre: float
    level: float
    slope: float
    level_error: float
    slope_error: float
    dispersion: float

    @classmethod
    def of(cls, daily: Daily) -> Self:
        """Return the line through at least three points.

        slope: the median of the slopes of all pairs of points (Theil 1950; Sen 1968), each with the weight
        |t_i - t_j| / sqrt(e_i^2 + e_j^2), which is best for equal errors (Jaeckel 1972); level: the median of what is
        left, by precision. Errors are those of weighted least squares over the efficiency and times the dispersion: 1
        for sampling, which days do not share, and what the points scatter beyond it, times what the correlation of
        neighbouring days adds.
        """
        precision = daily.errors**-2.0
        precision = precision / precision.max()
        centre = float(precision @ daily.days) / float(precision.sum())
        slope = _slope(daily)
        level = _median(daily.values - slope * (daily.days - centre), precision)
        rest = (daily.values - level - slope * (daily.days - centre)) / daily.errors
        dispersion = 1 + (_scatter(rest) - 1) * _correlation(rest)
        unit = float(daily.errors.min()) * math.sqrt(dispersion / EFFICIENCY)
        span = float(precision @ (daily.days - centre) ** 2)
        errors = unit / math.sqrt(float(precision.sum())), unit / math.sqrt(span)
        return cls(centre, level, slope, *errors, dispersion)

    @property
    def z(self) -> float:
        """The slope in standard errors."""
        return self.slope / self.slope_error

    def sampling_error(self, day: int) -> float:
        """Return the standard error of the level on a day, as far as it is due to sampling."""
        error = math.hypot(self.level_error, (day - self.centre) * self.slope_error)
        return error / math.sqrt(self.dispersion)

    def shrunk(self, usual: float) -> Self:
        """Return the line with the slope as it is likely to be, when slopes of the size `usual` are typical.

        The mean and deviation of a normal slope whose prior is normal about 0, with the deviation `usual` or, if that
        is larger, the slope itself, so that what is beyond doubt stays as it is (empirical Bayes).
        """
        prior, error = max(usual, abs(self.slope)) ** 2, self.slope_error**2
        share = prior / (prior + error)
        return replace(self, slope=share * self.slope, slope_error=math.sqrt(share) * self.slope_error)

    def ahead(self, normals: Floats, until: int) -> Paths:
        """Return straight paths from the day `until` on.

        normals: shape (paths, 2, days + 1), independent standard normals, of which the first day's are used.
        """
        later = until - self.centre + np.arange(normals.shape[2])
        level = self.level + self.level_error * normals[:, 0, 0]
        slope = self.slope + self.slope_error * normals[:, 1, 0]
        return Paths(level[:, None] + slope[:, None] * later, slope)


def _slope(daily: Daily) -> float:
    first, second = np.triu_indices(len(daily), 1)
    apart = (daily.days[second] - daily.days[first]).astype(np.float64)
    slopes = (daily.values[second] - daily.values[first]) / apart
    return _median(slopes, apart / np.hypot(daily.errors[first], daily.errors[second]))


def _scatter(rest: Floats) -> float:
    """Return the mean square of the standardized residuals for two fitted numbers, at least 1."""
    return max(1.0, float(rest @ rest) / max(len(rest) - 2, 1))


def _correlation(rest: Floats) -> float:
    """Return the factor (1 + r) / (1 - r) of correlated neighbours, at least 1.

    The correlation of n residuals of a line is about -(2 + 4 r) / n too low (Marriott and Pope 1954), put right here.
    """
    n, square = len(rest), float(rest @ rest)
    if square == 0.0 or n < 6:
        return 1.0
    raw = float(rest[1:] @ rest[:-1]) / square
    r = min(max((n * raw + 2) / (n - 4), 0.0), MOST_CORRELATED)
    return (1 + r) / (1 - r)


def _median(values: Floats, weights: Floats) -> float:
    """Return the weighted median: the middle of the two values around half of the weight, where it falls between."""
    order = np.argsort(values, kind="stable")
    ordered, before = values[order], np.cumsum(weights[order])
    half = before[-1] / 2
    low = int(np.searchsorted(before, half * (1 - 1e-12)))
    high = min(int(np.searchsorted(before, half * (1 + 1e-12), side="right")), len(values) - 1)
    return float(ordered[low] + ordered[high]) / 2
