"""Project where the calibration of each slice is heading, from the snapshots of the four weeks before a day.

What is projected is signed, the shift and the slope of the log odds, and each is held against the value at which the
true calibration error of the slice's scores would be the fail limit of `ece_bound`, or in evidence mode what it
tolerates. Only days that are over count, and of those only the ones whose labels have come: labels that come first are
often of one kind.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from statistics import median, quantiles
from typing import Final

from calslo_dagster.pipeline.context import expected_manifests
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.read_snapshots import snapshots_over
from calslo_dagster.pipeline.watermark import current_watermark
from calslo_dagster.slo.limits import limits_for, own_limits
from calslo_dagster.slo.model import EVERYTHING, SLO, Bound, Evidence, Manifest
from calslo_dagster.slo.slice_trends import Quantity, SliceTrend, Subject, slice_trends
from calslo_dagster.slo.slices import matches
from calslo_dagster.slo.trials import Mode
from calslo_dagster.slo.watch import tolerance_of
from calslo_dagster.slo.windows import DAY, day_span
from calslo_dagster.stats.daily import Daily
from calslo_dagster.stats.estimate import Estimate
from calslo_dagster.stats.recalibration import recalibration
from calslo_dagster.stats.snapshot import Snapshot
from calslo_dagster.stats.tolerance import logit_shift, shift_limits, slope_limits
from calslo_dagster.stats.trend import SPAN, Limits, trend
from calslo_dagster.store import manifests, trends

TREND_SLO: Final = "ece_bound"
# Scores and limit are those of the last week: a day of few events would make both a matter of chance.
RECENT: Final = 7
# A day has its labels when the labelled share is nearly the usual one, chance aside.
MATURE: Final = 0.9
NO_SLO: Final = f"{TREND_SLO} is switched off, and trends are held against its limit"


@dataclass(frozen=True, slots=True)
class TrendReport:
    """The trends as of the last day of the run; `stored` counts those of all days, `reason` says why there are none."""

    day: date
    rows: tuple[SliceTrend, ...]
    stored: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Point:
    """What one day says of a slice; `fail` is the limit on its calibration error."""

    day: date
    events: int
    labeled: int
    shift: Estimate
    slope: Estimate
    fail: float | None


@dataclass(slots=True)
class _Course:
    """The days of one slice so far, oldest first, and the one of the last week that has the most labels."""

    points: list[_Point] = field(default_factory=list)
    busiest: tuple[date, Snapshot] | None = None

    def add(self, point: _Point, snapshot: Snapshot) -> None:
        """Add a day, and forget what no projection needs any more."""
        self.points = [p for p in self.points if point.day - p.day < SPAN * DAY]
        self.points.append(point)
        known = self.busiest
        is_old = known is None or point.day - known[0] >= RECENT * DAY
        if point.labeled and (known is None or is_old or point.labeled >= known[1].labeled):
            self.busiest = point.day, snapshot


def project_trends(project: Project, days: Sequence[date], *, now: datetime) -> TrendReport:
    """Project the trends as of the beginning of each of the days, and replace the stored ones."""
    if TREND_SLO not in project.registry:
        return TrendReport(max(days), (), 0, NO_SLO)
    slo, stored, rows, wanted = project.registry.find(TREND_SLO), 0, list[SliceTrend](), set(days)
    courses: dict[str, _Course] = {}
    for last, points in _days(project, slo, days, now):
        for name, (point, snapshot) in points.items():
            courses.setdefault(name, _Course()).add(point, snapshot)
        if (day := last + DAY) in wanted:
            rows = [row for name in sorted(courses) for row in _projected(Subject(slo.name, day, name), courses[name])]
            stored += len(rows)
            with project.store.write() as session:
                trends.replace(session, slo.name, day, rows)
    return TrendReport(max(days), tuple(rows), stored)


_Day = dict[str, tuple[_Point, Snapshot]]


def _days(project: Project, slo: SLO, wanted: Sequence[date], now: datetime) -> Iterator[tuple[date, _Day]]:
    """Yield every day that counts for those wanted, oldest first, with what it says of each slice."""
    watermark = current_watermark(project, now)
    with project.store.read() as session:
        fitted = {(manifest.version, manifest.slice): manifest for manifest in manifests.every(session)}
    model = next(iter(project.models)) if len(project.models) == 1 else EVERYTHING
    day = min(wanted) - SPAN * DAY
    with project.engine() as connection:
        while day < max(wanted):
            span = day_span(day)
            is_over = watermark is not None and watermark >= span.end
            snapshots = snapshots_over(project, connection, span)
            found = snapshots.window(span) if is_over and snapshots.listed else {}
            covered = {name: snapshot for name, snapshot in found.items() if matches(slo.slices, name)}
            yield day, {n: (_point(slo, day, (n, model), s, fitted=fitted), s) for n, s in covered.items()}
            day += DAY


def _point(
    slo: SLO, day: date, of: tuple[str, str], snapshot: Snapshot, *, fitted: Mapping[tuple[str, str], Manifest]
) -> _Point:
    """Return what the day says of the slice and model."""
    fail = _fail(slo, of, snapshot, fitted=fitted) if snapshot.labeled else None
    return _Point(
        day=day,
        events=snapshot.events,
        labeled=snapshot.labeled,
        shift=logit_shift(snapshot),
        slope=recalibration(snapshot).slope,
        fail=fail if isinstance(fail, float) and 0.0 < fail < 1.0 else None,
    )


def _fail(
    slo: SLO, of: tuple[str, str], snapshot: Snapshot, *, fitted: Mapping[tuple[str, str], Manifest]
) -> Bound | None:
    """Return the calibration error past which the slice is breached, in the mode that the SLO has."""
    if slo.mode is Mode.EVIDENCE:
        return tolerance_of(slo, snapshot, own_limits(slo, *of)[0])
    return limits_for(slo, Evidence(snapshot, expected=expected_manifests(fitted, snapshot, of[0])), *of).fail


def _projected(subject: Subject, course: _Course) -> list[SliceTrend]:
    """Return the trends of the slice; none if it has had no labels, or no events for a week."""
    known = [p for p in course.points if timedelta(0) < subject.day - p.day <= SPAN * DAY]
    if course.busiest is None or not known or subject.day - known[-1].day > RECENT * DAY:
        return []
    mature = _mature(known)
    fails = [p.fail for p in mature[-RECENT:] if p.fail is not None]
    if not fails:
        return []
    until, fail = (subject.day - DAY).toordinal(), median(fails)
    found = {}
    for quantity, target, ends in (
        (Quantity.SHIFT, 0.0, shift_limits(course.busiest[1], fail)),
        (Quantity.SLOPE, 1.0, slope_limits(course.busiest[1], fail)),
    ):
        daily = Daily.of(_values(mature, quantity))
        found[quantity] = trend(daily, Limits(ends[0], target, ends[1]), until=until), ends
    return slice_trends(subject, found)


def _mature(points: Sequence[_Point]) -> list[_Point]:
    """Return the days whose labelled share is at least nine tenths of the usual one, less two of its deviations."""
    shares = [p.labeled / p.events for p in points if p.events]
    usual = quantiles(shares, n=4)[2] if len(shares) > 1 else max(shares, default=0.0)
    return [p for p in points if p.labeled and p.labeled / p.events >= MATURE * usual - _chance(usual, p.events)]


def _chance(share: float, events: int) -> float:
    return 2 * math.sqrt(max(share * (1 - share), 0.0) / events)


def _values(points: Iterable[_Point], quantity: Quantity) -> Iterator[tuple[int, float, float]]:
    for point in points:
        found = point.shift if quantity is Quantity.SHIFT else point.slope
        if found.value is not None and found.standard_error is not None:
            yield point.day.toordinal(), found.value, found.standard_error
