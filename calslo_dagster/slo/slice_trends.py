"""Where the calibration of a slice is heading, as it is stored and shown."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum
from typing import Final

from calslo_dagster.stats.trend import PAST, Direction, Trend, either

# One row per quantile: 10, 50 and 90 percent, each of 30 days.
Forecast = list[list[float]]
NO_FORECAST: Final[Forecast] = []


class Quantity(StrEnum):
    """What the trend is of.

    shift: by how much log odds are off on the whole; slope: how much too timid (above 1) or too extreme (below 1)
    scores are; either: that the SLO is breached by one of them.
    """

    SHIFT = "shift"
    SLOPE = "slope"
    EITHER = "either"


@dataclass(frozen=True, slots=True)
class SliceTrend:
    """The trend of one quantity of one slice, as of the beginning of `day`.

    points: days among the 28 before `day` that count; limit_low, limit_high: where the SLO is breached, None where no
    value would breach it; per_day, se, z: the slope of the line; p_degrading: probability of that direction; p7, p30:
    probabilities of a breach within 7 and 30 days; forecast: the 10, 50 and 90 % quantiles of the 30 days from `day`
    on, empty if none; breach_on: the day on which a breach is likelier than not, if the current trend continues;
    days_needed: how many more days it takes to say anything.
    """

    slo: str
    day: date
    slice: str
    quantity: Quantity
    points: int
    direction: Direction
    probability: float | None
    p_degrading: float | None
    per_day: float | None
    se: float | None
    z: float | None
    limit_low: float | None
    limit_high: float | None
    p7: float | None
    p30: float | None
    forecast: Forecast
    breach_on: date | None
    days_needed: int
    reason: str

    @property
    def urgency(self) -> tuple[float, float, str]:
        """What sorts trends worst first: by the probability of a breach, then of degrading."""
        return -(self.p30 or 0.0), -(self.p_degrading or 0.0), self.slice


@dataclass(frozen=True, slots=True)
class Subject:
    """What trends are of: the SLO, the slice, and the day at whose beginning they are projected."""

    slo: str
    day: date
    slice: str


def slice_trends(subject: Subject, found: dict[Quantity, tuple[Trend, tuple[float, float]]]) -> list[SliceTrend]:
    """Return the rows of a slice: one for each quantity with its limits, and one for either of them."""
    rows = [_row(subject, quantity, trend, limits) for quantity, (trend, limits) in found.items()]
    return [*rows, _either(rows)]


def _either(rows: list[SliceTrend]) -> SliceTrend:
    """Return the row about the SLO: the probabilities of a breach by any quantity, the rest of the leading one."""
    lead = min(rows, key=lambda row: row.urgency)
    dates = [row.breach_on for row in rows if row.breach_on is not None]
    return replace(
        lead,
        quantity=Quantity.EITHER,
        per_day=None,
        se=None,
        z=None,
        limit_low=None,
        limit_high=None,
        p7=either(row.p7 for row in rows),
        p30=either(row.p30 for row in rows),
        forecast=NO_FORECAST,
        breach_on=min(dates, default=None),
        reason=next((row.reason for row in rows if row.reason == PAST), lead.reason),
    )


def worst_first(rows: Iterable[SliceTrend]) -> list[SliceTrend]:
    """Return the rows that are about the SLO as a whole, the likeliest breach first."""
    return sorted((row for row in rows if row.quantity is Quantity.EITHER), key=lambda row: row.urgency)


def _row(subject: Subject, quantity: Quantity, trend: Trend, limits: tuple[float, float]) -> SliceTrend:
    low, high = (end if abs(end) != float("inf") else None for end in limits)
    ahead = trend.forecast
    return SliceTrend(
        slo=subject.slo,
        day=subject.day,
        slice=subject.slice,
        quantity=quantity,
        points=trend.points,
        direction=trend.direction,
        probability=trend.probability,
        p_degrading=trend.p_degrading,
        per_day=trend.per_day,
        se=trend.error,
        z=trend.z,
        limit_low=low,
        limit_high=high,
        p7=trend.p_soon,
        p30=trend.p_month,
        forecast=[list(q) for q in (ahead.low, ahead.middle, ahead.high)] if ahead else NO_FORECAST,
        # The first day ahead is the one at whose beginning the forecast is made.
        breach_on=None if trend.breach_in is None else subject.day + timedelta(days=trend.breach_in - 1),
        days_needed=trend.days_needed,
        reason=trend.reason,
    )
