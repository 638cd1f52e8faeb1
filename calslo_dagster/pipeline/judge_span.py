"""Judge every window of a span from the stored snapshots, by settings of any kind, without the store."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import numpy as np
from duckdb import DuckDBPyConnection
from numpy.typing import NDArray

from calslo_dagster.engine.facts import PANE_US
from calslo_dagster.engine.series import SnapshotSeries
from calslo_dagster.pipeline.context import Context, expected_of
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.read_snapshots import Snapshots, snapshots_over
from calslo_dagster.pipeline.take_measurements import DORMANT_AFTER, take_along
from calslo_dagster.pipeline.weigh_evidence import evidence_over, is_weighed
from calslo_dagster.slo.course import Course, Grid
from calslo_dagster.slo.many import CODE, Judged, Windows, judged_many
from calslo_dagster.slo.model import Measurement, Verdict
from calslo_dagster.slo.slices import matches
from calslo_dagster.slo.windows import DAY, WEEK, Window, open_end, week_of, window_ends
from calslo_dagster.sources.base import micros
from calslo_dagster.stats.batch import Batch
from calslo_dagster.stats.snapshot import Snapshot

Ints = NDArray[np.int64]
Told = Callable[[Window], None]

_BREACHED: Final = CODE[Verdict.BREACHED]


@dataclass(frozen=True, slots=True)
class Trial:
    """One SLO that is judged over a span, by its context, with the courses of its slices as they come about."""

    context: Context
    grid: Grid
    courses: dict[str, Course] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, context: Context, span: Window) -> "Trial":
        """Return the trial of the SLO over the window ends in the span up to the open one, and over past weeks."""
        last = context.now if context.is_weekly else open_end(context.now, context.step)
        ends = [end for end in window_ends(span.start, span.end, context.step) if end <= last]
        start = ends[0] - context.step if ends else span.start
        seen = context.watermark and context.watermark + context.project.settings.lateness
        return cls(context, Grid(start, context.step, len(ends), context.watermark, seen))

    @property
    def is_by_rows(self) -> bool:
        """Whether its verdicts rest on more than its windows, so that `rows` has to yield its measurements."""
        return is_weighed(self.context.slo)

    def course(self, slice_name: str) -> Course:
        """Return the course of a slice, empty at first."""
        if slice_name not in self.courses:
            self.courses[slice_name] = Course(self.context.slo, slice_name, self.grid)
        return self.courses[slice_name]

    def places(self, span: Window) -> Ints:
        """Return the places of the window ends in the span."""
        first, last = self.grid.place(span.start) + 1, self.grid.place(span.end) + 1
        return np.arange(max(first, 0), min(last, self.grid.count))

    def ends(self, span: Window) -> list[datetime]:
        """Return the window ends in the span."""
        return [self.grid.end(place) for place in self.places(span).tolist()]


def rows(context: Context, snapshots: Snapshots, ends: Sequence[datetime]) -> Iterator[Measurement]:
    """Yield the measurements of an SLO whose evidence adds up, each slice in the order of time; nothing is stored."""
    if ends:
        yield from evidence_over(context, snapshots.connection, Window(ends[0] - context.step, ends[-1]))


def judge_span(
    project: Project, trials: Sequence[Trial], span: Window, *, slices: Sequence[str] = (), told: Told | None = None
) -> None:
    """Fill the courses of the trials from the snapshots of the project, a week at most in memory at a time.

    slices: shell patterns of the slices that are looked at, none for all; told: is called after each part of the span.
    """
    along = [trial for trial in trials if not trial.is_by_rows and trial.grid.count]
    walk = _Walk(project, along, slices)
    with project.engine() as connection:
        for trial in trials:
            if trial.is_by_rows:
                _by_rows(project, connection, trial, span=span, slices=slices)
        for part in _parts(along, span):
            walk.judge(connection, part)
            if told:
                told(part)


def _parts(trials: Sequence[Trial], span: Window) -> Iterator[Window]:
    """Yield the span in parts that no Monday divides; it begins earlier if weeks that end in it do, each with two."""
    starts = [trial.grid.start - WEEK for trial in trials if trial.context.is_weekly]
    at = min([span.start, *starts]) if trials else span.end
    while at < span.end:
        end = min(week_of(at).end, span.end)
        yield Window(at, end)
        at = end


def wants(slices: Sequence[str], name: str) -> bool:
    """Whether the slice is one of those that are looked at."""
    return not slices or any(matches(pattern, name) for pattern in slices)


def _by_rows(
    project: Project, connection: DuckDBPyConnection, trial: Trial, *, span: Window, slices: Sequence[str]
) -> None:
    snapshots = snapshots_over(project, connection, trial.context.reach(span))
    for row in rows(trial.context, snapshots, trial.ends(span)):
        if wants(slices, row.slice):
            trial.course(row.slice).add([row])


@dataclass(frozen=True, slots=True)
class _Walk:
    """A walk along the snapshots: each part is read once, and every trial judges a slice while it is in memory.

    last_week: the week before the one at hand, by slice, for trials that compare the two; last_names: all its slices,
    which share the false alarms, those that nobody wants to see too.
    """

    project: Project
    trials: Sequence[Trial]
    slices: Sequence[str]
    last_week: dict[str, Snapshot] = field(default_factory=dict)
    last_names: set[str] = field(default_factory=set)

    def judge(self, connection: DuckDBPyConnection, part: Window) -> None:
        """Judge the window ends in the part, whose days lie in one week."""
        minutely = [t for t in self.trials if not t.context.is_weekly and len(t.places(part))]
        weekly = [t for t in self.trials if t.context.is_weekly and part.length == WEEK]
        if not minutely and not weekly:
            return
        last = max([trial.grid.end(int(trial.places(part)[-1])) for trial in minutely] + [part.end] * bool(weekly))
        reach = Window(min([part.start, *(trial.context.reach(part).start for trial in minutely)]), last)
        snapshots, before = snapshots_over(self.project, connection, reach), dict(self.last_week)
        names = set(self.last_names)
        self.last_week.clear()
        self.last_names.clear()
        for name, series in snapshots.series(snapshots.width_us(reach)):
            is_wanted, has_rows = wants(self.slices, name), weekly and series.has_rows(*_edges(series, part)).any()
            if has_rows:
                self.last_names.add(name)
            if is_wanted:
                judge_series(minutely, name, series, part)
            if is_wanted and has_rows:
                self.last_week[name] = series.window(micros(part.start), micros(part.end))
        names |= self.last_names
        for name in sorted({*self.last_week, *before}):
            weeks = self.last_week.get(name, Snapshot()), before.get(name, Snapshot())
            judge_week(weekly, name, part, weeks=weeks, names=names)


def _edges(series: SnapshotSeries, part: Window) -> tuple[Ints, Ints]:
    return tuple(series.panes.places(np.array([micros(edge)])) for edge in (part.start, part.end))  # type: ignore[return-value]


def judge_week(
    trials: Sequence[Trial], name: str, week: Window, *, weeks: tuple[Snapshot, Snapshot], names: Collection[str]
) -> None:
    """Judge one slice by every weekly trial in a week, against the one before; names: all slices that are judged."""
    current, baseline = weeks
    for trial in trials:
        if len(trial.places(week)) and trial.context.covers(name):
            slices = sum(map(trial.context.covers, names))
            trial.course(name).add([trial.context.measured(name, week, current, baseline=baseline, slices=slices)])


def judge_series(trials: Sequence[Trial], name: str, series: SnapshotSeries, stretch: Window) -> None:
    """Judge one slice by every trial over the window ends in the stretch, which the series must reach back behind."""
    batches: dict[tuple[bytes, timedelta], _Cut] = {}
    for trial in trials:
        if not trial.context.covers(name):
            continue
        places = trial.places(stretch)
        key = (_ends_us(trial, places).tobytes(), trial.context.slo.window)
        if key not in batches:
            batches[key] = _Cut.of(trial, series, places)
        if not _at_once(trial, name, batches[key], places):
            course = trial.course(name)
            course.add(take_along(trial.context, name, series, trial.ends(stretch)))
            if not course.measured:
                del trial.courses[name]


def _ends_us(trial: Trial, places: Ints) -> Ints:
    return micros(trial.grid.start) + (places + 1) * (trial.grid.step // timedelta.resolution)


@dataclass(frozen=True, slots=True, eq=False)
class _Cut:
    """The windows of one length of one slice, of which all SLOs of that length make use.

    awake: which of the window ends the slice is awake at; starts, ends: of those windows, in microseconds; seen: the
    different sets of versions; kind: which of them each window has.
    """

    awake: Ints
    starts: Ints
    ends: Ints
    batch: Batch
    seen: list[tuple[str, ...]]
    kind: Ints

    @classmethod
    def of(cls, trial: Trial, series: SnapshotSeries, places: Ints) -> "_Cut":
        ends, length = _ends_us(trial, places), trial.context.slo.window // timedelta.resolution
        starts = ends - length
        since = np.minimum(starts, ends - DORMANT_AFTER // timedelta.resolution)
        awake = np.flatnonzero(series.has_rows(series.panes.places(since), series.panes.places(ends)))
        first, last = series.panes.places(starts[awake]), series.panes.places(ends[awake])
        seen, kind = series.versions_seen(first, last)
        return cls(awake, starts[awake], ends[awake], series.batch(first, last), seen, kind)


def _at_once(trial: Trial, name: str, cut: _Cut, places: Ints) -> bool:
    """Judge all windows at once; return whether the SLO can be."""
    context, expected = trial.context, [expected_of(trial.context.manifests, seen, name) for seen in cut.seen]
    models = [context.model_of(known.values()) for known in expected]
    windows = Windows(cut.batch, tuple(expected), cut.kind)
    found = judged_many(context.slo, windows, slice_name=name, models=models)
    if found is None:
        return False
    if len(cut.awake):
        _exclude(context, name, found, cut=cut, models=models)
        _record(trial.course(name), found, places[cut.awake], [models[kind] for kind in cut.kind.tolist()])
    return True


def _exclude(context: Context, name: str, found: Judged, *, cut: _Cut, models: Sequence[str]) -> None:
    for exclusion in context.exclusions:
        start, end = micros(exclusion.span.start), micros(exclusion.span.end)
        covered = np.array([exclusion.covers(context.slo.name, name, model) for model in models])
        found.codes[covered[cut.kind] & (cut.starts < end) & (cut.ends > start)] = CODE[Verdict.EXCLUDED]


def _record(course: Course, found: Judged, places: Ints, models: Sequence[str]) -> None:
    course.codes[places] = found.codes
    for row, model in enumerate(models):
        if not row or model != models[row - 1]:
            course.note_model(int(places[row]), model)
    for row in np.flatnonzero(found.codes == _BREACHED).tolist():
        course.note_bad(int(places[row]), float(found.values[row]), found.fails[row])


def coarse_days(snapshots: Snapshots, context: Context, span: Window) -> list[Window]:
    """Return the days of the span in which the buckets of the snapshots are too wide for the SLO's windows."""
    if _is_fine(context, snapshots, context.reach(span)):
        return []
    return [day for day in days_of(span) if not _is_fine(context, snapshots, context.reach(day))]


def _is_fine(context: Context, snapshots: Snapshots, reach: Window) -> bool:
    width = timedelta(microseconds=snapshots.width_us(reach))
    slo = context.slo
    lengths = (context.step, slo.window, DAY, slo.pane or DAY)
    return width == timedelta(microseconds=PANE_US) or not any(length % width for length in lengths)


def bare_days(snapshots: Snapshots, span: Window) -> list[Window]:
    """Return the days of the span that no snapshot is of."""
    spans = sorted((one.span_start_us, one.span_end_us) for one in snapshots.listed)
    return [d for d in days_of(span) if not any(a < micros(d.end) and b > micros(d.start) for a, b in spans)]


def days_of(span: Window) -> list[Window]:
    """Return the days of the span."""
    return [Window(span.start + n * DAY, span.start + (n + 1) * DAY) for n in range(span.length // DAY)]
