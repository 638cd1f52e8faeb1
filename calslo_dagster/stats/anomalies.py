"""Unusual hours of a series, by robust seasonal baselines: counts, rates, and shapes of histograms.

An hour is compared with the same hour of up to four earlier weeks, of up to seven earlier days while there are fewer
than three weeks, and with all hours before it while there are fewer than three days. Counts and rates are transformed
so that their sampling variance is known whatever their size: 2 sqrt(x + 3/8) of a Poisson count has variance 1, and
2 sqrt(n + 1/2) asin sqrt((k + 3/8) / (n + 3/4)) of k in n trials too (Anscombe 1948, equations 2 and 4). What the
series varies beyond that is estimated from its own past.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

HOURS_PER_DAY: Final = 24
HOURS_PER_WEEK: Final = 168
MOST_WEEKS: Final = 4
MOST_DAYS: Final = 7
LEAST_SAME: Final = 3
# With less than a day of history, the night would be judged by the afternoon.
LEAST_HOURS: Final = 24
# What is never unusual, as a share of the expected count: weeks differ a little, a Sunday and the days before it a lot.
SLACK_OF_WEEKS: Final = 0.03
SLACK_OF_DAYS: Final = 0.15
# The same for rates, in asin sqrt p: a point of a rate of one half, a fifth of a point of a rate of one percent.
RATE_SLACK: Final = 0.01
# Hours of a rate that are added up, so that rare events of a small slice are seen at all.
POOLED_HOURS: Final = 5
# From so few residuals an estimate of the spread says little; until then it counts as at least this, per root event.
LEAST_RESIDUALS: Final = 72
SPREAD_UNTIL_KNOWN: Final = 0.20
RESIDUAL_HOURS: Final = 4 * HOURS_PER_WEEK
LARGEST_SPREAD: Final = 10.0
DEGREES: Final = 30.0
LEAST_PER_LEVEL: Final = 5
# Without a past to tell, a shape varies as if its events came in clusters of four.
WIDTH_UNTIL_KNOWN: Final = 4.0
LEAST_WIDTHS: Final = 8
# Median of a chi-square with one degree of freedom.
_CHI_MEDIAN: Final = 0.454936
# The median of m normal values varies so many times as much as their mean.
_MEDIAN_PRICE: Final = math.pi / 2
_OF_HOURS, _OF_DAYS, _OF_WEEKS = 0, 1, 2


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """A series beside what is usual, each shape (hours,), NaN where an hour could not be judged.

    low, high: where the score is minus or plus the threshold that was asked for; score: standard normal while nothing
    is unusual.
    """

    value: Floats
    expected: Floats
    low: Floats
    high: Floats
    score: Floats


@dataclass(frozen=True, slots=True)
class Span:
    """Hours in a row that are unusual in one direction, [first, last]; `worst` is the hour of the largest score."""

    first: int
    last: int
    worst: int


def threshold(tests_per_week: float, alarms_per_week: float = 1.0) -> float:
    """Return the score beyond which an hour is unusual, so that all tests together yield so many false alarms a week.

    Bonferroni over two-sided tests, at least 3. Student's t with 30 degrees of freedom instead of the normal law, since
    centres rest on a few weeks: of counts that vary by 15 % from hour to hour, one score in 5,000 is beyond 4, where
    the normal law has one in 16,000 and t one in 2,600. Beyond the limit of 25 slices, 4.68, where one in 17,500 is
    allowed, was at most one in 38,000 of any law that was tried (`benchmarks.anomalies`).
    """
    if tests_per_week <= 0 or alarms_per_week <= 0:
        raise ValueError(f"both rates are above 0, got {tests_per_week} tests and {alarms_per_week} alarms a week")
    return max(3.0, -float(stdtrit(DEGREES, min(0.5, alarms_per_week / tests_per_week / 2))))


def seasonal(weeks: Sequence[float], days: Sequence[float]) -> float | None:
    """Return what is usual by the same time of other weeks, or of other days while there are few; None without any."""
    chosen = weeks if len(weeks) >= LEAST_SAME else days
    return float(np.median(chosen)) if chosen else None


def count_course(counts: Floats, *, limit: float) -> Course:
    """Return the course of counts per hour, shape (hours,) in the order of time, NaN before the log began.

    The centre is the median of the reference hours; variance 1 + pi / (2 m) in the transformed scale for sampling, and
    mu times the square of the spread for the rest.
    """
    refs, kind = _references(len(counts))
    found = np.where(refs >= 0, counts[refs], np.nan)
    known = np.isfinite(found).sum(axis=1)
    centre = _nanmedian(found)
    centre[known < np.where(kind == _OF_HOURS, LEAST_HOURS, LEAST_SAME)] = np.nan
    slack = np.where(kind == _OF_WEEKS, SLACK_OF_WEEKS, SLACK_OF_DAYS)
    sampling = 1 + _MEDIAN_PRICE / np.maximum(known, 1) + centre * slack**2
    if (kind == _OF_HOURS).any():
        # All hours of a day are no repetition of each other: their own spread is the noise.
        sampling = np.where(kind == _OF_HOURS, 1 + _own_spread(found), sampling)
    gap = 2 * (np.sqrt(counts + 0.375) - np.sqrt(centre + 0.375))
    size = centre * (1 + _MEDIAN_PRICE / np.maximum(known, 1))
    error = np.sqrt(sampling + size * _spread(gap, sampling, size) ** 2)
    reach, middle = limit * error / 2, np.sqrt(centre + 0.375)
    return Course(
        counts,
        centre,
        np.maximum(np.maximum(middle - reach, 0.0) ** 2 - 0.375, 0.0),
        (middle + reach) ** 2 - 0.375,
        gap / error,
    )


def rate_course(part: Floats, whole: Floats, *, limit: float) -> Course:
    """Return the course of a rate, `part` of `whole` events per hour, each shape (hours,).

    The centre is the pooled rate of the middle half of the reference hours, each with the four hours before it, so that
    a quarter of them may be anything. Hours without events have no score.
    """
    refs, kind = _references(len(whole))
    part, whole = np.nan_to_num(part), np.nan_to_num(whole)
    pooled = [np.where(refs >= 0, _trailing(one)[refs], 0.0) for one in (part, whole)]
    centre, size = _middle_half(*pooled)
    few = (pooled[1] > 0).sum(axis=1) < np.where(kind == _OF_HOURS, LEAST_HOURS, LEAST_SAME)
    centre[few] = np.nan
    angle = np.arcsin(np.sqrt(np.clip(centre, 0.5 / (size + 1), 1 - 0.5 / (size + 1))))
    seen = whole > 0
    value = np.divide(part, whole, out=np.full(len(whole), np.nan), where=seen)
    turned = np.arcsin(np.sqrt(np.clip((part + 0.375) / (whole + 0.75), 0.0, 1.0)))
    root = 2 * np.sqrt(whole + 0.5)
    gap = np.where(seen, root * (turned - angle), np.nan)
    sampling = 1 + whole / np.maximum(size, 1) + whole * (2 * RATE_SLACK) ** 2
    error = np.sqrt(sampling + whole * _spread(gap, sampling, whole) ** 2)
    reach = limit * error / root
    low = np.sin(np.clip(angle - reach, 0.0, math.pi / 2)) ** 2
    high = np.sin(np.clip(angle + reach, 0.0, math.pi / 2)) ** 2
    return Course(value, centre, low, high, gap / error)


def shape_course(levels: Floats, *, blocks_per_day: int, limit: float) -> Course:
    """Return the course of the distance between each block's histogram and its season's, in bits, shape (blocks,).

    levels: counts, shape (levels, blocks), of levels that hold about the same mass. The season is the median share of
    each level over the same block of other weeks or days. The Jensen-Shannon divergence of n and m events is about
    (1/n + 1/m) / (8 ln 2) chi-square with levels - 1 degrees of freedom when nothing has moved; the median of the
    series' past widens that, and its cube root is made standard normal (Wilson and Hilferty 1931). Blocks of fewer than
    LEAST_PER_LEVEL events a level, or without a season, have no score.
    """
    size, blocks = levels.sum(axis=0), levels.shape[1]
    refs, kind = _references(blocks, blocks_per_day)
    enough = np.where(size >= LEAST_PER_LEVEL * len(levels), size, np.nan)
    shares = levels / np.where(size > 0, size, 1.0)
    known = np.where(refs >= 0, enough[refs], np.nan)
    usual = np.array([_nanmedian(np.where(np.isfinite(known), one[refs], np.nan)) for one in shares])
    count = np.isfinite(known).sum(axis=1)
    is_judged = (count >= LEAST_SAME) & (kind != _OF_HOURS) & np.isfinite(enough)
    usual = usual / np.where(is_judged, np.nansum(usual, axis=0), np.nan)
    # A median has the noise of fewer events than all that it was taken over.
    unit = (1 / enough + _MEDIAN_PRICE / np.where(is_judged, np.nansum(known, axis=1), np.nan)) / (8 * math.log(2))
    value = _entropy((usual + shares) / 2) - _entropy(usual) / 2 - _entropy(shares) / 2
    mean, shift = unit * (len(levels) - 1), 2 / (9 * (len(levels) - 1))
    ratio = np.where(is_judged, value / mean, np.nan)
    wide = _widths(ratio, (1 - shift) ** 3)
    high = mean * wide * (1 - shift + limit * math.sqrt(shift)) ** 3
    score = (np.cbrt(ratio / wide) - (1 - shift)) / math.sqrt(shift)
    return Course(np.where(is_judged, value, np.nan), mean * wide, np.zeros(blocks), high, score)


def _widths(ratio: Floats, usual: float) -> Floats:
    """Return by how much more than by chance distances vary, at the median of those before; WIDTH_UNTIL_KNOWN first."""
    out = np.full(len(ratio), WIDTH_UNTIL_KNOWN)
    for at in range(len(ratio)):
        past = ratio[:at][np.isfinite(ratio[:at])]
        if len(past) >= LEAST_WIDTHS:
            out[at] = max(1.0, float(np.median(past)) / usual)
    return out


def _entropy(shares: Floats) -> Floats:
    """Return the entropy of each column in bits."""
    known = np.where(shares > 0, shares, 1.0)
    bits: Floats = -(known * np.log2(known)).sum(axis=0)
    return bits


def spans(score: Floats, limit: float) -> Iterator[Span]:
    """Yield the runs of hours whose score is beyond the limit on one side; an hour in between does not end a run.

    An hour that could not be judged, or comes back for a moment, would otherwise cut one trouble into many.
    """
    for side in (1.0, -1.0):
        with np.errstate(invalid="ignore"):
            at = np.flatnonzero(side * score > limit)
        runs = np.split(at, np.flatnonzero(np.diff(at) > 2) + 1) if len(at) else []
        for run in runs:
            yield Span(int(run[0]), int(run[-1]), int(run[np.argmax(side * score[run])]))


@lru_cache(maxsize=8)
def _references(hours: int, per_day: int = HOURS_PER_DAY) -> tuple[Ints, Ints]:
    """Return the hours that each hour is compared with, -1 for none, shape (hours, n), and of which kind they are."""
    at = np.arange(hours)
    weeks = at[:, None] - 7 * per_day * np.arange(1, MOST_WEEKS + 1)
    days = at[:, None] - per_day * np.arange(1, MOST_DAYS + 1)
    every = at[:, None] - np.arange(1, LEAST_SAME * per_day + 1)
    kind = np.select(
        [(weeks >= 0).sum(axis=1) >= LEAST_SAME, (days >= 0).sum(axis=1) >= LEAST_SAME],
        [_OF_WEEKS, _OF_DAYS],
        _OF_HOURS,
    )
    chosen = np.full((hours, every.shape[1]), -1)
    for which, found in ((_OF_WEEKS, weeks), (_OF_DAYS, days), (_OF_HOURS, every)):
        rows = kind == which
        chosen[rows, : found.shape[1]] = np.maximum(found[rows], -1)
    for array in (chosen, kind):
        array.flags.writeable = False
    return chosen, kind


def _nanmedian(values: Floats) -> Floats:
    """Return the median of each row, NaN for a row without any; without the warning that numpy has for it."""
    ordered, known = np.sort(values, axis=1), np.isfinite(values).sum(axis=1)
    rows, last = np.arange(len(values)), values.shape[1] - 1
    low, high = np.clip((known - 1) // 2, 0, last), np.clip(known // 2, 0, last)
    return np.where(known > 0, (ordered[rows, low] + ordered[rows, high]) / 2, np.nan)


def _own_spread(found: Floats) -> Floats:
    """Return the robust variance of the reference hours themselves, in the scale of roots."""
    roots = 2 * np.sqrt(found + 0.375)
    spread: Floats = (1.4826 * _nanmedian(np.abs(roots - _nanmedian(roots)[:, None]))) ** 2
    return spread


def _spread(gap: Floats, sampling: Floats, size: Floats) -> Floats:
    """Return, for each hour, the spread tau of the four weeks before its day: that by which gaps exceed sampling.

    tau solves median(gap^2 / (sampling + size tau^2)) = median of a chi-square: robust, and 0 where sampling explains
    all. Only hours that were judged by references of the same kind tell; while they are few it is SPREAD_UNTIL_KNOWN.
    """
    out = np.full(len(gap), SPREAD_UNTIL_KNOWN)
    kind = _references(len(gap))[1]
    usable = np.isfinite(gap) & np.isfinite(sampling) & np.isfinite(size)
    for start in range(0, len(gap), HOURS_PER_DAY):
        first = max(0, start - RESIDUAL_HOURS)
        past = np.flatnonzero(usable[first:start] & (kind[first:start] == kind[start])) + first
        if len(past) >= LEAST_RESIDUALS:
            out[start : start + HOURS_PER_DAY] = _solved(gap[past] ** 2, sampling[past], size[past])
    return out


def _solved(square: Floats, sampling: Floats, size: Floats) -> float:
    low, high = 0.0, LARGEST_SPREAD
    if np.median(square / sampling) <= _CHI_MEDIAN:
        return low
    for _ in range(30):
        middle = (low + high) / 2
        if np.median(square / (sampling + size * middle**2)) > _CHI_MEDIAN:
            low = middle
        else:
            high = middle
    return high


def _trailing(values: Floats) -> Floats:
    """Return the sum of each hour and the four before it."""
    running = np.concatenate([np.zeros(1), np.cumsum(values)])
    ends = np.arange(1, len(values) + 1)
    sums: Floats = running[ends] - running[np.maximum(ends - POOLED_HOURS, 0)]
    return sums


def _middle_half(part: Floats, whole: Floats) -> tuple[Floats, Floats]:
    """Return the pooled rate of the middle half of each row, by rate, and how many events are behind it."""
    rate = np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
    order = np.argsort(rate, axis=1)
    part, whole = np.take_along_axis(part, order, axis=1), np.take_along_axis(whole, order, axis=1)
    known = (whole > 0).sum(axis=1)[:, None]
    cut, place = known // 4, np.arange(part.shape[1])[None, :]
    kept = (place >= cut) & (place < known - cut)
    size = np.where(kept, whole, 0.0).sum(axis=1)
    centre = np.divide(np.where(kept, part, 0.0).sum(axis=1), size, out=np.full(len(size), np.nan), where=size > 0)
    return centre, size
