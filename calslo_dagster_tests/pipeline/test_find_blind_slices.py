"""A slice that used to be judged and cannot be any more is told of, for as long as that is so."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from calslo_dagster.alerting.model import Alert, AlertState, Kind
from calslo_dagster.pipeline.advance_alerts import advance_alerts
from calslo_dagster.pipeline.project import Project
from calslo_dagster.slo.model import Measurement, Verdict
from calslo_dagster.slo.windows import DAY, WEEK
from calslo_dagster.store import alerts, evaluations, incidents, measurements, slo_days
from calslo_dagster_tests.logs import HOUR, SETTINGS, START, slo_section
from calslo_dagster_tests.pipeline.conftest import OpenProject
from calslo_dagster_tests.pipeline.courses import course, measured, store

BUY = "intent=buy"
GOOD = "m" * 8 * 24
# The last verdict of a slice that was judged for so long.
DARK = START + 8 * DAY


def put(project: Project, *rows: Measurement) -> None:
    store(project, rows, START, max(row.window_end for row in rows))


def looks(project: Project, first: datetime, last: datetime, step: timedelta = 12 * HOUR) -> Iterator[list[Alert]]:
    """Look from `first` to `last`, and yield what was known of blind slices after each look."""
    at = first
    while at <= last:
        advance_alerts(project, now=at)
        with project.store.read() as session:
            found = [one for incident in incidents.recent(session) for one in alerts.of_incident(session, incident.id)]
        yield [one for one in found if one.subject.kind is Kind.BLIND]
        at += step


def after(project: Project, first: datetime, last: datetime) -> list[tuple[str, str]]:
    """Return each blind slice and how its alert stood after the last look."""
    *_, found = looks(project, first, last)
    return [(one.subject.slice, str(one.state)) for one in found]


@pytest.mark.parametrize("good", [GOOD, ("mmmuu" * 39)[: len(GOOD) - 1] + "m"])
def test_a_slice_that_was_mostly_judged_is_blind_until_it_is_judged_again(project: Project, good: str) -> None:
    put(project, *course(good + "u" * 9 * 24, slice=BUY))

    seen = list(looks(project, DARK, DARK + 9 * DAY))

    assert [[one.state for one in found] for found in seen] == 2 * [[]] + 17 * [[AlertState.FIRING]]
    assert {one.since for found in seen for one in found} == {DARK}


def test_a_slice_that_was_seldom_judged_is_not_blind(project: Project) -> None:
    put(project, *course(("mmuuu" * 39)[: len(GOOD) - 1] + "m" + "u" * 48, slice=BUY))

    assert after(project, DARK, DARK + 2 * DAY) == []


@pytest.mark.parametrize(
    ("letters", "found"),
    [("m" * 10 + "u" * 30, [("*", "firing")]), ("u" * 9 + "m" + "u" * 30, [])],
    ids=["judged from the start", "judged once"],
)
def test_a_history_of_hours_tells_too(project: Project, letters: str, found: list[tuple[str, str]]) -> None:
    put(project, *course(letters))

    assert after(project, START + 10 * HOUR, START + 40 * HOUR) == found


@pytest.mark.parametrize("letter", ["m", "b", "w"])
def test_any_verdict_ends_it_and_is_named_as_the_reason(project: Project, letter: str) -> None:
    put(project, *course(GOOD + "u" * 48 + letter, slice=BUY))

    *_, [alert] = looks(project, DARK + DAY, DARK + 2 * DAY + 12 * HOUR)

    assert alert.state is AlertState.RESOLVED
    assert alert.reason == "it can be judged again, since the window that ended at 2026-03-17 01:00 UTC"


def test_a_slice_without_any_traffic_is_blind_until_it_is_gone(project: Project) -> None:
    put(project, *course(GOOD + "u" * 36, slice=BUY), *course("m" * 18 * 24))

    seen = [found[0] for found in looks(project, DARK + DAY, DARK + 10 * DAY)]

    assert [str(one.state) for one in seen] == 16 * ["firing"] + 3 * ["resolved"]
    assert seen[-1].reason == "it has had no traffic at all for 7 d: the slice is gone"


def test_all_traffic_never_counts_as_gone(project: Project) -> None:
    put(project, *course(GOOD + "u" * 36))
    with project.store.write() as session:
        evaluations.put(session, "score_range", {DARK + n * HOUR: "e" for n in range(480)}, at=DARK + 20 * DAY)

    assert after(project, DARK + DAY, DARK + 19 * DAY) == [("*", "firing")]


def test_while_we_stand_still_ourselves_no_slice_goes_blind_or_away(project: Project) -> None:
    put(project, *course(GOOD + "u" * 20))
    assert after(project, DARK + 10 * HOUR, DARK + 10 * DAY) == []

    put(project, *course(GOOD + "u" * 30, slice=BUY))
    assert after(project, DARK + 11 * DAY, DARK + 22 * DAY) == [(BUY, "firing")]


def test_windows_that_are_excluded_neither_begin_nor_end_it(project: Project) -> None:
    put(project, *course(GOOD + "u" * 30 + "x" * 30, slice=BUY), *course(GOOD + "x" * 60))

    assert after(project, DARK + 25 * HOUR, DARK + 50 * HOUR) == [(BUY, "firing")]


def test_a_slice_that_the_slo_does_not_cover_any_more_is_not_waited_for(
    project: Project, tmp_path: Path, open_at: OpenProject
) -> None:
    put(project, *course(GOOD + "u" * 36, slice=BUY), *course(GOOD + "m" * 48))
    assert after(project, DARK + 25 * HOUR, DARK + 36 * HOUR) == [(BUY, "firing")]
    fewer = open_at(tmp_path, SETTINGS.replace("score_range: {", "score_range: {slices: 'intent=ask', "))

    *_, [alert] = looks(fewer, DARK + 40 * HOUR, DARK + 40 * HOUR)

    assert (str(alert.state), alert.reason) == ("resolved", "SLO score_range promises nothing for it any more")


def test_a_blind_slice_of_a_retired_slo_ends_with_that_reason(
    project: Project, tmp_path: Path, open_at: OpenProject
) -> None:
    put(project, *course(GOOD + "u" * 36))
    assert after(project, DARK + 25 * HOUR, DARK + 36 * HOUR) == [("*", "firing")]
    fewer = open_at(tmp_path, slo_section("disable: [score_range]\n"))

    *_, [alert] = looks(fewer, DARK + 36 * HOUR, DARK + 36 * HOUR)

    assert (str(alert.state), alert.reason) == ("resolved", "SLO score_range is retired")


@pytest.mark.parametrize(("unknown", "found"), [(1, []), (2, [("*", "firing")]), (4, [("*", "firing")])])
def test_a_weekly_promise_is_blind_after_two_weeks_without_a_verdict(
    project: Project, unknown: int, found: list[tuple[str, str]]
) -> None:
    monday, verdicts = START + 2 * DAY, [*4 * [Verdict.MEETING], *unknown * [Verdict.UNKNOWN]]
    ends = [monday + n * WEEK for n in range(len(verdicts))]
    rows = [
        measured(end, verdict, slo="weekly_drift", window_start=end - WEEK)
        for end, verdict in zip(ends, verdicts, strict=True)
    ]
    with project.store.write() as session:
        measurements.replace(session, "weekly_drift", rows, start=START, end=ends[-1])
        slo_days.recount(session, "weekly_drift", start=START, end=ends[-1])

    assert after(project, ends[-1] + 6 * HOUR, ends[-1] + DAY) == found
