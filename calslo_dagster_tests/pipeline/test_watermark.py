"""A watermark follows the newest event, never moves back, and does not wait for a source that has gone silent."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.watermark import SILENCE, current_watermark, slowest
from calslo_dagster.slo.windows import DAY
from calslo_dagster.store.watermarks import Watermark
from calslo_dagster_tests.logs import HOUR, MINUTE, SETTINGS, START, aggregate, days_from, events, write
from calslo_dagster_tests.pipeline.conftest import OpenProject

NOW = START + 12 * HOUR
LATENESS = timedelta(minutes=10)


def mark(name: str, at: datetime | None) -> Watermark:
    return Watermark(name, at, at)


def moved(project: Project, now: datetime = NOW) -> datetime | None:
    aggregate(project, [now.date()], now)
    return current_watermark(project, now)


def test_a_log_without_events_has_no_watermark(project: Project) -> None:
    assert moved(project) is None


def test_it_is_the_newest_event_less_the_allowed_lateness(project: Project, tmp_path: Path) -> None:
    write(tmp_path / "log/a.parquet", events([NOW - HOUR, NOW - MINUTE]))

    assert moved(project) == NOW - MINUTE - LATENESS


def test_it_never_moves_back(project: Project, tmp_path: Path) -> None:
    path = write(tmp_path / "log/a.parquet", events([NOW - MINUTE]))
    moved(project)
    path.unlink()
    write(tmp_path / "log/b.parquet", events([NOW - HOUR]))

    assert moved(project) == NOW - MINUTE - LATENESS


def test_a_run_over_old_days_leaves_it_where_it_is(project: Project, tmp_path: Path) -> None:
    write(tmp_path / "log/a.parquet", events([START - DAY, NOW - MINUTE]))
    moved(project)

    aggregate(project, days_from(START - DAY, 1), NOW, recompute=True)

    assert current_watermark(project, NOW) == NOW - MINUTE - LATENESS


def test_an_event_from_the_future_makes_nothing_final_that_lies_ahead(project: Project, tmp_path: Path) -> None:
    """One clock that runs a day ahead must not close windows whose events are still to come."""
    write(tmp_path / "log/a.parquet", events([NOW - MINUTE, NOW + 20 * HOUR]))

    assert moved(project) == NOW - LATENESS
    assert moved(project, NOW + MINUTE) == NOW + MINUTE - LATENESS


def test_a_silent_source_counts_as_complete_after_six_hours() -> None:
    assert slowest([mark("a", NOW - DAY)], NOW) == NOW - SILENCE


@pytest.mark.parametrize(
    ("marks", "expected"),
    [
        ([], None),
        ([None], None),
        ([NOW - MINUTE, NOW - HOUR], NOW - HOUR),
        ([NOW - MINUTE, None], NOW - MINUTE),
    ],
)
def test_the_slowest_source_decides(marks: list[datetime | None], expected: datetime | None) -> None:
    assert slowest([mark(str(i), at) for i, at in enumerate(marks)], NOW) == expected


def test_a_source_that_was_taken_out_of_the_settings_holds_nothing_back(tmp_path: Path, open_at: OpenProject) -> None:
    write(tmp_path / "log/a.parquet", events([NOW - 4 * HOUR]))
    moved(open_at(tmp_path))
    renamed = open_at(tmp_path, SETTINGS.replace("name: serving", "name: renamed"))
    write(tmp_path / "log/b.parquet", events([NOW - MINUTE]))

    assert moved(renamed) == NOW - MINUTE - LATENESS
