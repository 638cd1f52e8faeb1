"""The assets: the road from the prediction log to breaches and availability, one asset per SLO."""

from collections.abc import Callable
from datetime import date
from typing import Final

import dagster as dg

from calslo_dagster.defs import checks, metadata
from calslo_dagster.defs.jobs import INCREMENTAL, WRITERS
from calslo_dagster.defs.partitions import days_of, weeks_of
from calslo_dagster.defs.resources import LazyProject
from calslo_dagster.pipeline.aggregate_snapshots import aggregate_days
from calslo_dagster.pipeline.explain_breaches import MOST_AT_ONCE, MOST_IN_HISTORY, explain_breaches, first_causes
from calslo_dagster.pipeline.find_anomalies import find_anomalies
from calslo_dagster.pipeline.inspect_snapshots import inspect_snapshots
from calslo_dagster.pipeline.measure_availability import measure_availability
from calslo_dagster.pipeline.project_trends import TREND_SLO, project_trends
from calslo_dagster.pipeline.read_standing import breached_slices, read_course, read_standing, read_trends
from calslo_dagster.pipeline.report_drift import report_drift
from calslo_dagster.pipeline.roll_up_health import roll_up_health
from calslo_dagster.pipeline.tabulate_calibration import tabulate_calibration
from calslo_dagster.pipeline.take_measurements import Request, measure_days, measure_weeks
from calslo_dagster.pipeline.track_breaches import track_breaches
from calslo_dagster.pipeline.write_report import write_report
from calslo_dagster.slo.model import SLO, Cadence
from calslo_dagster.stats.trend import SPAN

OWNERS: Final = ["team:model-reliability"]
SNAPSHOTS: Final = "calibration_snapshots"
ONE_RUN: Final = dg.BackfillPolicy.single_run()

Project = dg.ResourceParam[LazyProject]
Days = dg.DailyPartitionsDefinition
Weeks = dg.WeeklyPartitionsDefinition


def is_incremental(context: dg.AssetExecutionContext) -> bool:
    """Whether the run asked for what changed only, as schedules and sensors do."""
    return context.run.tags.get(INCREMENTAL) == "true"


def snapshots(days: Days) -> dg.AssetsDefinition:
    """Return the asset of calibration snapshots."""

    @dg.asset(
        key=SNAPSHOTS,
        group_name="snapshots",
        partitions_def=days,
        backfill_policy=ONE_RUN,
        pool=WRITERS,
        check_specs=checks.SNAPSHOT_CHECKS,
        owners=OWNERS,
        kinds={"duckdb", "parquet"},
        description=(
            "Mergeable sums of all predictions by slice and calibrator version, late labels joined: totals per minute, "
            "cells of the fine score grid and latency buckets per 15 minutes. The log is read here and nowhere else."
        ),
    )
    def calibration_snapshots(context: dg.AssetExecutionContext, project: Project) -> dg.MaterializeResult:
        opened, days, again = project.open(), list(days_of(context)), not is_incremental(context)
        report = aggregate_days(opened, days, now=project.now(), recompute=again, on_day=project.on_day)
        found = checks.of_snapshots(inspect_snapshots(opened, report))
        return dg.MaterializeResult(metadata=metadata.of_snapshots(report), check_results=found)

    return calibration_snapshots


def measurements(slo: SLO, days: Days, weeks: Weeks, dashboard_url: str | None = None) -> dg.AssetsDefinition:
    """Return the asset of one SLO's measurements."""
    is_weekly = slo.cadence is Cadence.WEEKLY
    partitions = weeks if is_weekly else days

    @dg.asset(
        key=["slo", slo.name],
        group_name="slo",
        partitions_def=partitions,
        backfill_policy=ONE_RUN,
        pool=WRITERS,
        deps=[_on_snapshots()],
        owners=[slo.owner] if slo.owner else OWNERS,
        kinds={"python", "sql"},
        tags={"calslo/cadence": str(slo.cadence)},
        metadata=metadata.of_definition(slo, dashboard_url),
        description=f"{slo.title}. {slo.description}",
    )
    def slo_measurements(context: dg.AssetExecutionContext, project: Project) -> dg.MaterializeResult:
        opened, now = project.open(), project.now()
        request = Request(slo.name, now, context.run.run_id, recompute=not is_incremental(context))
        if is_weekly:
            report = measure_weeks(opened, request, list(weeks_of(context)))
        else:
            report = measure_days(opened, request, list(days_of(context)))
        last = report.latest or read_standing(opened, slo, now=now).rows
        course = read_course(opened, slo, until=max((row.window_end for row in report.latest), default=None))
        heading = metadata.of_heading(read_trends(opened)) if slo.name == TREND_SLO else {}
        return dg.MaterializeResult(metadata={**metadata.of_measurements(report, slo, last, course), **heading})

    return slo_measurements


def drift_report(weeks: Weeks) -> dg.AssetsDefinition:
    """Return the asset of the weekly drift report."""

    @dg.asset(
        group_name="drift",
        partitions_def=weeks,
        backfill_policy=ONE_RUN,
        pool=WRITERS,
        deps=[_on_snapshots()],
        owners=OWNERS,
        kinds={"python", "sql"},
        description=(
            "Each metric of each slice, this ISO week against the one before: interval, verdict, the causes of the "
            "change, and how far the scores moved."
        ),
    )
    def weekly_drift_report(context: dg.AssetExecutionContext, project: Project) -> dg.MaterializeResult:
        opened = project.open()
        report = report_drift(opened, list(weeks_of(context)))
        heading = metadata.of_heading(read_trends(opened, until=report.week_end.date()))
        return dg.MaterializeResult(metadata={**metadata.of_drift(report), **heading})

    return weekly_drift_report


