"""The simulated log grows with the clock, where the demo is a source."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from calslo_dagster.pipeline.feed_demo import feed_demo
from calslo_dagster.pipeline.project import Project
from calslo_dagster_tests.logs import aggregate
from calslo_dagster_tests.pipeline.conftest import OpenProject

DEMO = "home: state\ndemo: {days: 1, end: 2026-03-16, events_per_day: 2000}\n"
NOW = datetime(2026, 3, 15, 5, 30, tzinfo=UTC)


def test_the_demo_writes_up_to_the_last_complete_minute(tmp_path: Path, open_at: OpenProject) -> None:
    project = open_at(tmp_path, DEMO)

    assert feed_demo(project, now=NOW) > 0
    report = aggregate(project, [NOW.date()], NOW)

    assert report.days[0].count("events") > 0
    assert report.watermark is not None
    assert NOW - timedelta(minutes=30) < report.watermark < NOW
    # Only the hour that goes on is written again.
    assert feed_demo(project, now=NOW + timedelta(minutes=1)) == 1


def test_other_sources_are_fed_by_others(project: Project, tmp_path: Path) -> None:
    assert feed_demo(project, now=NOW) == 0
    assert list((tmp_path / "log").iterdir()) == []
