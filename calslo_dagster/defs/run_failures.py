"""Read from Dagster's run history which of our jobs fail, so that no failure depends on one event being handled."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import dagster as dg

from calslo_dagster.defs.jobs import (
    ANOMALIES_JOB,
    CATCH_UP_JOB,
    HISTORY_JOB,
    MAINTENANCE_JOB,
    MINUTE_JOB,
    SUMMARIES_JOB,
    WEEKLY_HISTORY_JOB,
    WEEKLY_JOB,
)

# What Dagster calls a materialization that somebody asks for by hand.
BY_HAND: Final = "__ASSET_JOB"
PARTITION: Final = "dagster/partition"
_RANGE: Final = "dagster/asset_partition_range_start"
JOBS: Final = (
    MINUTE_JOB,
    CATCH_UP_JOB,
    WEEKLY_JOB,
    HISTORY_JOB,
    WEEKLY_HISTORY_JOB,
    SUMMARIES_JOB,
    MAINTENANCE_JOB,
    ANOMALIES_JOB,
    BY_HAND,
)
# A failure that nobody noticed for longer has become part of the past.
NEWS: Final = timedelta(days=2)
_FINISHED: Final = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
_LOOKED_AT: Final = 25


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed run: which job, why, and when it ended."""

    run_id: str
    job: str
    reason: str
    at: datetime


def is_watched(run: dg.DagsterRun) -> bool:
    """Whether the run's failure is an alert.

    Whoever materializes by hand sees what comes of it, but days and weeks that schedules measure too may be left half
    done, which concerns everybody.
    """
    return run.job_name != BY_HAND or PARTITION in run.tags or _RANGE in run.tags


def last_ends(
    instance: dg.DagsterInstance, now: datetime, failed: Mapping[str, datetime]
) -> tuple[list[Failure], list[str]]:
    """Return the failures that are the last word of a job of ours, and the jobs whose last word is a success.

    failed: the jobs that are known to fail, with since when; theirs are looked for as far back as that.
    """
    failures, working = list[Failure](), list[str]()
    for job in dict.fromkeys((*JOBS, *failed)):
        record = _last(instance, job, min(now, failed.get(job, now)) - NEWS)
        if record is None:
            continue
        if record.dagster_run.status is dg.DagsterRunStatus.FAILURE:
            failures.append(_failure(instance, record, now))
        else:
            working.append(job)
    return failures, working


def _last(instance: dg.DagsterInstance, job: str, since: datetime) -> dg.RunRecord | None:
    """Return the run of the job that ended last."""
    recent = dg.RunsFilter(job_name=job, statuses=_FINISHED, updated_after=since)
    found = instance.get_run_records(filters=recent, limit=_LOOKED_AT)
    watched = [record for record in found if is_watched(record.dagster_run)]
    return max(watched, key=lambda record: record.end_time or 0.0, default=None)


def _failure(instance: dg.DagsterInstance, record: dg.RunRecord, now: datetime) -> Failure:
    run = record.dagster_run
    ended = datetime.fromtimestamp(record.end_time, UTC) if record.end_time else now
    return Failure(run.run_id, run.job_name, _reason(instance, run.run_id), min(ended, now))


def _reason(instance: dg.DagsterInstance, run_id: str) -> str:
    found = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.RUN_FAILURE, limit=1, ascending=False)
    events = (record.event_log_entry.dagster_event for record in found.records)
    return next((event.message or "" for event in events if event), "")
