"""Where a signed quantity is heading: a forecast from its daily points, and how likely it is to cross a limit.

Half of the forecast is a robust line (`theil_sen`), which is right while a trend goes on; half is an average of local
trend models (`local_trend`), which is right when it ends. Each half alone is often wrong where the other is not, so
their distributions are mixed, not their means. Never forecast a calibration error that folds at zero: a shift that
comes from the other side looks like an improvement until it is past.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Final

import numpy as np

from calslo_dagster.stats import local_trend
from calslo_dagster.stats.daily import Daily, Floats, Paths
from calslo_dagster.stats.theil_sen import Line

HORIZON: Final = 30
SOON: Final = 7
# Four whole weeks, so that weekdays cancel; a line is only asked to hold for two.
SPAN: Final = 28
LINE_SPAN: Final = 14
LEAST_POINTS: Final = 7
QUANTILES: Final = (0.1, 0.5, 0.9)
# A date is told only where a breach is likelier than not and the trend is beyond chance.
LEAST_P: Final = 0.5
LEAST_Z: Final = 3.0
# Moving less than a tenth of the way to the limit in a month is standing still.
STILL: Final = 0.1 / HORIZON
# Of the distance to the limit: where sampling leaves the present level known no better, a forecast would tell of noise.
WORST_KNOWN: Final = 0.5
# A slope that reaches the limit in a month is a typical one; the line is shrunk by so much.
USUAL_SLOPE: Final = 1 / HORIZON
PATHS: Final = 2_048
CONDITION: Final = "if the current trend continues"
NO_DATE: Final = "no reliable trend"
PAST: Final = "already past the limit"
_SEED: Final = 20_260_307


class Direction(StrEnum):
    """Where the quantity is heading, seen from its target; unknown without enough data."""

    IMPROVING = "improving"
    STABLE = "stable"
    DEGRADING = "degrading"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Limits:
    """The values between which there is no breach, infinite where no value would be one, and the ideal between them."""

    low: float
    target: float
    high: float

    def __post_init__(self) -> None:
        """Refuse limits that do not enclose their target."""
        if not self.low < self.target < self.high:
            raise ValueError(f"limits enclose their target, unlike {self}")

    @property
    def unit(self) -> float:
        """The distance from the target to the nearer limit; 1 if there is none."""
        nearer = min(self.high - self.target, self.target - self.low)
        return nearer if math.isfinite(nearer) else 1.0


@dataclass(frozen=True, slots=True)
class Forecast:
    """Quantiles of the quantity 1 to 30 days ahead, each of 30 values in its own unit."""

    low: tuple[float, ...]
    middle: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Trend:
    """What daily points say of the coming month; None where they say nothing, and `reason` then tells why.

    points: days that have one; probability: of the direction; p_degrading: that it moves away from its target;
    per_day, error, z: the slope of the robust line, its standard error and their ratio; p_soon, p_month: probabilities
    that a limit is crossed within 7 and within 30 days; breach_in: days until it is, if the trend goes on, None where
    no reliable date can be told; days_needed: how many more days with a point it takes to tell anything, 0 if none.
    """

    points: int
    reason: str
    direction: Direction = Direction.UNKNOWN
    probability: float | None = None
    p_degrading: float | None = None
    per_day: float | None = None
    error: float | None = None
    z: float | None = None
    p_soon: float | None = None
    p_month: float | None = None
    forecast: Forecast | None = None
    breach_in: int | None = None
    days_needed: int = 0

    @property
    def is_known(self) -> bool:
        """Whether the data tell anything of the future."""
        return self.direction is not Direction.UNKNOWN


def trend(daily: Daily, limits: Limits, *, until: int) -> Trend:
    """Return the trend of the points of the 28 days that end with the day `until`, from which the forecast counts.

    Everything is measured in distances to the nearer limit, so a change of unit or origin of quantity and limits
    together changes nothing. A limit that is infinite is never crossed. The line rests on the last 14 of the days,
    shrunk towards none as long as chance may explain it; its slope is told as it was found.
    """
    known = daily.last(SPAN, until=until)
    if len(known) < LEAST_POINTS:
        return _too_few(len(known))
    points = known.scaled(limits.target, limits.unit)
    recent = points.last(LINE_SPAN, until=until)
    recent = recent if len(recent) >= LEAST_POINTS else points
    line = Line.of(recent)
    noise = line.sampling_error(int(recent.days[-1]))
    if noise > WORST_KNOWN:
        return _too_noisy(len(known), len(recent), noise)
    return _told(len(known), line, _pooled(points, line, until), limits)


def either(probabilities: Iterable[float | None]) -> float | None:
    """Return the probability that at least one of several quantities crosses its limit, as if they were independent.

    1 - (1 - p)(1 - q): the sampling errors of a shift and of a slope about it are uncorrelated. Whatever else they have
    in common, it lies between the larger probability and the sum. What is not known is left out; None if all is.
    """
    known = [p for p in probabilities if p is not None]
    return 1 - math.prod(1 - p for p in known) if known else None


def _pooled(points: Daily, line: Line, until: int) -> Paths:
    """Return what may come of the level, in distances to the limit: half by the line, half by the local models."""
    straight, winding = _normals()
    local = local_trend.filtered(points, until)
    return Paths.pooled(line.shrunk(USUAL_SLOPE).ahead(straight, until), local.ahead(winding))


@cache
def _normals() -> Floats:
    """Return standard normals, shape (2, paths, 2, days + 1): the same for all, so that no forecast depends on chance.

    Each is there with both signs, which keeps what is symmetric symmetric.
    """
    drawn = np.random.default_rng(_SEED).standard_normal((2, PATHS // 2, 2, HORIZON + 1))
    both = np.empty((2, PATHS, 2, HORIZON + 1))
    both[:, 0::2], both[:, 1::2] = drawn, -drawn
    both.flags.writeable = False
    return both


def _told(points: int, line: Line, ahead: Paths, limits: Limits) -> Trend:
    low, high = ((end - limits.target) / limits.unit for end in (limits.low, limits.high))
    crossed = np.maximum.accumulate((ahead.levels < low) | (ahead.levels > high), axis=1).mean(axis=0)
    shares = _directions(ahead, low, high)
    likeliest = max(shares, key=lambda direction: shares[direction])
    date, reason = _date(crossed, line.z, heads_out=likeliest is Direction.DEGRADING)
    return Trend(
        points=points,
        reason=reason,
        direction=likeliest,
        probability=shares[likeliest],
        p_degrading=shares[Direction.DEGRADING],
        per_day=line.slope * limits.unit,
        error=line.slope_error * limits.unit,
        z=line.z,
        p_soon=float(crossed[SOON]),
        p_month=float(crossed[HORIZON]),
        forecast=_forecast(ahead, limits),
        breach_in=date,
    )


def _directions(ahead: Paths, low: float, high: float) -> dict[Direction, float]:
    """Return the probability of each direction: how far today's slope would lead in a week, seen from the target."""
    # On a side without a limit as if it were as far off as the other one, which is at 1.
    above, below = (high if math.isfinite(high) else 1.0), (low if math.isfinite(low) else -1.0)
    week = ahead.levels[:, 0] + SOON * ahead.slope
    now, then = (np.where(at > 0, at / above, at / below) for at in (ahead.levels[:, 0], week))
    worse, better = (float((sign * (then - now) > SOON * STILL).mean()) for sign in (1, -1))
    return {Direction.STABLE: 1 - worse - better, Direction.DEGRADING: worse, Direction.IMPROVING: better}


