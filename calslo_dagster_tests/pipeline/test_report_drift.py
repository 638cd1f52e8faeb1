"""Every metric of every slice, this ISO week against the one before."""

from datetime import datetime
from pathlib import Path

import pytest

from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.report_drift import report_drift
from calslo_dagster.slo.model import Verdict
from calslo_dagster.slo.windows import DAY, WEEK
from calslo_dagster.stats.changes import JUDGED_ITSELF, RULES
from calslo_dagster.store import drift, drift_attributions, drift_distances
from calslo_dagster.store.drift import DriftRow
from calslo_dagster_tests.logs import HOUR, SETTINGS, START, aggregate, days_from, events, tables, traffic, write
from calslo_dagster_tests.pipeline.conftest import OpenProject

MONDAY = START - 5 * DAY
NEXT_MONDAY = MONDAY + WEEK
DAYS = days_from(START, 4)


def stored(project: Project, week_end: datetime) -> dict[tuple[str, str], DriftRow]:
    with project.store.read() as session:
        return {(row.slice, row.metric): row for row in drift.of_week(session, week_end)}


@pytest.fixture
def two_weeks(project: Project, tmp_path: Path) -> Project:
    """Return a project with three days of traffic, two of one week and one of the next."""
    made = traffic()
    write(tmp_path / "log/a.parquet", made.log)
    write(tmp_path / "labels/a.parquet", made.labels)
    aggregate(project, DAYS)
    return project


def test_a_week_is_compared_with_the_one_before(two_weeks: Project) -> None:
    report = report_drift(two_weeks, [NEXT_MONDAY])

    found = stored(two_weeks, NEXT_MONDAY + WEEK)
    assert (report.week_end, report.stored) == (NEXT_MONDAY + WEEK, len(found))
    row = found["*", "base_rate"]
    assert row.current is not None
    assert row.previous is not None
    assert row.delta == pytest.approx(row.current - row.previous)
    assert row.events_previous > row.events_current > 900
    assert {name for name, _ in found} == {
        "*",
        *(f"intent={i},language={value}" for i in ("buy", "search") for value in ("en", "de", "%null")),
    }


def test_every_change_has_the_verdict_that_its_interval_supports(two_weeks: Project) -> None:
    report = report_drift(two_weeks, [NEXT_MONDAY])

    rows = stored(two_weeks, NEXT_MONDAY + WEEK).values()
    own = [row for row in rows if row.metric in JUDGED_ITSELF]
    assert {row.metric for row in rows} == set(RULES)
    assert {row.limit for row in own} == {0.01}
    assert {row.limit for row in rows if row.metric not in JUDGED_ITSELF} == {None}
    for row in own:
        if row.verdict is Verdict.BREACHED:
            assert row.low is not None
            assert row.high is not None
            assert row.low > 0.01 or row.high < -0.01
            assert (row.q_value or 0.0) <= 0.05
        if row.verdict is Verdict.UNKNOWN and row.low is not None:
            assert (row.events_needed or 0) > min(row.events_current, row.events_previous)
    assert sum(report.verdicts.values()) == len(own)


def test_causes_sum_to_the_change_for_all_traffic_and_each_coarser_slice(two_weeks: Project) -> None:
    report_drift(two_weeks, [NEXT_MONDAY])

    changes = stored(two_weeks, NEXT_MONDAY + WEEK)
    with two_weeks.store.read() as session:
        causes = drift_attributions.of_week(session, NEXT_MONDAY + WEEK)
    whole = {(row.slice, row.metric): row for row in causes if row.part == row.slice}
    assert {metric for name, metric in whole if name == "*"} == {"brier", "bias", "ece"}
    for key, row in whole.items():
        parts = [one for one in causes if (one.slice, one.metric) == key and one.part != one.slice]
        assert row.mix + row.scores + row.outcome + row.coverage == pytest.approx(row.delta, abs=1e-12)
        assert sum(one.delta for one in parts) == pytest.approx(row.delta, abs=1e-12)
        assert sum(one.share_current for one in parts) == pytest.approx(1.0)
        assert row.metric == "ece" or row.delta == pytest.approx(changes[key].delta, abs=1e-12)


def test_coarser_slices_are_cut_into_those_of_the_finest_view(tmp_path: Path, open_at: OpenProject) -> None:
    project = open_at(tmp_path, extra="slices: {views: [[], [intent], [intent, language]]}\n")
    made = traffic()
    write(tmp_path / "log/a.parquet", made.log)
    write(tmp_path / "labels/a.parquet", made.labels)
    aggregate(project, DAYS)

    report = report_drift(project, [NEXT_MONDAY])

    found = {one.slice: [part.slice for part in one.parts] for one in report.attributed}
    assert set(found) == {"*", "intent=buy", "intent=search"}
    assert found["intent=buy"] == [name for name in found["*"] if name.startswith("intent=buy,")]
    assert len(found["intent=buy"]) == 3


