"""We notice our own standstill and our own failures, and each is an alert that ends when it is over."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from calslo_dagster.alerting.model import Kind, Severity
from calslo_dagster.pipeline.advance_alerts import advance_alerts
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.watch_ourselves import (
    WATCHDOG,
    failed_jobs,
    note_failed_run,
    note_jobs_that_work,
    watch_freshness,
)
from calslo_dagster.slo.windows import DAY, WEEK
from calslo_dagster.store import evaluations, heartbeats, incidents, troubles
from calslo_dagster.store.troubles import LONGEST_REASON, Trouble
from calslo_dagster_tests.logs import HOUR, MINUTE, SETTINGS, START, aggregate, events, measure, minutes, write
from calslo_dagster_tests.pipeline.conftest import OpenProject
from calslo_dagster_tests.pipeline.courses import hours

LATE = START + HOUR + 11 * MINUTE


def found(project: Project) -> tuple[Trouble, ...]:
    with project.store.read() as session:
        return troubles.open_ones(session)


def watch(project: Project, *at: int) -> str:
    """Look at these minutes after the last measured hour; return what was said last."""
    said = ""
    for n in at:
        said = watch_freshness(project, now=START + HOUR + n * MINUTE)
    return said


def evaluated(project: Project, slo: str, window_end: datetime, *, at: datetime) -> None:
    with project.store.write() as session:
        evaluations.put(session, slo, {window_end: "d"}, at=at)


def live(project: Project, now: datetime) -> None:
    """Evaluate the window that goes on."""
    evaluated(project, "score_range", now + MINUTE, at=now)


def test_a_project_that_never_ran_is_not_stale(project: Project) -> None:
    assert watch_freshness(project, now=START) == "nothing has been evaluated yet"
    assert found(project) == ()


def test_a_project_that_is_never_evaluated_is_stale_once_it_has_been_watched_for_long(project: Project) -> None:
    said = [watch_freshness(project, now=START + n * MINUTE) for n in range(0, 14, 2)]

    assert said[:6] == 6 * ["nothing has been evaluated yet"]
    assert said[6] == "No SLO has ever been evaluated; look at the runs of minute_job in Dagster"
    assert found(project) == (Trouble("evaluation", Severity.EMERGENCY, START, said[6], "never"),)


def test_a_backfill_beside_a_dead_minute_job_is_no_sign_of_life(project: Project, tmp_path: Path) -> None:
    write(tmp_path / "log/a.parquet", events([START - DAY, START]))
    aggregate(project, [START.date()], START + HOUR)
    measure(project, "score_range", [START.date()], START + HOUR)
    for n in range(0, 16, 4):
        now = START + HOUR + n * MINUTE
        for recompute in (True, False):
            measure(project, "score_range", [START.date() - 2 * DAY], now, recompute=recompute)
        watch_freshness(project, now=now)

    assert [one.component for one in found(project)] == ["evaluation"]
    assert "since 2026-03-07 01:00 UTC" in found(project)[0].reason


@pytest.mark.parametrize(("cron", "due"), [("0 6 * * 1", 54 * HOUR), ("30 2 * * 3", 98 * HOUR + 30 * MINUTE)])
def test_a_week_that_is_not_compared_two_days_after_its_time_is_a_standstill(
    tmp_path: Path, open_at: OpenProject, cron: str, due: timedelta
) -> None:
    project = open_at(tmp_path, f"weekly_cron: '{cron}'\n{SETTINGS}")
    monday = START + 2 * DAY + WEEK
    evaluated(project, "weekly_drift", monday - WEEK, at=monday - WEEK + due - 2 * DAY)

    for now in (monday + due + n * MINUTE for n in (-1, 0, 3, 7)):
        live(project, now)
        assert found(project) == ()
        watch_freshness(project, now=now)

    [trouble] = found(project)
    assert (trouble.component, trouble.severity, trouble.since) == (
        "evaluation:weekly",
        Severity.CRITICAL,
        monday + due,
    )
    assert trouble.reason.startswith("The week that ended on 2026-03-16 has not been compared")
    evaluated(project, "weekly_drift", monday, at=now)
    watch_freshness(project, now=now)
    assert found(project) == ()


def test_weeks_that_ended_before_anybody_watched_are_not_missed(project: Project) -> None:
    first, due = START + 2 * DAY, START + 2 * DAY + WEEK + 54 * HOUR
    watch_freshness(project, now=first)

    seen = []
    for now in (due - MINUTE, due):
        live(project, now)
        with project.store.write() as session:
            heartbeats.beat(session, WATCHDOG, now=now - MINUTE, every=5 * MINUTE)
        watch_freshness(project, now=now)
        seen.append([one.component for one in found(project)])
    assert seen == [[], ["evaluation:weekly"]]


def test_a_fresh_evaluation_is_no_reason_for_an_alert(project: Project) -> None:
    hours(project, "m")

    assert watch(project, 9) == "last evaluation 540 s ago"
    assert found(project) == ()


def test_a_standstill_is_one_trouble_from_its_beginning_on(project: Project) -> None:
    hours(project, "m")

    said = watch(project, 5, 9, 11, 12)

    assert found(project) == (
        Trouble("evaluation", Severity.EMERGENCY, START + HOUR, said, found(project)[0].source_id),
    )
    assert "2026-03-07 01:00" in said


def test_a_standstill_that_nobody_watched_has_some_minutes_to_end(project: Project) -> None:
    """Schedules that were off must catch up first; otherwise each start of the daemon would page."""
    hours(project, "m")

    assert "it has 5 minutes to catch up" in watch(project, 600, 603)
    assert found(project) == ()
    watch(project, 605)
    assert [trouble.component for trouble in found(project)] == ["evaluation"]


def test_the_end_of_a_standstill_ends_its_incident(project: Project) -> None:
    hours(project, "m")
    watch(project, 5, 9, 11)
    advance_alerts(project, now=LATE)
    hours(project, "mm")
    watch_freshness(project, now=START + 2 * HOUR + MINUTE)
    advance_alerts(project, now=START + 2 * HOUR + MINUTE)

    with project.store.read() as session:
        [incident] = incidents.recent(session)
    assert (incident.labels["kind"], incident.labels["slo"]) == (Kind.PIPELINE, "evaluation")
    assert (incident.peak_severity, incident.is_open) == (Severity.EMERGENCY, False)


def test_a_silent_log_is_no_standstill_of_ours(project: Project, tmp_path: Path) -> None:
    """Without events nothing changes for a whole step; runs that find nothing to measure are at work all the same."""
    write(tmp_path / "log/a.parquet", events([START]))
    for now in minutes(START + 10 * HOUR, START + 11 * HOUR, 5 * MINUTE):
        aggregate(project, [START.date()], now)
        measure(project, "score_range", [START.date()], now)
        watch_freshness(project, now=now + 4 * MINUTE)

    assert found(project) == ()


def test_a_failed_run_is_told_with_its_reason_until_the_job_works_again(project: Project) -> None:
    for _ in range(2):
        note_failed_run(project, run_id="r1", job="minute_job", reason="disk full " * 100, now=START)

    [trouble] = found(project)
    assert trouble.reason.startswith("Run r1 of minute_job failed: disk full")
    assert len(trouble.reason) <= LONGEST_REASON
    assert failed_jobs(project) == {"minute_job": START}
    note_jobs_that_work(project, ["minute_job"])
    assert found(project) == ()
