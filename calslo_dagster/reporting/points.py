"""The course of an SLO on a slice for a chart, thinned so that no breach disappears."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from calslo_dagster.slo.limits import excess
from calslo_dagster.slo.model import Bound, Measurement, Operator, Verdict


@dataclass(frozen=True, slots=True)
class Point:
    """One window: a value with its interval and the limits it was judged by; None where nothing is known."""

    at: datetime
    value: float | None
    low: float | None
    high: float | None
    threshold: Bound | None
    warn_threshold: Bound | None
    events: int
    verdict: Verdict
    is_final: bool
    run_id: str = ""


@dataclass(frozen=True, slots=True)
class Course:
    """The points of a slice, oldest first; windows: how many there were before thinning."""

    slo: str
    slice: str
    unit: str
    operator: Operator
    points: tuple[Point, ...]
    windows: int


def point_of(row: Measurement) -> Point:
    """Return the point of a measurement."""
    return Point(
        at=row.window_end,
        value=row.value,
        low=row.low,
        high=row.high,
        threshold=row.threshold,
        warn_threshold=row.warn_threshold,
        events=row.events,
        verdict=row.verdict,
        is_final=row.is_final,
        run_id=row.run_id,
    )


def thinned(points: Sequence[Point], most: int, operator: Operator) -> tuple[Point, ...]:
    """Return at most `most` points: the worst of each of so many parts of equal length, the last part's last one.

    An average, or every n-th point, would hide a short breach. ValueError for fewer than two points.
    """
    if most < 2:
        raise ValueError(f"a course takes at least 2 points, not {most}")
    if len(points) <= most:
        return tuple(points)
    parts, last = most - 1, points[-1]
    cuts = [len(points[:-1]) * n // parts for n in range(parts + 1)]
    worst = (max(points[a:b], key=lambda one: _badness(one, operator)) for a, b in pairwise(cuts))
    return (*worst, last)


def _badness(point: Point, operator: Operator) -> tuple[bool, float]:
    is_bad = point.verdict is Verdict.BREACHED
    if point.value is None or point.threshold is None:
        return is_bad, float("-inf")
    return is_bad, excess(operator, point.value, point.threshold)