def calibration_tables(days: Days) -> dg.AssetsDefinition:
    """Return the asset of calibration tables."""

    @dg.asset(
        group_name="reports",
        partitions_def=days,
        backfill_policy=ONE_RUN,
        pool=WRITERS,
        deps=[SNAPSHOTS],
        owners=OWNERS,
        kinds={"python"},
        description="Bin by bin, what was claimed and what happened; slices that left what was fitted come first.",
    )
    def calibration_tables(context: dg.AssetExecutionContext, project: Project) -> dg.MaterializeResult:
        opened, days = project.open(), list(days_of(context))
        shown = metadata.of_tables(tabulate_calibration(opened, days), breached_slices(opened, days))
        return dg.MaterializeResult(metadata=shown)

    return calibration_tables


def anomalies(days: Days) -> dg.AssetsDefinition:
    """Return the asset of anomalies."""

    @dg.asset(
        group_name="reports",
        partitions_def=days,
        backfill_policy=ONE_RUN,
        pool=WRITERS,
        deps=[SNAPSHOTS],
        owners=OWNERS,
        kinds={"python", "sql"},
        description=(
            "Hours in which a slice was unlike the same hours of other weeks or days: volume, label coverage, shape of "
            "the scores, clamping, latency. In a week without trouble all slices together raise about one false alarm."
        ),
    )
    def anomalies(context: dg.AssetExecutionContext, project: Project) -> dg.MaterializeResult:
        report = find_anomalies(project.open(), list(days_of(context)), now=project.now())
        return dg.MaterializeResult(metadata=metadata.of_anomalies(report))

    return anomalies


def calibration_trends(days: Days) -> dg.AssetsDefinition:
    """Return the asset of trends."""

    @dg.asset(
        group_name="reports",
        partitions_def=days,
        backfill_policy=ONE_RUN,
        pool=WRITERS,
        deps=[_on_snapshots(SPAN, until=-1)],
        owners=OWNERS,
        kinds={"python", "sql"},
        description="Where the calibration of each slice is heading, from the 28 days before, and when it may breach.",
    )
    def calibration_trends(context: dg.AssetExecutionContext, project: Project) -> dg.MaterializeResult:
        report = project_trends(project.open(), list(days_of(context)), now=project.now())
        return dg.MaterializeResult(metadata=metadata.of_trends(report))

    return calibration_trends


def summaries(slos: list[SLO]) -> list[dg.AssetsDefinition]:
    """Return the unpartitioned assets that summarise all measurements."""
    keys = [dg.AssetKey(["slo", slo.name]) for slo in slos]

    @summary(keys, "Episodes in which an SLO of a slice was breached: onset, peak, recovery, likely cause.")
    def breaches(context: dg.AssetExecutionContext, project: Project) -> dg.MaterializeResult:
        opened, now = project.open(), project.now()
        report = track_breaches(opened)
        waiting = explain_breaches(opened, now=now, most=MOST_AT_ONCE if is_incremental(context) else MOST_IN_HISTORY)
        causes = first_causes(opened, (*report.open, *report.changed))
        found = metadata.of_breaches(report, slos, now)
        return dg.MaterializeResult(metadata={**found, **metadata.of_causes(report, causes, waiting)})

    @summary([breaches.key], "Per SLO and slice: availability with bounds, error budget, burn rates, MTTR, MTTF, MTBF.")
    def availability(project: Project) -> dg.MaterializeResult:
        report = measure_availability(project.open(), now=project.now())
        return dg.MaterializeResult(metadata=metadata.of_availability(report))

    @summary([availability.key], "Health of each slice, SLO and model, and of everything: a score and a word.")
    def health(project: Project) -> dg.MaterializeResult:
        return dg.MaterializeResult(metadata=metadata.of_health(roll_up_health(project.open(), now=project.now())))

    return [breaches, availability, health]


def report(name: str, partitions: dg.PartitionsDefinition, form: str) -> dg.AssetsDefinition:
    """Return the asset of reports over such partitions, whose names `form` makes of the day on which they begin."""

    @dg.asset(
        name=name,
        group_name="reports",
        partitions_def=partitions,
        backfill_policy=ONE_RUN,
        pool=WRITERS,
        deps=["breaches", "weekly_drift_report"],
        owners=OWNERS,
        kinds={"python"},
        description=(
            "Summary, what to do, each SLO, budgets, breaches and drift of the period, in every format for reading, "
            "in `reports/` of the home; the files of a period that is reported again are replaced."
        ),
    )
    def written(context: dg.AssetExecutionContext, project: Project) -> dg.MaterializeResult:
        names = [f"{date.fromisoformat(key):{form}}" for key in context.partition_keys]
        *_, last = [write_report(project.open(), name, now=project.now()) for name in names]
        return dg.MaterializeResult(metadata=metadata.of_report(last, project.settings.dashboard_url))

    return written


def summary(
    deps: list[dg.AssetKey], description: str
) -> Callable[[Callable[..., dg.MaterializeResult]], dg.AssetsDefinition]:
    """Return the decorator of an unpartitioned asset that summarises others."""
    return dg.asset(
        deps=deps,
        description=description,
        group_name="reliability",
        pool=WRITERS,
        owners=OWNERS,
        kinds={"python", "sql"},
    )


def _on_snapshots(back: int = 1, *, until: int = 0) -> dg.AssetDep:
    """Windows of a day reach into the day before, a week is compared with the week before, a trend has 28 days."""
    mapping = dg.TimeWindowPartitionMapping(
        start_offset=-back, end_offset=until, allow_nonexistent_upstream_partitions=True
    )
    return dg.AssetDep(SNAPSHOTS, partition_mapping=mapping)
