"""What runs together: the minute, the week, catching up with late data, and the housekeeping."""

from collections.abc import Iterable
from typing import Final

import dagster as dg

# Dagster exports the function but not the type that it returns.
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from calslo_dagster.defs.resources import LazyProject
from calslo_dagster.defs.run_history import delete_old_runs
from calslo_dagster.pipeline.compact_snapshots import compact_snapshots
from calslo_dagster.pipeline.prune_history import prune_history
from calslo_dagster.slo.model import SLO, Cadence

AssetJob = UnresolvedAssetJobDefinition

MINUTE_JOB: Final = "minute_job"
DAILY_JOB: Final = "daily_job"
CATCH_UP_JOB: Final = "catch_up_job"
WEEKLY_JOB: Final = "weekly_job"
HISTORY_JOB: Final = "history_job"
WEEKLY_HISTORY_JOB: Final = "weekly_history_job"
SUMMARIES_JOB: Final = "summaries_job"
MAINTENANCE_JOB: Final = "maintenance_job"
ANOMALIES_JOB: Final = "anomalies_job"
MONTHLY_JOB: Final = "monthly_job"

WEEKLY_REPORT: Final = "weekly_report"
MONTHLY_REPORT: Final = "monthly_report"

# Runs that write the state take turns: dagster.yaml allows one at a time whose steps are in this pool, however it was
# started. An instance that was set up before the pool was knows the tag of our jobs only.
WRITERS: Final = "calslo_writers"
WRITES: Final = {"calslo/writes": "state"}
# Only what changed is computed again; without this tag a partition is recomputed from the log.
INCREMENTAL: Final = "calslo/incremental"
# Dagster's own key: a killed run would otherwise look busy for ever.
MAX_RUNTIME: Final = "dagster/max_runtime"
# Dagster's own key: neither the minute nor a person waits until all that came late has been caught up with.
LATER: Final = {"dagster/priority": "-1"}

SUMMARIES: Final = ("breaches", "availability", "health")
# The checks of every SLO.
JUDGED: Final = ("objective", "no_errors")


def asset_jobs(slos: Iterable[SLO]) -> list[AssetJob]:
    """Return every job that materializes assets, each in one process: a process per step costs a minute."""
    slos = list(slos)
    by_cadence = {cadence: [_key(s) for s in slos if s.cadence is cadence] for cadence in Cadence}
    summaries = dg.AssetSelection.assets(*SUMMARIES)
    # How SLOs stand now is judged once the summaries are up to date, not after each part of the past.
    judged = dg.AssetSelection.checks(*(dg.AssetCheckKey(_key(s), name) for s in slos for name in JUDGED))
    daily = dg.AssetSelection.assets("calibration_snapshots", "calibration_tables", *by_cadence[Cadence.MINUTE])
    anomalies = dg.AssetSelection.assets("anomalies")
    weekly = dg.AssetSelection.assets("weekly_drift_report", *by_cadence[Cadence.WEEKLY])
    trends = dg.AssetSelection.assets("calibration_trends")
    reported = dg.AssetSelection.assets(WEEKLY_REPORT)
    hasty, patient = {INCREMENTAL: "true", MAX_RUNTIME: "300"}, {MAX_RUNTIME: "1800"}
    return [
        _job(MINUTE_JOB, "Measure what came in since the last minute.", daily | summaries, **hasty),
        _job(DAILY_JOB, "Project where slices are heading.", trends, **patient, **LATER),
        _job(CATCH_UP_JOB, "Bring one day up to date with late data.", daily | anomalies | summaries, **hasty, **LATER),
        _job(
            WEEKLY_JOB, "Compare the week that ended with the last.", weekly | summaries | reported, **patient, **LATER
        ),
        _job(MONTHLY_JOB, "Report the month that ended.", dg.AssetSelection.assets(MONTHLY_REPORT), **patient, **LATER),
        _job(HISTORY_JOB, "Recompute a range of days from the log.", (daily | anomalies | trends) - judged),
        _job(WEEKLY_HISTORY_JOB, "Recompute a range of weeks.", weekly - judged),
        _job(ANOMALIES_JOB, "Find the hours of a day that are unlike their season.", anomalies, **patient, **LATER),
        _job(SUMMARIES_JOB, "Bring breaches, availability and health up to date.", summaries | judged),
    ]


def _key(slo: SLO) -> dg.AssetKey:
    return dg.AssetKey(["slo", slo.name])


def _job(name: str, description: str, selection: dg.AssetSelection, **tags: str) -> AssetJob:
    return dg.define_asset_job(
        name,
        selection=selection,
        executor_def=dg.in_process_executor,
        tags={**WRITES, **tags},
        description=description,
    )


@dg.op(
    pool=WRITERS,
    description="Merge the hours of closed days, roll old panes up, and drop what retention no longer keeps.",
)
def tidy_snapshots(context: dg.OpExecutionContext, project: dg.ResourceParam[LazyProject]) -> None:
    """Compact and prune our own files and rows."""
    opened, now = project.open(), project.now()
    context.add_output_metadata({**compact_snapshots(opened, now=now), **prune_history(opened, now=now)})


@dg.op(
    ins={"after": dg.In(dg.Nothing)},
    pool=WRITERS,
    description="Delete old Dagster runs, never the one that holds a partition's latest materialization.",
)
def prune_runs(context: dg.OpExecutionContext, project: dg.ResourceParam[LazyProject]) -> None:
    """Prune Dagster's own history, which nothing else does."""
    keep = project.settings.retention.runs
    context.add_output_metadata({"runs_deleted": delete_old_runs(context.instance, older_than=project.now() - keep)})


@dg.job(
    name=MAINTENANCE_JOB,
    executor_def=dg.in_process_executor,
    tags={**WRITES, MAX_RUNTIME: "3600"},
    description="Nightly housekeeping: compaction, roll-ups, retention, and pruning of Dagster's own history.",
)
def maintenance_job() -> None:
    """Tidy snapshots first; pruning runs deletes files that a crash should not race."""
    prune_runs(after=tidy_snapshots())
