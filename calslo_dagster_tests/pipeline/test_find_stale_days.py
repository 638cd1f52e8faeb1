"""Days that no longer match the log or the labels are found, and only those."""

from datetime import date, datetime
from pathlib import Path

import pytest

from calslo_dagster.pipeline.find_stale_days import MOST_DAYS, Late, StaleDay, find_stale_days, stale_weeks
from calslo_dagster.pipeline.project import Project
from calslo_dagster.slo.windows import DAY
from calslo_dagster_tests.logs import HOUR, MINUTE, START, aggregate, days_from, events, labels, slo_section, write
from calslo_dagster_tests.pipeline.conftest import OpenProject

NOW = START + 3 * DAY + 5 * HOUR


def stale(project: Project, late: Late = Late.EVENTS, now: datetime = NOW) -> list[int]:
    """Return the stale days as numbers, that of the log's first day 0."""
    return [(one.day - START.date()).days for one in find_stale_days(project, late, now=now)]


def log_of(tmp_path: Path, *days: int, name: str = "a", hour: int = 1) -> Path:
    times = [START + day * DAY + hour * HOUR for day in days]
    return write(tmp_path / f"log/{name}.parquet", events(times, prediction_id=[f"p{d}" for d in days]))


def labels_of(tmp_path: Path, *days: int, name: str = "a") -> Path:
    times = [START + day * DAY + HOUR for day in days]
    return write(tmp_path / f"labels/{name}.parquet", labels([f"p{d}" for d in days], at=NOW, of=times))


def test_days_of_a_new_log_are_found_with_the_days_that_look_back_at_them(project: Project, tmp_path: Path) -> None:
    log_of(tmp_path, 0)

    assert stale(project) == [0, 1]
    assert stale(project, Late.LABELS) == []


def test_today_is_left_to_the_minute_job(project: Project, tmp_path: Path) -> None:
    log_of(tmp_path, 2, 3)

    assert stale(project) == [2]


def test_a_day_that_is_up_to_date_is_not_found(project: Project, tmp_path: Path) -> None:
    log_of(tmp_path, 0)
    aggregate(project, days_from(START, 1), NOW)

    assert stale(project) == []


def test_late_events_make_their_day_stale(project: Project, tmp_path: Path) -> None:
    log_of(tmp_path, 0, 1, 2)
    aggregate(project, days_from(START, 3), NOW)
    log_of(tmp_path, 0, name="late", hour=5)

    assert stale(project) == [0, 1]


def test_a_replaced_file_makes_its_day_stale(project: Project, tmp_path: Path) -> None:
    log_of(tmp_path, 0)
    aggregate(project, days_from(START, 1), NOW)
    log_of(tmp_path, 0, hour=2)

    assert stale(project) == [0, 1]


def test_a_day_that_a_replaced_file_no_longer_holds_is_stale(project: Project, tmp_path: Path) -> None:
    log_of(tmp_path, 0)
    aggregate(project, days_from(START, 1), NOW)
    log_of(tmp_path, 2)

    assert stale(project) == [0, 1, 2]
    aggregate(project, days_from(START, 3), NOW)
    assert stale(project) == []


def test_a_rotated_file_makes_nothing_stale(project: Project, tmp_path: Path) -> None:
    path = log_of(tmp_path, 0)
    labels_of(tmp_path, 0)
    aggregate(project, days_from(START, 1), NOW)
    path.unlink()
    (tmp_path / "labels/a.parquet").unlink()

    assert stale(project) == stale(project, Late.LABELS) == []


def test_a_renamed_file_makes_its_day_stale_until_it_is_read_under_its_name(project: Project, tmp_path: Path) -> None:
    log_of(tmp_path, 0).rename(tmp_path / "log/before.parquet")
    aggregate(project, days_from(START, 1), NOW)
    (tmp_path / "log/before.parquet").rename(tmp_path / "log/after.parquet")

    assert stale(project) == [0, 1]
    aggregate(project, days_from(START, 1), NOW)
    assert stale(project) == []


