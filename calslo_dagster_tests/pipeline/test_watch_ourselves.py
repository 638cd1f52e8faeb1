"""We notice our own standstill and our own failures, and each is an alert that ends when it is over."""

from pathlib import Path

from calslo_dagster.alerting.model import Kind, Severity
from calslo_dagster.pipeline.advance_alerts import advance_alerts
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.watch_ourselves import (
    failed_jobs,
    note_failed_run,
    note_jobs_that_work,
    watch_freshness,
    watch_outbox,
)
from calslo_dagster.store import incidents, troubles
from calslo_dagster.store.troubles import LONGEST_REASON, Trouble
from calslo_dagster_tests.logs import HOUR, MINUTE, START, aggregate, events, measure, minutes, write
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


def test_a_project_that_never_ran_is_not_stale(project: Project) -> None:
    assert watch_freshness(project, now=START) == "nothing has been evaluated yet"
    assert found(project) == ()


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


def test_a_page_that_does_not_go_out_is_told_on_the_fall_back(tmp_path: Path, open_at: OpenProject) -> None:
    extra = "channels: {hook: {kind: webhook, url: 'http://127.0.0.1:9/'}}\n"
    project = open_at(tmp_path, extra=extra)
    note_failed_run(project, run_id="r1", job="minute_job", reason="disk full", now=START)
    advance_alerts(project, now=START)

    assert watch_outbox(project, now=START + 10 * MINUTE / 60) == ()
    assert watch_outbox(project, now=START + MINUTE) == ("hook",)
    advance_alerts(project, now=START + MINUTE)

    with project.store.read() as session:
        routed = {i.labels["slo"]: i for i in incidents.recent(session)}
    assert set(routed) == {"job:minute_job", "delivery:hook"}
