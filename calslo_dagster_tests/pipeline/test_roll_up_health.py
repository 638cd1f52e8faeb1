"""Health speaks of now: what is too old is unknown, and an unfinished window may raise an alarm but not call it off."""

import pytest

from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.roll_up_health import current, roll_up_health
from calslo_dagster.slo.health import Word
from calslo_dagster.slo.model import Verdict
from calslo_dagster.slo.windows import DAY
from calslo_dagster.store import health
from calslo_dagster.store.health import Scope
from calslo_dagster_tests.logs import HOUR, MINUTE, START
from calslo_dagster_tests.pipeline.courses import SLO, course, hours, store

NOW = START + 5 * HOUR + 30 * MINUTE


@pytest.mark.parametrize(
    ("letters", "verdict"),
    [
        ("mmmmb", Verdict.BREACHED),
        ("mmmmbM", Verdict.BREACHED),
        ("mmmmbMM", Verdict.BREACHED),
        ("mmmmmB", Verdict.BREACHED),
        ("mmmmBM", Verdict.BREACHED),
        ("mmmmmM", Verdict.MEETING),
        ("mmmmmU", Verdict.MEETING),
        ("mmmmwM", Verdict.WARNING),
        ("mmmmuM", Verdict.UNKNOWN),
        ("UM", Verdict.UNKNOWN),
        ("UB", Verdict.BREACHED),
    ],
)
def test_the_last_final_window_speaks_unless_a_later_one_is_breached(
    project: Project, letters: str, verdict: Verdict
) -> None:
    hours(project, letters)

    (row,) = current(project, project.registry.find(SLO), NOW)

    assert row.verdict is verdict


def test_a_measurement_that_is_too_old_is_unknown(project: Project) -> None:
    hours(project, "mm")
    slo = project.registry.find(SLO)

    assert current(project, slo, START + 9 * HOUR)[0].verdict is Verdict.MEETING
    (aged,) = current(project, slo, START + 11 * HOUR)
    assert (aged.verdict, aged.reason) == (Verdict.UNKNOWN, "Not measured since 2026-03-07 02:00 UTC.")


def test_an_old_breach_is_unknown_too(project: Project) -> None:
    hours(project, "mb")

    (aged,) = current(project, project.registry.find(SLO), START + 11 * HOUR)

    assert aged.verdict is Verdict.UNKNOWN


def test_nobody_remembers_a_slice_that_was_not_measured_for_long(project: Project) -> None:
    hours(project, "mm")

    assert current(project, project.registry.find(SLO), START + DAY) == []


def test_a_project_without_measurements_is_unknown(project: Project) -> None:
    overall = roll_up_health(project, now=NOW).overall

    assert (overall.word, overall.reason) == (Word.UNKNOWN, "Nothing has been measured yet.")


def test_a_log_of_the_past_says_until_when_it_was_measured(project: Project) -> None:
    hours(project, "mm")

    overall = roll_up_health(project, now=START + 30 * DAY).overall

    assert overall.word is Word.UNKNOWN
    assert overall.reason == "Nothing was measured recently; measurements end at 2026-03-07 02:00 UTC."


def test_health_is_rolled_up_by_slice_slo_and_model(project: Project) -> None:
    rows = [*course("mmmmm"), *course("mmmmb", slice="intent=buy", model="other")]
    store(project, rows, START, START + 5 * HOUR)

    report = roll_up_health(project, now=NOW)

    assert report.overall.word is Word.CRITICAL
    assert {one.scope: one.word for one in report.slices} == {"*": Word.HEALTHY, "intent=buy": Word.CRITICAL}
    assert [one.scope for one in report.slos] == [SLO]
    assert {one.scope for one in report.models} == {"intent", "other"}


def test_health_is_stored_once_per_window(project: Project) -> None:
    hours(project, "mmmmm")
    for now in (NOW, NOW + MINUTE, NOW + HOUR):
        roll_up_health(project, now=now)

    with project.store.read() as session:
        history = health.history(session, Scope.OVERALL, "overall", since=START)
        newest = health.latest(session)
    assert [row.as_of for row in history] == [START + 6 * HOUR, START + 7 * HOUR]
    assert {row.as_of for row in newest} == {START + 7 * HOUR}


def test_rolling_up_again_stores_the_same(project: Project) -> None:
    hours(project, "mmmwb")

    assert roll_up_health(project, now=NOW) == roll_up_health(project, now=NOW)
