"""How an error budget went day by day, and when it runs out at the pace of late."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

# The pace of a week: shorter, one incident is the future; longer, what has been fixed long ago still is.
PACE_DAYS: Final = 7


@dataclass(frozen=True, slots=True)
class DayLeft:
    """Windows that the budget of the period had left at the end of a day; below zero when overspent."""

    day: date
    left: float


@dataclass(frozen=True, slots=True)
class BudgetCourse:
    """The days of the period so far, and those ahead at the pace of the last week until nothing is left.

    runs_out: the day on which nothing is left at that pace; None where it lasts for a period, or there is no pace.
    """

    days: tuple[DayLeft, ...]
    ahead: tuple[DayLeft, ...]
    runs_out: date | None
    per_day: float


def budget_course(bad: Sequence[tuple[date, int]], allowed: int, period_days: int) -> BudgetCourse:
    """Return the course of a rolling budget of `allowed` bad windows in `period_days`.

    bad: bad windows of each day, oldest first, without gaps; at least two periods of them make the first one whole.
    """
    sums = _rolling([count for _, count in bad], period_days)
    days = [DayLeft(day, allowed - used) for (day, _), used in zip(bad, sums, strict=True)][-period_days:]
    recent = [count for _, count in bad][-PACE_DAYS:]
    per_day = sum(recent) / len(recent) if recent else 0.0
    if not days:
        return BudgetCourse((), (), None, per_day)
    ahead = _ahead(bad, days[-1], per_day, period_days)
    runs_out = next((one.day for one in ahead if one.left <= 0), None) if days[-1].left > 0 else None
    shown = [one for one in ahead if runs_out is None or one.day <= runs_out]
    return BudgetCourse(tuple(days), tuple(shown) if per_day else (), runs_out, per_day)


def _rolling(counts: Sequence[int], length: int) -> list[int]:
    found, total = [], 0
    for at, count in enumerate(counts):
        total += count - (counts[at - length] if at >= length else 0)
        found.append(total)
    return found


def _ahead(bad: Sequence[tuple[date, int]], last: DayLeft, per_day: float, period_days: int) -> list[DayLeft]:
    """Return the days to come: what leaves the period comes back, and as much as of late goes."""
    leaving = _padded([count for _, count in bad][-period_days:], period_days)
    found, left = [last], last.left
    for n, gone in enumerate(leaving, start=1):
        left += gone - per_day
        found.append(DayLeft(last.day + timedelta(days=n), left))
    return found


def _padded(counts: Iterable[int], length: int) -> list[int]:
    given = list(counts)
    return [0] * (length - len(given)) + given
