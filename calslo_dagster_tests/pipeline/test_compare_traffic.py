"""A log that thins out, and a label feed that stops, are noticed on the same day, and nothing else is."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from calslo_dagster.pipeline.inspect_snapshots import Finding, inspect_snapshots
from calslo_dagster.pipeline.project import Project
from calslo_dagster.slo.windows import DAY
from calslo_dagster_tests.logs import (
    HOUR,
    MINUTE,
    SETTINGS,
    START,
    aggregate,
    days_from,
    events,
    labels,
    minutes,
    write,
)
from calslo_dagster_tests.pipeline.conftest import OpenProject

# Two minutes apart: 180 events in six hours.
STEP = 2 * MINUTE
# A Monday, eight days after the log began, at lunch.
BEGINNING = START - 6 * DAY
NOW = START + 2 * DAY + 12 * HOUR
WEEK_BEFORE = days_from(NOW.replace(hour=0) - 8 * DAY, 8)


def log(folder: Path, start: datetime, end: datetime, step: timedelta = STEP, *, name: str = "log") -> list[datetime]:
    times = list(minutes(start, end, step))
    write(folder / f"{name}/{start:%m%d%H%M}.parquet", events(times, prediction_id=[f"{at:%m%d%H%M}" for at in times]))
    return times


def deliver(folder: Path, times: Sequence[datetime], at: datetime, *, says_when: bool = True) -> None:
    """Write one batch with the labels of these events, known since `at`."""
    batch = labels([f"{time:%m%d%H%M}" for time in times], at=at, of=times)
    write(folder / f"labels/{at:%m%d%H%M}.parquet", batch if says_when else batch.drop_columns(["label_time"]))


def checks(project: Project, now: datetime = NOW, history: Sequence[date] = WEEK_BEFORE) -> dict[str, Finding]:
    """Return what a minute run finds once the days before have been aggregated."""
    aggregate(project, history, now)
    report = aggregate(project, [now.date()], now)
    return {finding.name: finding for finding in inspect_snapshots(project, report)}


@pytest.mark.parametrize(("step", "share"), [(2, 1.0), (4, 0.5), (1, 2.0), (3, 0.67)])
def test_the_newest_hours_are_compared_with_the_same_hours_of_other_days(
    project: Project, tmp_path: Path, step: int, share: float
) -> None:
    log(tmp_path, BEGINNING, NOW - 7 * HOUR)
    log(tmp_path, NOW - 7 * HOUR, NOW, step * MINUTE)

    volume = checks(project)["volume"]

    assert volume.passed is (0.6 <= share <= 1.7)
    assert volume.numbers["share_of_usual"] == pytest.approx(share, abs=0.01)
    assert f"in the 6 hours before {NOW - HOUR:%Y-%m-%d %H:%M} UTC" in volume.says


def test_a_log_that_stops_holds_nothing_of_what_is_usual(project: Project, tmp_path: Path) -> None:
    log(tmp_path, BEGINNING, NOW - 7 * HOUR)

    volume = checks(project)["volume"]

    assert (volume.passed, volume.numbers["share_of_usual"]) == (False, 0.0)


def test_one_of_two_logs_is_enough(tmp_path: Path, open_at: OpenProject) -> None:
    project = open_at(tmp_path, SETTINGS.replace("slos:", "  - {name: other, model: intent, paths: [other/]}\nslos:"))
    log(tmp_path, BEGINNING, NOW, MINUTE)
    log(tmp_path, BEGINNING, NOW - 7 * HOUR, name="other")
    log(tmp_path, NOW - 7 * HOUR, NOW, 4 * MINUTE, name="other")

    volume = checks(project)["volume"]

    assert not volume.passed
    assert volume.says.startswith("other: 90 rows")


def test_quiet_weekends_are_as_usual_once_three_weeks_are_known(project: Project, tmp_path: Path) -> None:
    saturday = START + 12 * HOUR
    for n in range(-22, 1):
        day = START + n * DAY
        is_weekend = day.weekday() >= 5
        log(tmp_path, day, min(day + DAY, saturday), (6 if is_weekend else 2) * MINUTE)
    history = days_from(START - 22 * DAY, 22)

    volume = checks(project, saturday, history)["volume"]

    assert volume.passed
    assert volume.numbers["share_of_usual"] == 1.0


def test_what_lies_before_the_first_event_is_not_taken_as_an_hour_without_any(project: Project, tmp_path: Path) -> None:
    log(tmp_path, NOW - DAY - 3 * HOUR, NOW)

    assert checks(project)["volume"].says == "nothing to compare with yet"


def test_thin_traffic_is_judged_by_a_day_of_it(project: Project, tmp_path: Path) -> None:
    log(tmp_path, BEGINNING, NOW, 12 * MINUTE)

    volume = checks(project)["volume"]

    assert (volume.passed, volume.numbers["usual_rows"]) == (True, 120)
    assert "in the 24 hours" in volume.says


def feed(folder: Path, delay: timedelta, *, stops: datetime | None = None, says_when: bool = True) -> None:
    """Write a log with labels that come every twelve hours, each batch with what is as old as the delay."""
    log(folder, BEGINNING, NOW)
    for at in minutes(BEGINNING + delay + 12 * HOUR, (stops or NOW) + MINUTE, 12 * HOUR):
        deliver(folder, list(minutes(at - delay - 12 * HOUR, at - delay, STEP)), at, says_when=says_when)


@pytest.mark.parametrize("delay", [timedelta(0), 2 * DAY], ids=["at once", "after two days"])
def test_labels_that_come_as_late_as_ever_are_no_trouble(project: Project, tmp_path: Path, delay: timedelta) -> None:
    feed(tmp_path, delay)

    lag = checks(project)["label_lag"]

    assert lag.passed
    assert lag.numbers["share_of_usual"] == 1.0


@pytest.mark.parametrize("delay", [timedelta(0), 2 * DAY], ids=["at once", "after two days"])
def test_a_label_feed_that_stopped_is_missed_within_a_day(project: Project, tmp_path: Path, delay: timedelta) -> None:
    feed(tmp_path, delay, stops=NOW - DAY)

    lag = checks(project)["label_lag"]

    assert not lag.passed
    assert lag.numbers["share_of_usual"] == 0.0


def test_a_feed_that_goes_on_again_is_fine_at_once(project: Project, tmp_path: Path) -> None:
    feed(tmp_path, timedelta(0), stops=NOW - DAY)
    assert not checks(project)["label_lag"].passed

    deliver(tmp_path, list(minutes(NOW - 2 * DAY, NOW, STEP)), NOW)

    assert checks(project)["label_lag"].passed


def test_labels_that_the_log_itself_holds_are_missed_too(project: Project, tmp_path: Path) -> None:
    for start, end, label in ((BEGINNING, NOW - 7 * HOUR, 1), (NOW - 7 * HOUR, NOW, None)):
        times = list(minutes(start, end, STEP))
        write(tmp_path / f"log/{start:%m%d%H}.parquet", events(times, label=label))

    assert not checks(project)["label_lag"].passed


def test_a_feed_that_does_not_say_when_labels_were_written_is_judged_after_a_week(
    project: Project, tmp_path: Path
) -> None:
    feed(tmp_path, timedelta(0), stops=NOW - 2 * DAY, says_when=False)

    assert f"before {NOW - 7 * DAY - HOUR:%Y-%m-%d %H:%M} UTC" in checks(project)["label_lag"].says
