"""Roll the newest measurements up into the health of slices, SLOs, models and everything."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from calslo_dagster.pipeline.context import step_of
from calslo_dagster.pipeline.project import Project
from calslo_dagster.slo.freshness import Patience
from calslo_dagster.slo.health import Finding, HealthReport, roll_up
from calslo_dagster.slo.model import SLO, Measurement, Verdict
from calslo_dagster.slo.windows import open_end
from calslo_dagster.store import health, measurements

# For so many more windows a slice that is no longer measured is remembered.
REMEMBERED_STEPS: Final = 2


def roll_up_health(project: Project, *, now: datetime) -> HealthReport:
    """Store and return the health as of the open window."""
    findings = [
        Finding.of(row, slo.objective.operator) for slo in project.registry for row in current(project, slo, now)
    ]
    report = roll_up(findings)
    if not findings:
        report = replace(report, overall=replace(report.overall, reason=_silence(project, report.overall.reason)))
    with project.store.write() as session:
        health.replace(session, open_end(now, project.settings.evaluation_step), report)
    return report


def _silence(project: Project, never: str) -> str:
    """Return why nothing is known of now, with the end of what is known of the past."""
    with project.store.read() as session:
        ends = [end for slo in project.registry if (end := measurements.last_end(session, slo.name))]
    return f"Nothing was measured recently; measurements end at {max(ends):%Y-%m-%d %H:%M} UTC." if ends else never


def current(project: Project, slo: SLO, now: datetime) -> list[Measurement]:
    """Return what is known of every slice now: its last final measurement, or the open window's if that is a breach.

    An open window has seen part of its events, so it may raise an alarm but not call it off. A measurement that is too
    old to speak of now is unknown.
    """
    stale = now - patience_with(project, slo).window
    with project.store.read() as session:
        rows = newest_rows(session, project, slo, now)
    return [_aged(row, stale) for row in rows]


def patience_with(project: Project, slo: SLO) -> Patience:
    """Return how long what was measured of the SLO speaks of now."""
    return Patience.of(step_of(project, slo), project.settings.lateness)


def newest_rows(session: Session, project: Project, slo: SLO, now: datetime) -> list[Measurement]:
    """Return the measurement of each slice that speaks of `now`, however old, of those still remembered then."""
    return _newest(measurements.latest_rows(session, slo.name, since=now - remembered(project, slo)))


def remembered(project: Project, slo: SLO) -> timedelta:
    """Return for how long a slice that is no longer measured is remembered."""
    return patience_with(project, slo).window + REMEMBERED_STEPS * step_of(project, slo)


def _newest(rows: Iterable[Measurement]) -> list[Measurement]:
    chosen: dict[str, Measurement] = {}
    for row in rows:
        if row.is_final or row.verdict is Verdict.BREACHED or row.slice not in chosen:
            chosen[row.slice] = row
    return list(chosen.values())


def _aged(row: Measurement, stale: datetime) -> Measurement:
    if row.window_end > stale or row.verdict is Verdict.UNKNOWN:
        return row
    return replace(row, verdict=Verdict.UNKNOWN, reason=f"Not measured since {row.window_end:%Y-%m-%d %H:%M} UTC.")
