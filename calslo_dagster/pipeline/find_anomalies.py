"""Find the hours in which a slice was unlike its season: volume, labels, shape of the scores, clamping, latency."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

import numpy as np
from duckdb import DuckDBPyConnection
from numpy.typing import NDArray

from calslo_dagster.engine.courses import Courses
from calslo_dagster.engine.facts import CELLS, HOUR_US, LATENCY
from calslo_dagster.pipeline.compare_traffic import HOUR, PATIENCE, usual_delay
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.read_snapshots import snapshots_over
from calslo_dagster.slo.limits import plain
from calslo_dagster.slo.slices import slice_name
from calslo_dagster.slo.windows import DAY, EPOCH, WEEK, Window, day_span
from calslo_dagster.sources.base import micros
from calslo_dagster.stats import anomalies as stats
from calslo_dagster.stats.anomalies import Course
from calslo_dagster.stats.snapshot import BAD_REASONS
from calslo_dagster.store import anomalies
from calslo_dagster.store.anomalies import Anomaly, AnomalyKind

Floats = NDArray[np.float64]

# The hour to judge, its references, and before them what tells how much such hours vary.
LOOK_BACK: Final = 2 * stats.MOST_WEEKS * WEEK
# False alarms of all series together, as spans of hours, in a week in which nothing is wrong.
ALARMS_PER_WEEK: Final = 1.0
# Bounds what is held in memory while a long past is looked at.
DAYS_AT_ONCE: Final = 28
# A feed may deliver once a day, whenever a label was written; until then none is missed.
DELIVERY: Final = DAY
# Shapes need more events than an hour of a small slice has.
SHAPE_HOURS: Final = 6
SCORE_LEVELS: Final = 10
LATENCY_LEVELS: Final = 10
_HOURS_A_WEEK: Final = WEEK // HOUR
_TESTS_A_WEEK: Final = 4 * _HOURS_A_WEEK + _HOURS_A_WEEK // SHAPE_HOURS
_ROWS: Final = ("n", *BAD_REASONS)
_SUMS: Final = (*_ROWS, "n_lab", "n_clamp_known", "n_clamped")
_AT: Final = {name: place for place, name in enumerate(_SUMS)}
# More clamping or slower calibrations are trouble, less of either is none.
_ONE_SIDED: Final = frozenset({AnomalyKind.CLAMPING, AnomalyKind.LATENCY, AnomalyKind.SHAPE})
_TITLES: Final = {
    AnomalyKind.VOLUME: "rows an hour",
    AnomalyKind.LABELS: "of the events that should have their label by now have one",
    AnomalyKind.SHAPE: "bits from the usual histogram of scores",
    AnomalyKind.CLAMPING: "of the events clamped",
    AnomalyKind.LATENCY: "of the events slower than nine tenths usually are",
}


@dataclass(frozen=True, slots=True)
class AnomalyReport:
    """What was found on the days, the most unusual first; `series` were judged, beyond the score `limit`."""

    found: tuple[Anomaly, ...]
    series: int
    limit: float


@dataclass(frozen=True, slots=True)
class _Series:
    """One course of one slice: from `start` on in blocks of `step`; labels are judged `delay` after their events."""

    slice: str
    kind: AnomalyKind
    course: Course
    start: datetime
    step: timedelta = HOUR
    delay: timedelta = timedelta(0)


def find_anomalies(project: Project, days: Sequence[date], *, now: datetime) -> AnomalyReport:
    """Find and store what was unusual on these days, in place of what was found on them before.

    Only hours that are over and can no longer get events count; labels count on the day on which they should have come.
    """
    rows, series, limit = list[Anomaly](), 0, 0.0
    for at in range(0, len(days), DAYS_AT_ONCE):
        some = sorted(days)[at : at + DAYS_AT_ONCE]
        with project.engine() as connection:
            search = _search(project, connection, some, now)
            found = list(search.series()) if search else []
        series, limit = len(found), search.limit if search else limit
        todays = [row for one in found for day in some for row in _rows(one, day, limit)]
        with project.store.write() as session:
            anomalies.replace(session, some, todays)
        rows += todays
    rows.sort(key=lambda row: (-abs(row.score), row.slice, row.kind, row.starts_at))
    return AnomalyReport(tuple(rows), series, limit)


@dataclass(frozen=True, slots=True)
class _Search:
    """The hours to search: their totals by slice, what age labels have, and the score beyond which one is unusual."""

    courses: Courses
    views: tuple[tuple[str, ...], ...]
    totals: Mapping[str, Floats]
    delay: timedelta
    limit: float

    def series(self) -> Iterator[_Series]:
        """Yield every series of every slice, judged."""
        for name, sums in self.totals.items():
            yield from self._of_totals(name, sums)
        for view in self.views:
            yield from self._of_levels(view)

    @property
    def _start(self) -> datetime:
        return EPOCH + timedelta(microseconds=self.courses.start_us)

    def _of_totals(self, name: str, sums: Floats) -> Iterator[_Series]:
        """Yield volume, clamping and labels of a slice."""
        start, mature = self._start, sums.shape[1] - self.delay // HOUR
        rows = sums[: len(_ROWS)].sum(axis=0)
        rows[: int(np.argmax(rows > 0))] = np.nan
        yield _Series(name, AnomalyKind.VOLUME, stats.count_course(rows, limit=self.limit), start)
        if sums[_AT["n_clamp_known"]].any():
            course = stats.rate_course(sums[_AT["n_clamped"]], sums[_AT["n_clamp_known"]], limit=self.limit)
            yield _Series(name, AnomalyKind.CLAMPING, course, start)
        if mature > 0 and sums[_AT["n_lab"], :mature].any():
            course = stats.rate_course(sums[_AT["n_lab"], :mature], sums[_AT["n"], :mature], limit=self.limit)
            yield _Series(name, AnomalyKind.LABELS, course, start, delay=self.delay)

    def _of_levels(self, view: tuple[str, ...]) -> Iterator[_Series]:
        """Yield latency and the shape of the scores of every slice of the view."""
        for values, counts in self.courses.levels(LATENCY, view, levels=LATENCY_LEVELS, block_hours=1).items():
            slow, every = counts[-1].astype(np.float64), counts.sum(axis=0).astype(np.float64)
            course = stats.rate_course(slow, every, limit=self.limit)
            yield _Series(slice_name(view, values), AnomalyKind.LATENCY, course, self._start)
        step = SHAPE_HOURS * HOUR
        for values, counts in self.courses.levels(CELLS, view, levels=SCORE_LEVELS, block_hours=SHAPE_HOURS).items():
            course = stats.shape_course(counts.astype(np.float64), blocks_per_day=DAY // step, limit=self.limit)
            yield _Series(slice_name(view, values), AnomalyKind.SHAPE, course, self._start, step=step)


def _search(project: Project, connection: DuckDBPyConnection, days: Sequence[date], now: datetime) -> _Search | None:
    """Return what to search, up to the last hour that is over; None where nothing is kept by the hour."""
    complete = now - project.settings.lateness - PATIENCE
    end = min(day_span(max(days)).end, complete - (complete - EPOCH) % HOUR)
    delays = [usual_delay(project, connection, log, max(days)) for log in project.logs(now)]
    if end <= day_span(min(days)).start - LOOK_BACK:
        return None
    courses = _courses(project, connection, Window(day_span(min(days)).start - LOOK_BACK, end))
    if courses is None:
        return None
    totals = {
        slice_name(view, values): sums.astype(np.float64)
        for view in project.views
        for values, sums in courses.totals(view, _SUMS).items()
    }
    limit = stats.threshold(_TESTS_A_WEEK * max(1, len(totals)), ALARMS_PER_WEEK)
    latest = max(delays, default=timedelta(0))
    delay = HOUR * -(-(latest + DELIVERY if latest else latest) // HOUR)
    return _Search(courses, project.views, totals, delay, limit)


def _courses(project: Project, connection: DuckDBPyConnection, span: Window) -> Courses | None:
    """Return the hours from the first full day on that is still kept by the hour; None without any."""
    listed = [p for p in snapshots_over(project, connection, span).listed if p.path and p.totals_us <= HOUR_US]
    firsts = [max(p.first_us, micros(span.start)) for p in listed if p.first_us is not None]
    if not firsts:
        return None
    first = EPOCH + timedelta(microseconds=min(firsts))
    begin = max(span.start, first - (first - EPOCH) % DAY)
    folders = sorted({project.partials / p.path for p in listed if p.span_end_us > micros(begin)})
    return Courses(connection, folders, micros(begin), micros(span.end)) if begin < span.end else None


def _rows(one: _Series, day: date, limit: float) -> Iterator[Anomaly]:
    """Yield the unusual spans of the day."""
    course, span = one.course, day_span(day)
    first = max(0, (span.start - one.delay - one.start) // one.step)
    last = max(first, (span.end - one.delay - one.start) // one.step)
    score = course.score[first:last]
    score = np.maximum(score, 0.0) if one.kind in _ONE_SIDED else score
    for found in stats.spans(score, limit):
        at = first + found.worst
        numbers = {name: float(getattr(course, name)[at]) for name in ("value", "expected", "low", "high", "score")}
        yield Anomaly(
            day=day,
            slice=one.slice,
            kind=one.kind,
            starts_at=one.start + (first + found.first) * one.step,
            ends_at=one.start + (first + found.last + 1) * one.step,
            **numbers,
            reason=_told(one.kind, numbers),
        )


def _told(kind: AnomalyKind, numbers: Mapping[str, float]) -> str:
    value, usual = numbers["value"], numbers["expected"]
    if kind is AnomalyKind.VOLUME:
        shown = f"{value:,.0f}", f"{usual:,.0f}"
    elif kind is AnomalyKind.SHAPE:
        shown = plain(value), plain(usual)
    else:
        shown = f"{100 * value:.3g} %", f"{100 * usual:.3g} %"
    return f"{shown[0]} {_TITLES[kind]}, {shown[1]} usually"
