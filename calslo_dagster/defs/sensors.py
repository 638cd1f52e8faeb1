"""What reacts: to new files, to late labels, to breaches to announce, to silence, and to our own failures.

Alerts leave by an outbox that plain sensors empty: a plain sensor that raises tries again, while a run-status
sensor that raises has lost its event for good.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any, Final

import dagster as dg

from calslo_dagster.defs.jobs import CATCH_UP_JOB, WEEKLY_JOB, AssetJob
from calslo_dagster.defs.resources import LazyProject
from calslo_dagster.defs.run_failures import PARTITION, is_watched, last_ends
from calslo_dagster.pipeline.dispatch_alerts import dispatch_alerts
from calslo_dagster.pipeline.find_stale_days import Late, find_stale_days, stale_weeks
from calslo_dagster.pipeline.send_heartbeat import send_heartbeat
from calslo_dagster.pipeline.watch_ourselves import (
    failed_jobs,
    note_failed_run,
    note_jobs_that_work,
    watch_freshness,
)

Project = dg.ResourceParam[LazyProject]
RUNNING: Final = dg.DefaultSensorStatus.RUNNING
# A run that failed is requested so often again, and only while it is news.
MOST_TIMES: Final = 3
AGAIN_WITHIN: Final = timedelta(days=2)
MOST_RUNS: Final = 200


@dg.sensor(
    name="alerts",
    minimum_interval_seconds=10,
    default_status=RUNNING,
    description="Bring alerts up to date, escalate, and send what is due.",
)
def alerts(context: dg.SensorEvaluationContext, project: Project) -> dg.SkipReason:
    """Decide, then empty the outbox; the next tick makes good what this one is cut short in."""
    return dg.SkipReason(str(dispatch_alerts(project.open(), clock=project.now)))


def _catch_up(project: LazyProject, late: Late, again: Sequence[dg.RunRequest] = ()) -> dg.SensorResult | dg.SkipReason:
    stale, now = find_stale_days(project.open(), late, now=project.now()), project.now()
    if not stale and not again:
        return dg.SkipReason(f"no day waits for late {late}")
    wanted = [(CATCH_UP_JOB, day) for day in stale]
    # Runs that write take turns in the order of their requests, so the weeks see their days brought up to date.
    wanted += [(WEEKLY_JOB, week) for week in stale_weeks(stale, now.date())]
    requests = [dg.RunRequest(o.run_key, partition_key=o.day.isoformat(), job_name=job) for job, o in wanted]
    return dg.SensorResult(run_requests=[*again, *requests])


def _failed_before(instance: dg.DagsterInstance, job: str, now: datetime) -> list[dg.RunRequest]:
    """Return the partitions whose last run failed, to be run again, each a few times at most.

    A run that was cut short may have left snapshots that are up to date and measurements that are not.
    """
    recent = dg.RunsFilter(job_name=job, created_after=now - AGAIN_WITHIN)
    runs: dict[str, list[dg.DagsterRun]] = {}
    for record in instance.get_run_records(filters=recent, limit=MOST_RUNS):
        runs.setdefault(record.dagster_run.tags.get(PARTITION, ""), []).append(record.dagster_run)
    wanted = []
    for partition, newest_first in runs.items():
        failed = list(takewhile(lambda run: run.status is dg.DagsterRunStatus.FAILURE, newest_first))
        if partition and 0 < len(failed) <= MOST_TIMES:
            wanted.append(dg.RunRequest(f"again:{failed[0].run_id}", partition_key=partition, job_name=job))
    return wanted


def catch_up_sensors(jobs: Sequence[AssetJob]) -> list[dg.SensorDefinition]:
    """Return the sensors that request days and weeks for which something arrived late; `jobs` are what they request."""
    looking: dict[str, Any] = {"jobs": list(jobs), "minimum_interval_seconds": 60, "default_status": RUNNING}

    @dg.sensor(
        name="new_files",
        description="Request the days before today for which events arrived, were replaced, or were never read.",
        **looking,
    )
    def new_files(context: dg.SensorEvaluationContext, project: Project) -> dg.SensorResult | dg.SkipReason:
        failed = [
            one for job in (CATCH_UP_JOB, WEEKLY_JOB) for one in _failed_before(context.instance, job, project.now())
        ]
        return _catch_up(project, Late.EVENTS, failed)

    @dg.sensor(
        name="late_labels",
        description="Request the days for which labels arrived after the day was measured.",
        **looking,
    )
    def late_labels(context: dg.SensorEvaluationContext, project: Project) -> dg.SensorResult | dg.SkipReason:
        return _catch_up(project, Late.LABELS)

    return [new_files, late_labels]


@dg.sensor(
    name="watchdog",
    minimum_interval_seconds=60,
    default_status=RUNNING,
    description="Raise alerts when measurements have gone stale and when jobs fail; end those of jobs that work again.",
)
def watchdog(context: dg.SensorEvaluationContext, project: Project) -> dg.SkipReason:
    """Compare the newest evaluation with the clock, and see which jobs fail and which work again.

    What the sensor for failed runs could not write is found here: that sensor is called once for each failure.
    """
    opened = project.open()
    failures, working = last_ends(context.instance, project.now(), failed_jobs(opened))
    note_jobs_that_work(opened, working)
    for one in failures:
        note_failed_run(opened, run_id=one.run_id, job=one.job, reason=one.reason, now=one.at)
    seen = watch_freshness(opened, now=project.now())
    return dg.SkipReason(f"{seen}; {send_heartbeat(opened, now=project.now())}")


@dg.run_failure_sensor(
    name="failed_runs",
    default_status=RUNNING,
    minimum_interval_seconds=30,
    description="Queue an alert for each failed run of our own jobs.",
)
def failed_runs(context: dg.RunFailureSensorContext, project: Project) -> None:
    """Write into the store only; what is raised here would have to wait for the watchdog."""
    run = context.dagster_run
    if not is_watched(run):
        return
    note_failed_run(
        project.open(),
        run_id=run.run_id,
        job=run.job_name,
        reason=context.failure_event.message or "",
        now=project.now(),
    )


OWN: Final = [alerts, watchdog, failed_runs]
