"""What reacts: to new files, to late labels, to breaches to announce, to silence, and to our own failures.

Alerts leave by an outbox that plain sensors empty: a plain sensor that raises tries again, while a run-status
sensor that raises has lost its event for good.
"""

from collections.abc import Sequence
from typing import Any, Final

import dagster as dg

from calslo_dagster.defs.jobs import CATCH_UP_JOB, WEEKLY_JOB, AssetJob
from calslo_dagster.defs.resources import LazyProject
from calslo_dagster.pipeline.advance_alerts import advance_alerts
from calslo_dagster.pipeline.deliver_outbox import deliver_outbox
from calslo_dagster.pipeline.find_stale_days import Late, find_stale_days, stale_weeks
from calslo_dagster.pipeline.watch_ourselves import note_failed_run, watch_freshness

Project = dg.ResourceParam[LazyProject]
RUNNING: Final = dg.DefaultSensorStatus.RUNNING


@dg.sensor(
    name="alerts",
    minimum_interval_seconds=10,
    default_status=RUNNING,
    description="Announce each breach start and end once.",
)
def alerts(context: dg.SensorEvaluationContext, project: Project) -> dg.SkipReason:
    """Write what is due into the outbox, then empty it."""
    opened, now = project.open(), project.now()
    queued = advance_alerts(opened, now=now)
    sent = deliver_outbox(opened, now=now)
    return dg.SkipReason(f"{queued} announcements queued, {sent} sent")


def _catch_up(project: LazyProject, late: Late) -> dg.SensorResult | dg.SkipReason:
    stale, now = find_stale_days(project.open(), late, now=project.now()), project.now()
    if not stale:
        return dg.SkipReason(f"no day waits for late {late}")
    wanted = [(CATCH_UP_JOB, day) for day in stale]
    # Runs that write take turns in the order of their requests, so the weeks see their days brought up to date.
    wanted += [(WEEKLY_JOB, week) for week in stale_weeks(stale, now.date())]
    requests = [dg.RunRequest(o.run_key, partition_key=o.day.isoformat(), job_name=job) for job, o in wanted]
    return dg.SensorResult(run_requests=requests)


def catch_up_sensors(jobs: Sequence[AssetJob]) -> list[dg.SensorDefinition]:
    """Return the sensors that request days and weeks for which something arrived late; `jobs` are what they request."""
    looking: dict[str, Any] = {"jobs": list(jobs), "minimum_interval_seconds": 60, "default_status": RUNNING}

    @dg.sensor(
        name="new_files",
        description="Request the days before today for which events arrived, were replaced, or were never read.",
        **looking,
    )
    def new_files(context: dg.SensorEvaluationContext, project: Project) -> dg.SensorResult | dg.SkipReason:
        return _catch_up(project, Late.EVENTS)

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
    description="Raise an alert when measurements have gone stale although schedules should run.",
)
def watchdog(context: dg.SensorEvaluationContext, project: Project) -> dg.SkipReason:
    """Compare the newest evaluation with the clock."""
    return dg.SkipReason(watch_freshness(project.open(), now=project.now()))


@dg.run_failure_sensor(
    name="failed_runs",
    default_status=RUNNING,
    minimum_interval_seconds=30,
    description="Queue an alert for each failed run of our own jobs.",
)
def failed_runs(context: dg.RunFailureSensorContext, project: Project) -> None:
    """Write into the outbox only; whatever is raised here would lose the alert."""
    run = context.dagster_run
    note_failed_run(
        project.open(),
        run_id=run.run_id,
        job=run.job_name,
        reason=context.failure_event.message or "",
        now=project.now(),
    )


OWN: Final = [alerts, watchdog, failed_runs]
