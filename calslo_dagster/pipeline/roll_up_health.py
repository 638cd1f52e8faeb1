"""Roll the newest measurements up into the health of slices, SLOs, models and everything."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from calslo_dagster.pipeline.context import step_of
from calslo_dagster.pipeline.project import Project
from calslo_dagster.slo.health import Finding, HealthReport, roll_up
from calslo_dagster.slo.model import SLO, Measurement, Verdict
from calslo_dagster.slo.windows import open_end
from calslo_dagster.store import health, measurements

# A verdict says nothing about now once so many windows have passed without a newer one.
STALE_AFTER_STEPS: Final = 4
LEAST_STALE: Final = timedelta(hours=8)


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
    step = step_of(project, slo)
    stale = now - max(STALE_AFTER_STEPS * step, LEAST_STALE)
    with project.store.read() as session:
        rows = measurements.latest_rows(session, slo.name, since=stale - 2 * step)
    return [_aged(row, stale) for row in _newest(rows)]


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
