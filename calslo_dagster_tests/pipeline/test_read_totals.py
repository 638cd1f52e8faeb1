"""Counters are told what was judged, opened and sent within the last days."""

from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.read_totals import promised_of, read_totals
from calslo_dagster.pipeline.track_breaches import track_breaches
from calslo_dagster.reporting.totals import JudgedDay
from calslo_dagster.slo.availability import Tally
from calslo_dagster.slo.windows import DAY
from calslo_dagster_tests.logs import HOUR, START
from calslo_dagster_tests.pipeline.courses import SLO, complete_up_to, course, hours, store


def test_windows_of_all_slices_are_added_by_day_and_provisional_ones_are_left_out(project: Project) -> None:
    rows = [*course("mmwbbuxM"), *course("mmmmmmmm", slice="intent=buy")]
    store(project, rows, START, START + 8 * HOUR)

    totals = read_totals(project, now=START + 8 * HOUR)

    assert totals.days == (JudgedDay(SLO, START.date(), Tally(good=11, bad=2, unknown=1, excluded=1)),)


def test_a_breach_is_told_once_it_has_opened_and_for_some_days(project: Project) -> None:
    hours(project, "mmbb")
    complete_up_to(project, START + 4 * HOUR)
    track_breaches(project)

    assert [one.slo for one in read_totals(project, now=START + 5 * HOUR).breaches] == [SLO]
    assert read_totals(project, now=START + 5 * DAY).breaches == ()


def test_each_slo_says_how_often_it_is_due(project: Project) -> None:
    found = {one.slo: one.cadence for one in promised_of(project)}

    assert found[SLO] == HOUR
    assert found["weekly_drift"] == 7 * DAY
