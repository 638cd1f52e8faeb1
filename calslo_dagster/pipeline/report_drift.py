"""The weekly drift report: every metric of every slice against the week before, with verdicts and causes."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.read_snapshots import snapshots_over
from calslo_dagster.reporting.attribution import Attributed, Part, attributed
from calslo_dagster.reporting.distances import ScoreDistance, score_distances
from calslo_dagster.reporting.drift import DriftRow, drift_rows, judged_rows
from calslo_dagster.slo.drift import JudgedChange, judge_week
from calslo_dagster.slo.limits import own_limits
from calslo_dagster.slo.model import EVERYTHING, Verdict
from calslo_dagster.slo.windows import Window, baseline_of, week_of
from calslo_dagster.stats.attribution import Metric
from calslo_dagster.stats.changes import changes
from calslo_dagster.stats.snapshot import Snapshot
from calslo_dagster.store import drift, drift_attributions, drift_distances
from calslo_dagster.store.drift_attributions import AttributionRow
from calslo_dagster.store.drift_distances import DistanceRow

DRIFT_SLO: Final = "weekly_drift"
_DEFAULT_LIMIT: Final = 0.01

Week = Mapping[str, Snapshot]


@dataclass(frozen=True, slots=True)
class DriftReport:
    """What the last week of the run shows, worst first; `stored` counts the changes of all weeks."""

    week_end: datetime
    rows: tuple[DriftRow, ...]
    attributed: tuple[Attributed, ...]
    distances: tuple[ScoreDistance, ...]
    stored: int

    @property
    def verdicts(self) -> Mapping[Verdict, int]:
        """How many changes have each verdict, those not counted that take the verdict of another metric."""
        return Counter(row.judged.verdict for row in judged_rows(self.rows))


@dataclass(frozen=True, slots=True)
class _Found:
    """What one week shows against the one before."""

    judged: Mapping[str, tuple[JudgedChange, ...]]
    attributed: tuple[Attributed, ...]
    distances: tuple[ScoreDistance, ...]


def report_drift(project: Project, weeks: Sequence[datetime]) -> DriftReport:
    """Compare each ISO week that begins on these Mondays with the one before, and store what is found."""
    stored, week, found = 0, week_of(weeks[-1]), _Found({}, (), ())
    with project.engine() as connection:
        for monday in weeks:
            week = week_of(monday)
            snapshots = snapshots_over(project, connection, Window(baseline_of(week).start, week.end))
            found = _compared(project, snapshots.window(week), snapshots.window(baseline_of(week)))
            _store(project, week.end, found)
            stored += sum(map(len, found.judged.values()))
    return DriftReport(week.end, tuple(drift_rows(week.start, found.judged)), found.attributed, found.distances, stored)


def _limits(project: Project, names: Sequence[str]) -> dict[str, float]:
    """Return the limit of the weekly drift SLO in each slice; its default where that SLO is switched off."""
    if DRIFT_SLO not in project.registry:
        return dict.fromkeys(names, _DEFAULT_LIMIT)
    slo = project.registry.find(DRIFT_SLO)
    model = next(iter(project.models)) if len(project.models) == 1 else EVERYTHING
    limit = slo.objective.limit if isinstance(slo.objective.limit, float) else _DEFAULT_LIMIT
    own = {name: own_limits(slo, name, model)[0] for name in names}
    return {name: limit if found is None else found for name, found in own.items()}


def _compared(project: Project, now: Week, before: Week) -> _Found:
    names, none = sorted({*now, *before}), Snapshot()
    moved = {name: changes(now.get(name, none), before.get(name, none)) for name in names}
    views = {name: project.slice_keys[name][0] for name in names}
    distances = (one for name in names for one in score_distances(name, now.get(name, none), before.get(name, none)))
    return _Found(
        judge_week(moved, views, _limits(project, names)),
        tuple(_attributed(project, names, now, before)),
        tuple(distances),
    )


def _attributed(project: Project, names: Sequence[str], now: Week, before: Week) -> Iterator[Attributed]:
    """Yield the causes of the changes of every slice that finer ones make up, and of `*` in any case."""
    parts = _parts({name: project.slice_keys[name] for name in names})
    for name, finer in parts.items():
        pair = [{part: week[part] for part in finer if part in week} for week in (now, before)]
        found = (attributed(name, metric, *pair) for metric in Metric)
        yield from (one for one in found if one is not None)


def _parts(keys: Mapping[str, tuple[tuple[str, ...], tuple[str | None, ...]]]) -> dict[str, list[str]]:
    """Return the slices of the view with most columns that each coarser slice is cut into; all of them for `*`."""
    finest = max((view for view, _ in keys.values()), key=len, default=())
    named = {name: dict(zip(*key, strict=True)) for name, key in keys.items()}
    fine = [name for name, (view, _) in keys.items() if view == finest]
    return {
        name: [part for part in fine if own.items() <= named[part].items()]
        for name, own in named.items()
        if not own or set(own) < set(finest)
    }


def _store(project: Project, week_end: datetime, found: _Found) -> None:
    with project.store.write() as session:
        changes = [_change_row(week_end, name, one) for name, judged in found.judged.items() for one in judged]
        drift.replace(session, week_end, changes)
        causes = [row for one in found.attributed for row in _attribution_rows(week_end, one)]
        drift_attributions.replace(session, week_end, causes)
        drift_distances.replace(session, week_end, [_distance_row(week_end, one) for one in found.distances])


def _change_row(week_end: datetime, name: str, judged: JudgedChange) -> drift.DriftRow:
    delta, change = judged.delta, judged.delta.change
    return drift.DriftRow(
        week_end=week_end,
        slice=name,
        metric=delta.metric,
        current=delta.current.value,
        previous=delta.baseline.value,
        delta=change.value,
        se=change.standard_error,
        low=change.low,
        high=change.high,
        events_current=delta.current.events,
        events_previous=delta.baseline.events,
        limit=judged.limit,
        verdict=judged.verdict,
        reason=judged.reason,
        p_value=judged.p_value,
        q_value=judged.q_value,
        events_needed=judged.events_needed,
    )


def _attribution_rows(week_end: datetime, one: Attributed) -> Iterator[AttributionRow]:
    """Yield the row of the slice and those of its parts; a slice that is its only part has one row."""
    whole = Part(one.slice, one.effects, 1.0, 1.0)
    yield replace(_part_row(week_end, one, whole), current=one.current, previous=one.previous)
    yield from (_part_row(week_end, one, part) for part in one.parts if part.slice != one.slice)


def _part_row(week_end: datetime, one: Attributed, part: Part) -> AttributionRow:
    effects = part.effects
    return AttributionRow(
        week_end=week_end,
        slice=one.slice,
        metric=str(one.metric),
        part=part.slice,
        current=None,
        previous=None,
        delta=effects.total,
        mix=effects.mix,
        scores=effects.scores,
        outcome=effects.outcome,
        coverage=effects.coverage,
        share_current=part.share_current,
        share_previous=part.share_previous,
    )


def _distance_row(week_end: datetime, one: ScoreDistance) -> DistanceRow:
    found = one.distance
    return DistanceRow(
        week_end, one.slice, one.name, found.value, found.floor, found.p_value, found.events, one.reading
    )
