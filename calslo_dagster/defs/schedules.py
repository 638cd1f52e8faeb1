"""When things run: every minute, every week, every night. All run by default."""

from datetime import datetime, timedelta
from typing import Final

import dagster as dg

from calslo_dagster.defs.jobs import ANOMALIES_JOB, DAILY_JOB, MAINTENANCE_JOB, MINUTE_JOB, MONTHLY_JOB, WEEKLY_JOB
from calslo_dagster.defs.orphans import UNFINISHED, fail_orphans

# Bounded, so that a run that a crash left STARTED cannot block the schedule for ever.
LOOK_BACK: Final = timedelta(minutes=10)
HOUR: Final = timedelta(hours=1)


def busy_run(instance: dg.DagsterInstance, job: str, now: datetime) -> str | None:
    """Return the id of a run of the job that still works, created at most ten minutes ago."""
    found = instance.get_runs(dg.RunsFilter(job_name=job, statuses=UNFINISHED, created_after=now - LOOK_BACK), limit=1)
    return found[0].run_id if found else None


@dg.schedule(
    name="every_minute",
    job_name=MINUTE_JOB,
    cron_schedule="* * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Measure today; skipped, with the reason, while the last minute still works.",
)
def every_minute(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Request a run for today's partition; what a killed command left behind must not hold it up."""
    fail_orphans(context.instance)
    tick = context.scheduled_execution_time
    busy = busy_run(context.instance, MINUTE_JOB, tick)
    if busy:
        return dg.SkipReason(f"run {busy} of {MINUTE_JOB} still works; the next tick catches up")
    return dg.RunRequest(partition_key=tick.date().isoformat())


@dg.schedule(
    name="every_hour",
    job_name=ANOMALIES_JOB,
    cron_schedule="25 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Look for anomalies in the hours of today that are over.",
)
def every_hour(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """Request a run for the day of the last full hour, so that the last one of a day is judged too."""
    return dg.RunRequest(partition_key=(context.scheduled_execution_time - HOUR).date().isoformat())


def every_week(cron: str) -> dg.ScheduleDefinition:
    """Return the schedule of the weekly job; `cron` leaves labels the time they need."""

    @dg.schedule(
        name="every_week",
        job_name=WEEKLY_JOB,
        cron_schedule=cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Compare the ISO week that ended with the one before.",
    )
    def weekly(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        today = context.scheduled_execution_time.date()
        monday = today - timedelta(days=today.weekday() + 7)
        return dg.RunRequest(partition_key=monday.isoformat())

    return weekly


@dg.schedule(
    name="every_month",
    job_name=MONTHLY_JOB,
    cron_schedule="0 7 1 * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Report the month that ended.",
)
def every_month(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """Request a run for the month before today's."""
    last = context.scheduled_execution_time.date().replace(day=1) - timedelta(days=1)
    return dg.RunRequest(partition_key=last.replace(day=1).isoformat())


@dg.schedule(
    name="every_day",
    job_name=DAILY_JOB,
    cron_schedule="40 3 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Project where the calibration of each slice is heading, from the days before today.",
)
def every_day(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """Request a run for today's partition, once yesterday is complete."""
    return dg.RunRequest(partition_key=context.scheduled_execution_time.date().isoformat())


every_night = dg.ScheduleDefinition(
    name="every_night",
    job_name=MAINTENANCE_JOB,
    cron_schedule="10 3 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Compaction, roll-ups, retention and pruning of Dagster's own history.",
)
