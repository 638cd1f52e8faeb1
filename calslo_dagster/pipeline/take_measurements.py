"""Measure one SLO over the windows of some days or weeks, from snapshots alone."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Final

from calslo_dagster.engine.facts import PANE_US
from calslo_dagster.engine.series import SnapshotSeries
from calslo_dagster.pipeline.context import Context, context_of
from calslo_dagster.pipeline.digest_panes import digest_panes
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.read_snapshots import Snapshots, snapshots_over
from calslo_dagster.pipeline.store_measurements import store_measurements
from calslo_dagster.pipeline.weigh_evidence import is_weighed, weigh_evidence
from calslo_dagster.slo.model import EVERYTHING, SLO, Measurement, Verdict
from calslo_dagster.slo.windows import DAY, Window, baseline_of, day_span, open_end, week_of, window_ends
from calslo_dagster.sources.base import micros
from calslo_dagster.stats.snapshot import Snapshot
from calslo_dagster.store import evaluations

# A slice without any row for a day is dormant: it gets no measurements, instead of `unknown` ones for ever.
DORMANT_AFTER: Final = DAY
# Up to so many windows are added up one by one; beyond, running sums over all panes are cheaper.
FEW_WINDOWS: Final = 8
# Running sums of eight days take about 50 MB for a slice that uses every bin.
LONGEST_STRETCH: Final = 8 * DAY


@dataclass(frozen=True, slots=True)
class MeasurementReport:
    """What was measured: `windows` ends were due, `verdicts` counts the rows, `latest` are those of the last window."""

    slo: str
    windows: int
    rows: int
    verdicts: Mapping[Verdict, int]
    latest: tuple[Measurement, ...]
    history: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Request:
    """What to measure and how: without `recompute` only windows whose snapshots changed, or which became final."""

    slo: str
    now: datetime
    run_id: str
    recompute: bool = True


def measure_days(project: Project, request: Request, days: Sequence[date]) -> MeasurementReport:
    """Measure the SLO at every window end of these days up to the open one.

    Without `recompute` the day before is included, because its last windows become final after midnight.
    """
    wanted = days if request.recompute else (days[0] - DAY, *days)
    if is_weighed(project.registry.find(request.slo)):
        return _weigh(project, request, wanted)
    return _measure(project, request, _stretches(wanted))


def measure_weeks(project: Project, request: Request, weeks: Sequence[datetime]) -> MeasurementReport:
    """Measure a weekly SLO over the ISO weeks that begin on these Mondays, each against the week before."""
    return _measure(project, request, [week_of(monday) for monday in weeks])


def _stretches(days: Sequence[date]) -> list[Window]:
    """Return the days as spans of consecutive ones, each short enough for its panes to be summed up in memory."""
    spans: list[Window] = []
    for day in map(day_span, sorted(days)):
        if spans and spans[-1].end == day.start and spans[-1].length < LONGEST_STRETCH:
            spans[-1] = Window(spans[-1].start, day.end)
        else:
            spans.append(day)
    return spans


def _measure(project: Project, request: Request, spans: Sequence[Window]) -> MeasurementReport:
    slo = project.registry.find(request.slo)
    context = context_of(project, slo, now=request.now, run_id=request.run_id)
    windows, rows = 0, list[Measurement]()
    with project.engine() as connection:
        for span in spans:
            snapshots = snapshots_over(project, connection, context.reach(span))
            inputs = _inputs(context, snapshots, span)
            due = list(inputs) if request.recompute else _changed(context, inputs, span)
            taken = list(take(context, snapshots, due))
            with project.store.write() as session:
                store_measurements(session, context, {end: inputs[end] for end in due}, taken)
            windows, rows = windows + len(due), rows + taken
    _touch(context, spans)
    return _report(slo, windows, rows)


def _weigh(project: Project, request: Request, days: Sequence[date]) -> MeasurementReport:
    slo = project.registry.find(request.slo)
    context = context_of(project, slo, now=request.now, run_id=request.run_id)
    windows, rows = 0, list[Measurement]()
    with project.engine() as connection:
        for inputs, taken in weigh_evidence(context, connection, days, recompute=request.recompute):
            windows, rows = windows + len(inputs), rows + taken
    _touch(context, [day_span(day) for day in days])
    return _report(slo, windows, rows)


def _touch(context: Context, spans: Sequence[Window]) -> None:
    """Note that somebody looked; who looks at days that are over says nothing about whether anybody looks at today."""
    if any(span.start < open_end(context.now, context.step) <= span.end for span in spans):
        with context.project.store.write() as session:
            evaluations.touch(session, context.slo.name, at=context.now)


def _inputs(context: Context, snapshots: Snapshots, span: Window) -> dict[datetime, str]:
    """Return the window ends in the span, none after the open one, with what each measurement rests on.

    What was measured before snapshots were rolled up stays where they no longer hold the window.
    """
    last = open_end(context.now, context.step)
    ends = [end for end in window_ends(span.start, span.end, context.step) if end <= last]
    panes = digest_panes(snapshots)
    return {end: context.inputs(panes, end) for end in ends if context.is_measurable(snapshots, end)}


def _changed(context: Context, inputs: Mapping[datetime, str], span: Window) -> list[datetime]:
    """Return the window ends whose measurement, if there is one, rests on something else."""
    with context.project.store.read() as session:
        known = evaluations.between(session, context.slo.name, start=span.start, end=span.end)
    return [end for end, digest in inputs.items() if known.get(end) != digest]


def take(context: Context, snapshots: Snapshots, ends: Sequence[datetime]) -> Iterator[Measurement]:
    """Yield the measurements of every slice at these window ends; nothing is stored."""
    if not ends:
        return
    if context.is_weekly or len(ends) <= FEW_WINDOWS or snapshots.width_us(snapshots.span) > PANE_US:
        yield from _one_by_one(context, snapshots, ends)
    else:
        yield from _by_slice(context, snapshots, ends)


def _one_by_one(context: Context, snapshots: Snapshots, ends: Sequence[datetime]) -> Iterator[Measurement]:
    for end in ends:
        window = context.window(end)
        current = snapshots.window(window)
        baseline = snapshots.window(baseline_of(window)) if context.is_weekly else {}
        panes = [snapshots.window(pane) for pane in context.panes(window)]
        names = sorted(filter(context.covers, {*current, *baseline, *_awake(snapshots, window)}))
        for name in names:
            before = baseline.get(name, Snapshot()) if context.is_weekly else None
            parts = [pane.get(name, Snapshot()) for pane in panes]
            now = current.get(name, Snapshot())
            yield context.measured(name, window, now, baseline=before, panes=parts, slices=len(names))


def _awake(snapshots: Snapshots, window: Window) -> set[str]:
    """Return the slices that had a row lately, for windows too short to tell by themselves."""
    if window.length >= DORMANT_AFTER:
        return set()
    return snapshots.seen(Window(window.end - DORMANT_AFTER, window.end))


def _by_slice(context: Context, snapshots: Snapshots, ends: Sequence[datetime]) -> Iterator[Measurement]:
    # Late in an hour only its windows are due, which is no reason to read whole days.
    reach = context.reach(Window(min(ends) - context.step, max(ends)))
    for name, series in replace(snapshots, span=reach).series():
        if context.covers(name):
            yield from take_along(context, name, series, ends)


def take_along(context: Context, name: str, series: SnapshotSeries, ends: Sequence[datetime]) -> Iterator[Measurement]:
    """Yield the measurements of one slice at these window ends, without those at which it is dormant."""
    for end in ends:
        window = context.window(end)
        if _is_awake(series, min(window.start, end - DORMANT_AFTER), end):
            panes = [_cut(series, pane) for pane in context.panes(window)]
            yield context.measured(name, window, _cut(series, window), panes=panes)


def _is_awake(series: SnapshotSeries, start: datetime, end: datetime) -> bool:
    first, last = series.panes.at(micros(start)), series.panes.at(micros(end))
    return bool(series.rows[first:last].any())


def _cut(series: SnapshotSeries, window: Window) -> Snapshot:
    return series.window(micros(window.start), micros(window.end))


def _report(slo: SLO, windows: int, rows: Sequence[Measurement]) -> MeasurementReport:
    """Return the report on the rows of so many windows."""
    last = max((row.window_end for row in rows), default=None)
    whole = [row for row in rows if row.slice == EVERYTHING and row.value is not None]
    return MeasurementReport(
        slo=slo.name,
        windows=windows,
        rows=len(rows),
        verdicts={verdict: sum(row.verdict is verdict for row in rows) for verdict in Verdict},
        latest=tuple(row for row in rows if row.window_end == last),
        history=tuple(row.value for row in whole if row.value is not None),
    )
