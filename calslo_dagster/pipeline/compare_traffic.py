"""Compare the newest hours of each log with the same hours of other days: whether events or labels have thinned out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from statistics import median
from typing import Final

from duckdb import DuckDBPyConnection

from calslo_dagster.engine.facts import HOUR_US
from calslo_dagster.engine.hourly import Hour, hourly_counts, label_delay
from calslo_dagster.pipeline.aggregate_snapshots import SnapshotReport
from calslo_dagster.pipeline.plan_partials import added_counts, listed_partials
from calslo_dagster.pipeline.project import Log, Project
from calslo_dagster.pipeline.spans import is_closed
from calslo_dagster.slo.windows import DAY, EPOCH, WEEK, Window, day_span
from calslo_dagster.sources.base import micros
from calslo_dagster.stats.anomalies import MOST_DAYS, MOST_WEEKS, seasonal
from calslo_dagster.store import partials
from calslo_dagster.store.partials import Kind, Partial

HOUR: Final = timedelta(hours=1)
# How much longer than events may be late we wait before we miss them.
PATIENCE: Final = timedelta(minutes=10)
# Of a day that goes on the newest hours are judged, a whole day of them where traffic is thin.
SHORT: Final = timedelta(hours=6)
# With so many expected, chance alone does not halve them: that would be five standard deviations.
LEAST_EXPECTED: Final = 100
# Weekdays differ from each other more than weeks do, so weeks are what we compare with once we have some.
WEEKS: Final = tuple(n * WEEK for n in range(1, MOST_WEEKS + 1))
DAYS: Final = tuple(n * DAY for n in range(1, MOST_DAYS + 1))
# Labels are missed once this share of them has usually come.
USUALLY: Final = 0.9
# What is assumed of a feed that does not say when a label was written.
UNKNOWN_DELAY: Final = 7 * DAY
DELAY_DAYS: Final = 3
LEAST_TELLING: Final = 1_000


@dataclass(frozen=True, slots=True)
class Comparison:
    """What one log holds over a window, and what it usually holds."""

    source: str
    window: Window
    found: int
    usual: float

    @property
    def share(self) -> float:
        """What was found, as a multiple of what is usual."""
        return self.found / self.usual

    @property
    def span(self) -> str:
        """The window in words."""
        hours, end = self.window.length // HOUR, self.window.end
        return f"in the {hours} hours before {end:%Y-%m-%d %H:%M} UTC"


def compare_volume(project: Project, connection: DuckDBPyConnection, report: SnapshotReport) -> list[Comparison]:
    """Return, for each log that can be compared, its rows over the newest hours of the last day of the report."""
    found = []
    for log in project.logs(report.now):
        course = _Course(project, connection, log.name)
        for window in _windows(report, timedelta(0)):
            usual = course.usual(window)
            if usual is not None and usual >= LEAST_EXPECTED:
                found.append(Comparison(log.name, window, course.rows(window), usual))
                break
    return found


def compare_labels(project: Project, connection: DuckDBPyConnection, report: SnapshotReport) -> list[Comparison]:
    """Return, for each log that can be compared, the labels of the newest events that should have theirs by now."""
    found = []
    for log in project.logs(report.now):
        course = _Course(project, connection, log.name)
        for window in _windows(report, usual_delay(project, connection, log, report.days[-1].day)):
            share, hours = _usual_share(project, log.name, window.start.date()), course.hours(window)
            events = sum(hour.events for hour in hours)
            if share is not None and share * events >= LEAST_EXPECTED:
                found.append(Comparison(log.name, window, sum(hour.labeled for hour in hours), share * events))
                break
    return found


def _windows(report: SnapshotReport, delay: timedelta) -> Iterator[Window]:
    """Yield the windows to try, the shortest first: those that end with the last hour that is complete."""
    day = report.days[-1].day
    complete = report.now - report.lateness - PATIENCE - delay
    end = min(day_span(day).end, complete - (complete - EPOCH) % HOUR)
    for length in (DAY,) if is_closed(day, report.now) else (SHORT, DAY):
        yield Window(end - length, end)


@dataclass(frozen=True, slots=True)
class _Course:
    """What one log holds hour by hour."""

    project: Project
    connection: DuckDBPyConnection
    source: str

    def rows(self, window: Window) -> int:
        """Return the rows within the window."""
        return sum(hour.rows for hour in self.hours(window))

    def hours(self, window: Window) -> list[Hour]:
        """Return the hours within the window that hold rows."""
        return list(self._read([window]).values())

    def usual(self, window: Window) -> float | None:
        """Return the median over the same hours of other weeks, or days while there are few weeks; None without any.

        What lies before the first event that is known was not yet logged.
        """
        earlier = {back: Window(window.start - back, window.end - back) for back in {*WEEKS, *DAYS}}
        hours = self._read(list(earlier.values()))
        first = min(hours, default=0)
        known = {back: w for back, w in earlier.items() if micros(w.start) >= first}
        counts = {back: sum(h.rows for at, h in hours.items() if _holds(w, at)) for back, w in known.items()}
        weeks = [counts[back] for back in WEEKS if counts.get(back)]
        days = [counts[back] for back in DAYS if counts.get(back)]
        return seasonal(weeks, days)

    def _read(self, windows: Sequence[Window]) -> dict[int, Hour]:
        spans = [(micros(window.start), micros(window.end)) for window in windows]
        first, last = min(start for start, _ in spans), max(end for _, end in spans)
        with self.project.store.read() as session:
            listed = partials.overlapping(session, self.source, start_us=first, end_us=last)
        # What was rolled up to days no longer tells one hour from another.
        fine = [p for p in listed if p.totals_us <= HOUR_US and _touches(p, spans)]
        return hourly_counts(self.connection, _folders(self.project, fine), spans)


def _holds(window: Window, hour_us: int) -> bool:
    return micros(window.start) <= hour_us < micros(window.end)


def _touches(partial: Partial, spans_us: Sequence[tuple[int, int]]) -> bool:
    return any(partial.span_start_us < end and partial.span_end_us > start for start, end in spans_us)


def _folders(project: Project, listed: Sequence[Partial]) -> list[Path]:
    return sorted({project.partials / partial.path for partial in listed if partial.path})


def _usual_share(project: Project, source: str, before: date) -> float | None:
    """Return the median share of labelled events over the seven days before; None where nothing had a label."""
    shares = []
    for back in DAYS:
        counts = added_counts(partial.rows for partial in listed_partials(project, source, before - back))
        if events := counts.get("events", 0):
            shares.append((counts.get("labeled", 0) + counts.get("labels", 0)) / events)
    return median(shares) or None if shares else None


def usual_delay(project: Project, connection: DuckDBPyConnection, log: Log, day: date) -> timedelta:
    """Return how old events usually are when their labels have come, by the oldest on record on this day.

    Younger events have only those labels that came early. Labels that stand in the log itself are there at once.
    """
    if log.labels is None:
        return timedelta(0)
    found = list[int]()
    first = day - project.settings.label_horizon
    with project.store.read() as session:
        span = micros(day_span(first).start), micros(day_span(day).start)
        listed = partials.overlapping(session, log.name, start_us=span[0], end_us=span[1], kind=Kind.LABEL)
    days = sorted({_day(partial) for partial in listed if partial.path})[:DELAY_DAYS]
    if not days:
        return timedelta(0)
    for label_day in days:
        folders = _folders(project, [partial for partial in listed if _day(partial) == label_day])
        found += _delay(connection, folders, day_span(label_day))
    return timedelta(microseconds=median(found)) if found else UNKNOWN_DELAY


def _delay(connection: DuckDBPyConnection, folders: Sequence[Path], day: Window) -> list[int]:
    """Return the delay of the day's labels, by those of one hour at noon if these are enough; none if none tells."""
    noon = Window(day.start + 12 * HOUR, day.start + 13 * HOUR)
    for window, least in ((noon, LEAST_TELLING), (day, 1)):
        delay_us, labels = label_delay(connection, folders, (micros(window.start), micros(window.end)), USUALLY)
        if labels >= least:
            return [max(0, delay_us)]
    return []


def _day(partial: Partial) -> date:
    return (EPOCH + timedelta(microseconds=partial.span_start_us)).date()
