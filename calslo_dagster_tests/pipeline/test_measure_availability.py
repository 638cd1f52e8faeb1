"""Availability is what final windows and breaches say of a period, as of the last final window."""

from dataclasses import replace
from datetime import datetime

import pytest

from calslo_dagster.pipeline.measure_availability import measure_availability
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.track_breaches import track_breaches
from calslo_dagster.slo.availability import Promise, Tally
from calslo_dagster.slo.windows import DAY, WEEK
from calslo_dagster.store import availability, measurements, slo_days
from calslo_dagster.store.availability import AvailabilityRow
from calslo_dagster_tests.logs import HOUR, MINUTE, START
from calslo_dagster_tests.pipeline.courses import SLO, complete_up_to, course, hours, store

WEEK_DAYS, MONTH_DAYS = 7, 28


def measured(project: Project, as_of: datetime) -> dict[tuple[str, int], AvailabilityRow]:
    complete_up_to(project, as_of)
    track_breaches(project)
    report = measure_availability(project, now=as_of + MINUTE)
    return {(row.slice, row.period_days): row for row in report.rows if row.slo == SLO}


def everything(project: Project, as_of: datetime, days: int = WEEK_DAYS) -> AvailabilityRow:
    return measured(project, as_of)["*", days]


def test_nothing_is_available_before_the_first_event(project: Project) -> None:
    report = measure_availability(project, now=START)

    assert (report.rows, report.total, report.measured) == ((), 0, 0)


def test_windows_are_counted_by_what_they_say(project: Project) -> None:
    hours(project, "mwbbmmuxem")

    row = everything(project, START + 10 * HOUR)

    assert row.tally == Tally(good=5, bad=2, unknown=2, excluded=1)
    assert (row.as_of, row.target) == (START + 10 * HOUR, project.registry.find(SLO).target)


def test_a_period_begins_when_the_slice_was_first_seen(project: Project) -> None:
    hours(project, "mmmm", START + 20 * HOUR)

    assert everything(project, START + DAY).tally == Tally(good=4)


def test_windows_that_are_missing_are_unknown(project: Project) -> None:
    hours(project, "mm")
    hours(project, "mm", START + 10 * HOUR)

    assert everything(project, START + 12 * HOUR).tally == Tally(good=4, unknown=8)


def test_windows_that_are_missing_are_unknown_beside_a_breach(project: Project) -> None:
    hours(project, "mb")
    hours(project, "mm", START + 10 * HOUR)

    assert everything(project, START + 12 * HOUR).tally == Tally(good=3, bad=1, unknown=8)


def test_provisional_windows_do_not_count(project: Project) -> None:
    hours(project, "mmmMB")

    assert everything(project, START + 3 * HOUR).tally == Tally(good=3)


def test_a_slice_first_seen_in_the_open_window_does_not_count_yet(project: Project) -> None:
    """On the first minute of a new project there is nothing else."""
    store(project, course("M", START + 5 * HOUR, slice="intent=new"), START + 5 * HOUR, START + 6 * HOUR)
    assert measured(project, START + 3 * HOUR) == {}

    hours(project, "mmm")

    assert list(measured(project, START + 4 * HOUR)) == [("*", WEEK_DAYS), ("*", MONTH_DAYS)]


@pytest.mark.parametrize("letters", ["m" * 24 * 9, "m" * 24 * 8 + "b" + "m" * 23])
def test_a_period_is_a_span_of_time_and_not_of_days(project: Project, letters: str) -> None:
    hours(project, letters)
    as_of = START + 8 * DAY + 5 * HOUR

    row = everything(project, as_of)

    assert row.tally.expected == WEEK_DAYS * 24
    assert everything(project, as_of, MONTH_DAYS).tally.expected == 8 * 24 + 5


def test_counting_days_says_the_same_as_going_through_windows(project: Project) -> None:
    """Slices without a breach are counted by the day, the others gone through window by window."""
    letters = "mmwuxmmemm" * 30
    store(project, course(letters), START, START + 300 * HOUR)
    as_of = START + 290 * HOUR
    counted = everything(project, as_of).tally
    changed = course("b" + letters[1:])
    store(project, changed, START, START + 300 * HOUR)

    gone_through = everything(project, as_of, MONTH_DAYS).tally

    assert everything(project, as_of).tally == counted
    assert gone_through.bad == 1


def test_mean_times_come_from_breaches(project: Project) -> None:
    hours(project, "mmmm" + "bb" + "mmmmmm")

    row = everything(project, START + 12 * HOUR)

    assert row.reliability.mttr.value == 2 * HOUR
    assert row.reliability.mttf.value == 10 * HOUR
    assert row.reliability.mtbf.value == 12 * HOUR


def test_an_open_breach_censors_the_time_to_recovery(project: Project) -> None:
    hours(project, "mmbb")

    mttr = everything(project, START + 4 * HOUR).reliability.mttr

    assert (mttr.value, mttr.is_censored) == (None, True)


def test_the_budget_is_spent_by_bad_windows(project: Project) -> None:
    hours(project, "m" * 90 + "b" * 10)

    row = everything(project, START + 100 * HOUR)

    assert (row.budget.allowed, row.budget.used, row.budget.promise) == (0, 10, Promise.BROKEN)
    assert row.burn


def test_a_span_without_a_newly_final_window_measures_nothing_new(project: Project) -> None:
    hours(project, "mmm")
    complete_up_to(project, START + 3 * HOUR)
    first = measure_availability(project, now=START + 3 * HOUR)

    again = measure_availability(project, now=START + 3 * HOUR + MINUTE)

    assert (first.measured, again.measured) == (2, 0)
    assert again.rows == first.rows


def test_a_corrected_day_corrects_availability(project: Project) -> None:
    hours(project, "b" * 24)
    hours(project, "m" * 24, START + DAY)
    as_of = START + 2 * DAY
    assert everything(project, as_of).tally.bad == 24

    hours(project, "m" * 24)

    assert everything(project, as_of).tally == Tally(good=48)


def test_each_hour_adds_a_row_to_the_history(project: Project) -> None:
    for n in range(1, 4):
        hours(project, "m" * n)
        measured(project, START + n * HOUR)

    with project.store.read() as session:
        found = availability.history(session, since=START, slo=SLO, period_days=WEEK_DAYS)
    assert [row.as_of - START for row in found] == [HOUR, 2 * HOUR, 3 * HOUR]


def test_availability_of_weeks_is_as_of_a_monday(project: Project) -> None:
    week = course("mm", START - 9 * DAY, slo="weekly_drift")
    mondays = [START + 2 * DAY + n * WEEK for n in range(2)]
    rows = [replace(row, window_start=at - WEEK, window_end=at) for row, at in zip(week, mondays, strict=True)]
    with project.store.write() as session:
        measurements.replace(session, "weekly_drift", rows, start=mondays[0] - WEEK, end=mondays[1])
        slo_days.recount(session, "weekly_drift", start=mondays[0] - WEEK, end=mondays[1])
    complete_up_to(project, mondays[1] + 3 * DAY)

    report = measure_availability(project, now=mondays[1] + 3 * DAY)

    (row,) = [row for row in report.rows if row.slo == "weekly_drift" and row.period_days == MONTH_DAYS]
    assert (row.as_of, row.tally) == (mondays[1], Tally(good=2))
