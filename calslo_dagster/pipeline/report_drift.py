"""The weekly drift report: every metric of every slice against the week before."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.read_snapshots import snapshots_over
from calslo_dagster.reporting.drift import DriftRow, drift_rows
from calslo_dagster.slo.model import Verdict
from calslo_dagster.slo.windows import Window, baseline_of, week_of
from calslo_dagster.stats.drift import JUDGED, Delta, deltas, metric_values
from calslo_dagster.stats.snapshot import Snapshot
from calslo_dagster.store import drift

DRIFT_SLO: Final = "weekly_drift"
_DEFAULT_LIMIT: Final = 0.01


@dataclass(frozen=True, slots=True)
class DriftReport:
    """The rows of the last week of the run, the largest certain movements first; `stored` counts those of all weeks."""

    week_end: datetime
    rows: tuple[DriftRow, ...]
    stored: int


def report_drift(project: Project, weeks: Sequence[datetime]) -> DriftReport:
    """Compare each ISO week that begins on these Mondays with the one before, and store the rows."""
    stored, rows, week = 0, list[DriftRow](), week_of(weeks[-1])
    limit = _limit(project)
    with project.engine() as connection:
        for monday in weeks:
            week = week_of(monday)
            snapshots = snapshots_over(project, connection, Window(baseline_of(week).start, week.end))
            now, before = snapshots.window(week), snapshots.window(baseline_of(week))
            found = {
                name: deltas(metric_values(now.get(name, Snapshot())), metric_values(before.get(name, Snapshot())))
                for name in sorted({*now, *before})
            }
            rows = drift_rows(week.start, found, limit)
            with project.store.write() as session:
                drift.replace(
                    session, week.end, [_stored(week.end, name, d, limit) for name, ds in found.items() for d in ds]
                )
            stored += sum(map(len, found.values()))
    return DriftReport(week.end, tuple(rows), stored)


def _limit(project: Project) -> float:
    """Return the limit of the weekly drift SLO; its default where that SLO is switched off."""
    limit = project.registry.find(DRIFT_SLO).objective.limit if DRIFT_SLO in project.registry else _DEFAULT_LIMIT
    return limit if isinstance(limit, float) else _DEFAULT_LIMIT


def _stored(week_end: datetime, name: str, delta: Delta, limit: float) -> drift.DriftRow:
    change = delta.change
    verdict, reason = _verdict(delta, limit)
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
        limit=limit if delta.metric in JUDGED else None,
        verdict=verdict,
        reason=reason,
    )


def _verdict(delta: Delta, limit: float) -> tuple[Verdict, str]:
    """Return the plain verdict of one metric; whether chance explains it is what its interval says."""
    value = delta.change.value
    if value is None:
        return Verdict.UNKNOWN, delta.change.reason
    if delta.metric not in JUDGED:
        return Verdict.MEETING, "not judged here; it has an SLO of its own"
    if abs(value) < limit:
        return Verdict.MEETING, f"changed by {value:+.4g}, within {limit:g}"
    return Verdict.BREACHED, f"changed by {value:+.4g}; it must stay below {limit:g}"
