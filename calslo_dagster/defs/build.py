"""Assemble everything that Dagster sees."""

import warnings
from collections.abc import Mapping
from typing import Any

import dagster as dg

from calslo_dagster.defs import assets, checks, jobs, partitions, schedules, sensors
from calslo_dagster.defs.resources import LazyProject
from calslo_dagster.plugins import load_registry
from calslo_dagster.settings import Settings


def build_defs(settings: Settings, **overrides: Any) -> dg.Definitions:
    """Return the definitions for these settings; `overrides` replace resources by name, for tests."""
    with warnings.catch_warnings():
        # Single-run backfills and mappings to partitions that do not exist are marked beta; the release is pinned.
        warnings.simplefilter("ignore", dg.BetaWarning)
        return _assembled(settings, overrides)


def _assembled(settings: Settings, overrides: Mapping[str, Any]) -> dg.Definitions:
    slos = list(load_registry(settings))
    days, weeks = partitions.daily(settings.history_start), partitions.weekly(settings.history_start)
    measured = [assets.measurements(slo, days, weeks, settings.dashboard_url) for slo in slos]
    runs = jobs.asset_jobs(slos)
    late = [job for job in runs if job.name in (jobs.CATCH_UP_JOB, jobs.WEEKLY_JOB)]
    reports = [
        assets.drift_report(weeks),
        assets.calibration_tables(days),
        assets.anomalies(days),
        assets.calibration_trends(days),
        assets.report(jobs.WEEKLY_REPORT, weeks, "%G-W%V"),
        assets.report(jobs.MONTHLY_REPORT, partitions.monthly(settings.history_start), "%Y-%m"),
    ]
    return dg.Definitions(
        assets=[assets.snapshots(days), *measured, *reports, *assets.summaries(slos)],
        asset_checks=[checks.objectives(slos)],
        jobs=[*runs, jobs.maintenance_job],
        schedules=[
            schedules.every_minute,
            schedules.every_hour,
            schedules.every_day,
            schedules.every_week(settings.weekly_cron),
            schedules.every_month,
            schedules.every_night,
        ],
        sensors=[*sensors.OWN, *sensors.catch_up_sensors(late)],
        # For runs of single assets too, which no job of ours stands behind: a process per step costs a minute.
        executor=dg.in_process_executor,
        resources={"project": LazyProject(settings), **overrides},
    )
