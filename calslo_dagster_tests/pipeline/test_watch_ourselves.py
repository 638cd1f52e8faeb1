"""We notice our own standstill and our own failures, and say so once."""

from pathlib import Path

from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.watch_ourselves import LONGEST_REASON, note_failed_run, watch_freshness
from calslo_dagster.store import outbox
from calslo_dagster.store.outbox import Message
from calslo_dagster_tests.logs import HOUR, MINUTE, START, aggregate, events, measure, minutes, write
from calslo_dagster_tests.pipeline.courses import hours


def told(project: Project) -> tuple[Message, ...]:
    with project.store.read() as session:
        return outbox.unsent(session)


def test_a_project_that_never_ran_is_not_stale(project: Project) -> None:
    assert watch_freshness(project, now=START) == "nothing has been evaluated yet"
    assert told(project) == ()


def test_a_fresh_evaluation_is_no_reason_for_an_alert(project: Project) -> None:
    hours(project, "m")

    assert watch_freshness(project, now=START + HOUR + 9 * MINUTE) == "last evaluation 540 s ago"
    assert told(project) == ()


def test_a_standstill_is_told_once(project: Project) -> None:
    hours(project, "m")
    for n in (11, 12, 600):
        said = watch_freshness(project, now=START + HOUR + n * MINUTE)

    (message,) = told(project)
    assert message.payload["text"] == said
    assert "2026-03-07 01:00" in said


def test_the_next_standstill_is_told_again(project: Project) -> None:
    for n in (1, 5):
        hours(project, "m" * n)
        watch_freshness(project, now=START + n * HOUR + 11 * MINUTE)

    assert len(told(project)) == 2


def test_a_silent_log_is_no_standstill_of_ours(project: Project, tmp_path: Path) -> None:
    """Without events nothing changes for a whole step; runs that find nothing to measure are at work all the same."""
    write(tmp_path / "log/a.parquet", events([START]))
    for now in minutes(START + 10 * HOUR, START + 11 * HOUR, 5 * MINUTE):
        aggregate(project, [START.date()], now)
        measure(project, "score_range", [START.date()], now)
        watch_freshness(project, now=now + 4 * MINUTE)

    assert told(project) == ()


def test_a_failed_run_is_told_with_its_reason(project: Project) -> None:
    for _ in range(2):
        note_failed_run(project, run_id="r1", job="minute_job", reason="disk full " * 100, now=START)

    (message,) = told(project)
    text = message.payload["text"]
    assert text.startswith("Run r1 of minute_job failed: disk full")
    assert len(text) < LONGEST_REASON + 50
