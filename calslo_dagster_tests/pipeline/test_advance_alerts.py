"""Each start, end and withdrawal of a breach is announced once."""

from datetime import datetime

from calslo_dagster.pipeline.advance_alerts import advance_alerts
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.track_breaches import track_breaches
from calslo_dagster.slo.windows import DAY
from calslo_dagster.store import outbox
from calslo_dagster_tests.logs import HOUR, MINUTE, START
from calslo_dagster_tests.pipeline.courses import course, hours, store

NOW = START + DAY


def announced(project: Project, now: datetime = NOW) -> list[str]:
    """Return what there is to announce now for the first time."""
    with project.store.read() as session:
        before = {message.key for message in outbox.unsent(session)}
    track_breaches(project)
    advance_alerts(project, now=now)
    with project.store.read() as session:
        return [message.kind for message in outbox.unsent(session) if message.key not in before]


def texts(project: Project) -> list[str]:
    with project.store.read() as session:
        return [message.payload["text"] for message in outbox.unsent(session)]


def test_a_start_and_an_end_are_announced_once_each(project: Project) -> None:
    hours(project, "mb")
    assert announced(project) == ["started"]
    assert announced(project, NOW + MINUTE) == []

    hours(project, "mbbmm")
    assert announced(project) == ["ended"]
    assert announced(project, NOW + MINUTE) == []


def test_a_breach_that_came_and_went_is_announced_twice(project: Project) -> None:
    hours(project, "mbmm")

    assert announced(project) == ["started", "ended"]


def test_announcements_say_what_where_when_and_how_bad(project: Project) -> None:
    store(project, course("mbbmm", slice="intent=buy", model="ranker"), START, START + 5 * HOUR)
    announced(project)

    started, ended = texts(project)
    assert started.startswith("Breach of score_range for intent=buy (ranker) since 2026-03-07 01:00 UTC: ")
    assert "ended 2026-03-07 03:00 UTC after 2 h 00 min; peak 0.5 against 0.4" in ended


def test_a_breach_that_later_data_takes_back_is_retracted_once(project: Project) -> None:
    hours(project, "mmB")
    assert announced(project) == ["started"]
    hours(project, "mmm")

    assert announced(project) == ["retracted"]
    assert announced(project, NOW + MINUTE) == []


def test_a_breach_that_ended_before_it_was_taken_back_is_not_retracted(project: Project) -> None:
    hours(project, "bbmm")
    announced(project)
    hours(project, "mmmm")

    assert announced(project) == []


def test_history_is_no_news(project: Project) -> None:
    hours(project, "bbmm")

    assert announced(project, START + 30 * DAY) == []


def test_an_open_breach_is_news_however_long_it_lasts(project: Project) -> None:
    hours(project, "bb")

    assert announced(project, START + 30 * DAY) == ["started"]


def test_every_slice_is_announced_by_itself(project: Project) -> None:
    rows = [*course("mb"), *course("mb", slice="intent=buy")]
    store(project, rows, START, START + 2 * HOUR)

    assert announced(project) == ["started", "started"]


def test_the_number_of_new_announcements_is_returned(project: Project) -> None:
    hours(project, "bbmmb")
    track_breaches(project)

    assert advance_alerts(project, now=NOW) == 3
    assert advance_alerts(project, now=NOW) == 0