def test_late_labels_make_the_days_of_their_events_stale(project: Project, tmp_path: Path) -> None:
    log_of(tmp_path, 0, 1, 2)
    aggregate(project, days_from(START, 3), NOW)
    labels_of(tmp_path, 0, 2)

    assert stale(project, Late.LABELS) == [0, 1, 2]
    assert stale(project, Late.EVENTS) == []
    aggregate(project, days_from(START, 3), NOW)
    assert stale(project, Late.LABELS) == []


def test_labels_that_came_before_their_events_are_not_late(project: Project, tmp_path: Path) -> None:
    labels_of(tmp_path, 0)
    assert stale(project, Late.LABELS) == []
    log_of(tmp_path, 0)

    assert stale(project, Late.LABELS) == []
    assert stale(project, Late.EVENTS) == [0, 1]


def test_a_batch_that_is_older_by_name_makes_its_day_stale(project: Project, tmp_path: Path) -> None:
    log_of(tmp_path, 0)
    labels_of(tmp_path, 0, name="2")
    aggregate(project, days_from(START, 1), NOW)
    labels_of(tmp_path, 0, name="1")

    assert stale(project, Late.LABELS) == [0, 1]


def test_a_rotated_batch_beside_one_that_stays_makes_nothing_stale(project: Project, tmp_path: Path) -> None:
    log_of(tmp_path, 0)
    first = labels_of(tmp_path, 0, name="1")
    labels_of(tmp_path, 0, name="2")
    aggregate(project, days_from(START, 1), NOW)
    first.unlink()

    assert stale(project, Late.LABELS) == []


def test_days_long_ago_that_were_never_measured_are_left_alone(project: Project, tmp_path: Path) -> None:
    """Whoever wants them runs a backfill; days that were measured are kept up to date for ever."""
    log_of(tmp_path, 0, 20)
    now = START + 23 * DAY

    assert stale(project, now=now) == [20, 21]
    aggregate(project, days_from(START, 1), now)
    log_of(tmp_path, 0, name="late", hour=3)
    assert stale(project, now=now) == [0, 1, 20, 21]


def test_days_before_the_history_begins_are_left_alone(tmp_path: Path, open_at: OpenProject) -> None:
    text = slo_section("").replace("2026-01-01", str((START + DAY).date()))
    log_of(tmp_path, 0, 1)

    assert stale(open_at(tmp_path, text)) == [1, 2]


def test_a_few_days_at_a_time_are_requested_and_the_oldest_first(project: Project, tmp_path: Path) -> None:
    log_of(tmp_path, *range(-3, 3))

    assert stale(project) == [*range(-3, MOST_DAYS - 2)]


def test_windows_that_reach_further_back_make_more_days_follow(tmp_path: Path, open_at: OpenProject) -> None:
    project = open_at(tmp_path, slo_section("define: [{name: volume, metric: n, operator: '>=', fail: 1, window: 2d}]"))
    log_of(tmp_path, 0)

    assert stale(project) == [0, 1, 2]


def test_a_day_is_requested_once_until_more_arrives(project: Project, tmp_path: Path) -> None:
    def keys() -> list[str]:
        return [one.run_key for one in find_stale_days(project, Late.EVENTS, now=NOW)]

    log_of(tmp_path, 0)
    first = keys()
    assert keys() == first
    assert len(set(first)) == 2
    log_of(tmp_path, 0, name="more", hour=2)

    assert not set(keys()) & set(first)


@pytest.mark.parametrize(
    ("day", "mondays"),
    [
        (date(2026, 3, 4), ["2026-03-02", "2026-03-09"]),
        (date(2026, 3, 10), ["2026-03-09"]),
        (date(2026, 3, 17), []),
    ],
)
def test_ended_weeks_that_rest_on_a_stale_day_are_stale(day: date, mondays: list[str]) -> None:
    found = stale_weeks([StaleDay(day, "key")], date(2026, 3, 18))

    assert [str(one.day) for one in found] == mondays
    assert len({one.run_key for one in found}) == len(mondays)


def test_looking_does_not_touch_the_snapshots(project: Project, tmp_path: Path) -> None:
    log_of(tmp_path, 0)
    for n in range(2):
        find_stale_days(project, Late.EVENTS, now=NOW + n * MINUTE)

    assert not project.partials.exists()