def _date(crossed: Floats, z: float, *, heads_out: bool) -> tuple[int | None, str]:
    """Return after how many days a breach is likelier than not, and the condition or why there is no date."""
    if crossed[0] >= LEAST_P:
        return None, PAST
    if crossed[HORIZON] < LEAST_P or abs(z) < LEAST_Z or not heads_out:
        return None, NO_DATE
    return int(np.argmax(crossed >= LEAST_P)), CONDITION


def _forecast(ahead: Paths, limits: Limits) -> Forecast:
    found = np.quantile(ahead.levels[:, 1:], QUANTILES, axis=0) * limits.unit + limits.target
    return Forecast(*(tuple(row.tolist()) for row in found))


def _too_few(points: int) -> Trend:
    missing = LEAST_POINTS - points
    reason = f"too little data: {points} of the last {SPAN} days have enough labels, {missing} more are needed"
    return Trend(points, reason, days_needed=missing)


def _too_noisy(points: int, recent: int, noise: float) -> Trend:
    """Return that the level is not known well enough; its variance falls with the number of days of the line."""
    more = math.ceil(recent * ((noise / WORST_KNOWN) ** 2 - 1))
    if recent + more > LINE_SPAN:
        return Trend(points, f"too few labelled events: even {LINE_SPAN} days like these would tell noise, not a trend")
    return Trend(points, f"too few labelled events: about {more} more days like these are needed", days_needed=more)
