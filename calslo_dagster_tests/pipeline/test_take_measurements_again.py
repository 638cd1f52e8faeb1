"""A window is measured again when an event, a label or the watermark changes what it rests on, and not otherwise."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from calslo_dagster.pipeline.compact_snapshots import compact_snapshots
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.take_measurements import Request, measure_days
from calslo_dagster.slo.windows import DAY
from calslo_dagster.sources.base import micros
from calslo_dagster_tests.logs import HOUR, MINUTE, SETTINGS, START, aggregate, events, labels, measure, minutes, write
from calslo_dagster_tests.pipeline.conftest import OpenProject
from calslo_dagster_tests.pipeline.test_take_measurements import QUARTER, SLO, TODAY, minute_by_minute, rows, run

KNOWN = {"intent": "buy", "language": "en"}
LATE_IN_THE_HOUR = START + 2 * HOUR + 57 * MINUTE


def measured_again(project: Project, now: datetime, slo: str = SLO) -> list[timedelta]:
    """Return the ends of the windows that a run at `now` measures, as time of the first day."""
    aggregate(project, [now.date()], now)
    measure_days(project, Request(slo, now, "again", recompute=False), [now.date()])
    return sorted(end - START for end, row in rows(project, slo).items() if row.run_id == "again")


def quarter_ends(first: timedelta, last: timedelta) -> list[timedelta]:
    return [first + n * QUARTER for n in range((last - first) // QUARTER + 1)]


@pytest.fixture
def busy(tmp_path: Path, open_at: OpenProject) -> Project:
    """Return a project that was measured late in the third hour of its log, of one slice."""
    made = events([at + timedelta(seconds=30) for at in minutes(START, LATE_IN_THE_HOUR, MINUTE)], **KNOWN)
    quarters = open_at(tmp_path, SETTINGS.replace("evaluation_step: 1h", "evaluation_step: 15m"))
    write(tmp_path / "log/a.parquet", made)
    for slo in ("ece_bound", SLO):
        run(quarters, LATE_IN_THE_HOUR, slo)
    return quarters


@pytest.mark.parametrize("slo", ["ece_bound", SLO])
def test_the_open_window_alone_is_measured_again_each_minute_however_late_in_the_hour(
    busy: Project, tmp_path: Path, slo: str
) -> None:
    write(tmp_path / "log/b.parquet", events([LATE_IN_THE_HOUR + timedelta(seconds=30)], **KNOWN))

    assert measured_again(busy, LATE_IN_THE_HOUR + MINUTE, slo) == [3 * HOUR]


@pytest.mark.parametrize(("slo", "last"), [("ece_bound", 3 * HOUR), (SLO, 75 * MINUTE)])
def test_a_late_event_has_every_window_over_it_measured_again(
    busy: Project, tmp_path: Path, slo: str, last: timedelta
) -> None:
    """The one looks back a day, the other an hour."""
    write(tmp_path / "log/late.parquet", events([START + 20 * MINUTE], prediction_id="late", **KNOWN))

    assert measured_again(busy, LATE_IN_THE_HOUR, slo) == quarter_ends(30 * MINUTE, last)


@pytest.mark.parametrize(("slo", "last"), [("ece_bound", 3 * HOUR), (SLO, 75 * MINUTE)])
def test_a_late_label_has_every_window_over_its_event_measured_again(
    busy: Project, tmp_path: Path, slo: str, last: timedelta
) -> None:
    of = START + 20 * MINUTE + timedelta(seconds=30)
    write(tmp_path / "labels/a.parquet", labels([f"e{micros(of)}-20"], at=LATE_IN_THE_HOUR, of=[of]))

    assert measured_again(busy, LATE_IN_THE_HOUR, slo) == quarter_ends(30 * MINUTE, last)
    assert rows(busy, slo)[START + 30 * MINUTE].labeled == 1


def test_a_late_event_of_a_new_slice_has_every_window_measured_again_in_which_it_is_awake(
    busy: Project, tmp_path: Path
) -> None:
    write(tmp_path / "log/late.parquet", events([START + 20 * MINUTE], intent="sell", language="en"))

    assert measured_again(busy, LATE_IN_THE_HOUR) == quarter_ends(30 * MINUTE, 3 * HOUR)
    assert START + 3 * HOUR in rows(busy, SLO, "intent=sell,language=en")


def test_a_late_event_of_the_open_hour_leaves_the_windows_before_it(busy: Project, tmp_path: Path) -> None:
    write(tmp_path / "log/late.parquet", events([START + 140 * MINUTE], prediction_id="late", **KNOWN))

    assert measured_again(busy, LATE_IN_THE_HOUR) == quarter_ends(150 * MINUTE, 3 * HOUR)


def test_a_window_that_the_log_has_passed_is_measured_once_more_before_it_is_final(
    busy: Project, tmp_path: Path
) -> None:
    """A breach of a window that goes on may be hasty, of one that is over it is not."""
    now = START + 3 * HOUR + MINUTE
    write(tmp_path / "log/b.parquet", events([now - timedelta(seconds=30)], **KNOWN))

    assert measured_again(busy, now) == quarter_ends(3 * HOUR, 195 * MINUTE)
    assert not rows(busy)[START + 3 * HOUR].is_final
    write(tmp_path / "log/c.parquet", events([now + timedelta(seconds=30)], **KNOWN))
    aggregate(busy, [TODAY], now + MINUTE)
    assert measure(busy, SLO, [TODAY], now + MINUTE).windows == 1


def test_merging_the_hours_of_a_day_has_nothing_measured_again(project: Project, tmp_path: Path) -> None:
    minute_by_minute(START, START + DAY, tmp_path / "log/a.parquet", 10 * MINUTE)
    run(project, START + DAY - MINUTE)
    now = START + DAY + 3 * HOUR
    minute_by_minute(START + DAY, now, tmp_path / "log/b.parquet", 10 * MINUTE)
    assert run(project, now) > 0

    assert compact_snapshots(project, now=now)["days_compacted"] == 1

    assert run(project, now) == 0


def test_nothing_is_measured_again_while_nothing_changes(project: Project, tmp_path: Path) -> None:
    now = START + 2 * HOUR + 20 * MINUTE
    minute_by_minute(START, now, tmp_path / "log/a.parquet")

    assert run(project, now) > 0
    assert run(project, now + timedelta(seconds=20)) == 0


def test_only_windows_over_the_hour_that_changed_are_measured_again(project: Project, tmp_path: Path) -> None:
    write(tmp_path / "log/a.parquet", events([START + n * HOUR for n in range(20)], latency_us=9.0))
    now = START + 20 * HOUR
    run(project, now, "p99_latency")
    write(tmp_path / "log/b.parquet", events([START + 15.5 * HOUR], latency_us=9.0))
    before = rows(project, "p99_latency")

    windows = run(project, now, "p99_latency")

    # The window of the hour itself, and the five that end within a day of it: a slice seen in it is awake in them.
    assert windows == 6
    changed = {end for end, row in rows(project, "p99_latency").items() if row != before[end]}
    assert changed == {START + 16 * HOUR}


def test_a_window_that_becomes_final_is_measured_again(project: Project, tmp_path: Path) -> None:
    end = START + 3 * HOUR
    minute_by_minute(START, end, tmp_path / "log/a.parquet")
    run(project, end)
    assert not rows(project)[end].is_final
    minute_by_minute(end, end + 11 * MINUTE, tmp_path / "log/b.parquet")

    run(project, end + 11 * MINUTE)

    assert rows(project)[end].is_final


def test_the_last_windows_of_a_day_become_final_after_midnight(project: Project, tmp_path: Path) -> None:
    midnight = START + DAY
    minute_by_minute(START, midnight, tmp_path / "log/a.parquet", 10 * MINUTE)
    run(project, midnight - MINUTE)
    minute_by_minute(midnight, midnight + 30 * MINUTE, tmp_path / "log/b.parquet")

    run(project, midnight + 30 * MINUTE)

    assert rows(project)[midnight].is_final