def test_the_scores_of_both_weeks_are_compared(two_weeks: Project) -> None:
    report = report_drift(two_weeks, [NEXT_MONDAY])

    with two_weeks.store.read() as session:
        rows = drift_distances.of_week(session, NEXT_MONDAY + WEEK)
    assert {row.name for row in rows if row.slice == "*"} == {"psi", "jensen_shannon", "kolmogorov_smirnov"}
    assert len(rows) == len(report.distances)
    assert all(row.reading for row in rows)


def test_the_first_week_has_nothing_to_compare_with(two_weeks: Project) -> None:
    report_drift(two_weeks, [MONDAY])

    rows = stored(two_weeks, NEXT_MONDAY).values()
    assert {row.verdict for row in rows} == {Verdict.UNKNOWN}
    assert all(row.reason for row in rows)


def test_a_week_without_any_events_has_no_rows(project: Project) -> None:
    report = report_drift(project, [MONDAY])

    assert (report.stored, report.rows) == (0, ())


def test_weeks_are_reported_in_one_go_as_one_by_one(two_weeks: Project) -> None:
    report = report_drift(two_weeks, [MONDAY, NEXT_MONDAY])
    together = tables(two_weeks)
    for monday in (NEXT_MONDAY, MONDAY):
        report_drift(two_weeks, [monday])

    assert tables(two_weeks) == together
    assert report.week_end == NEXT_MONDAY + WEEK


def test_a_slice_that_disappeared_is_reported_as_unknown(project: Project, tmp_path: Path) -> None:
    times = [MONDAY + HOUR, NEXT_MONDAY + HOUR]
    write(tmp_path / "log/a.parquet", events(times, intent=["gone", "new"], language="en", label=1))
    for time in times:
        aggregate(project, [time.date()])

    report_drift(project, [NEXT_MONDAY])

    found = stored(project, NEXT_MONDAY + WEEK)
    assert found["intent=gone,language=en", "base_rate"].verdict is Verdict.UNKNOWN
    assert found["intent=gone,language=en", "base_rate"].events_current == 0


def test_late_data_corrects_the_report(two_weeks: Project, tmp_path: Path) -> None:
    report_drift(two_weeks, [NEXT_MONDAY])
    before = stored(two_weeks, NEXT_MONDAY + WEEK)["*", "base_rate"]
    write(tmp_path / "log/b.parquet", events([NEXT_MONDAY + HOUR] * 50, label=1))
    aggregate(two_weeks, DAYS)

    report_drift(two_weeks, [NEXT_MONDAY])

    after = stored(two_weeks, NEXT_MONDAY + WEEK)["*", "base_rate"]
    assert after.events_current == before.events_current + 50


def test_the_limit_is_that_of_the_slo(tmp_path: Path, open_at: OpenProject) -> None:
    project = open_at(tmp_path, SETTINGS.replace("weekly_drift: {", "weekly_drift: {fail: 0.05, "))
    write(tmp_path / "log/a.parquet", traffic(hours=60).log)
    aggregate(project, DAYS)
    report_drift(project, [NEXT_MONDAY])

    limits = {row.limit for row in stored(project, NEXT_MONDAY + WEEK).values() if row.metric in JUDGED_ITSELF}
    assert limits == {0.05}


def test_a_slice_with_a_limit_of_its_own_is_held_to_it(tmp_path: Path, open_at: OpenProject) -> None:
    own = "weekly_drift: {overrides: [{slices: 'intent=buy,*', fail: 0.2}, {slices: '*', models: other, fail: 0.3}], "
    project = open_at(tmp_path, SETTINGS.replace("weekly_drift: {", own))
    write(tmp_path / "log/a.parquet", traffic(hours=60).log)
    aggregate(project, DAYS)
    report_drift(project, [NEXT_MONDAY])

    rows = [row for row in stored(project, NEXT_MONDAY + WEEK).values() if row.metric in JUDGED_ITSELF]
    assert {row.limit for row in rows if row.slice.startswith("intent=buy")} == {0.2}
    assert {row.limit for row in rows if not row.slice.startswith("intent=buy")} == {0.01}


def test_the_report_is_made_where_the_slo_is_switched_off(tmp_path: Path, open_at: OpenProject) -> None:
    settings = SETTINGS.replace("  weekly_drift: {min_events: 200}\n", "  disable: [weekly_drift]\n")
    project = open_at(tmp_path, settings)
    write(tmp_path / "log/a.parquet", events([NEXT_MONDAY], label=1))
    aggregate(project, [NEXT_MONDAY.date()])

    assert report_drift(project, [NEXT_MONDAY]).stored > 0
