"""Trends of each slice from its days, of which only those count that are over and have their labels."""

from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.project_trends import NO_SLO, project_trends
from calslo_dagster.pipeline.prune_history import prune_history
from calslo_dagster.pipeline.read_standing import read_trends
from calslo_dagster.slo.slice_trends import Quantity, SliceTrend
from calslo_dagster.slo.windows import DAY
from calslo_dagster.stats.trend import PAST, Direction
from calslo_dagster.store import trends
from calslo_dagster_tests.logs import HOUR, SETTINGS, START, aggregate, days_from, events, write
from calslo_dagster_tests.pipeline.conftest import OpenProject

A_DAY = 800
NOON = 12 * HOUR
EVIDENCE = SETTINGS.replace("slos:\n", "slos:\n  mode: evidence\n", 1)


def day_of_traffic(number: int, *, climb: float = 0.0, share: float = 1.0, seed: int = 0) -> pa.Table:
    """Return the events of one day; each day the odds of `de` are `climb` further above what its scores say."""
    rng = np.random.default_rng([seed, number])
    at = np.sort(rng.integers(0, 86_400_000, A_DAY)).tolist()
    score, german = rng.beta(2, 4, A_DAY), rng.random(A_DAY) < 0.5
    odds = np.log(score / (1 - score)) + np.where(german, climb * number, 0.0)
    came = rng.random(A_DAY) < 1 / (1 + np.exp(-odds))
    label = [int(y) if known else None for y, known in zip(came, rng.random(A_DAY) < share, strict=True)]
    times = [START + number * DAY + timedelta(milliseconds=ms) for ms in at]
    language = np.where(german, "de", "en").tolist()
    return events(times, score=score.tolist(), label=label, intent="a", language=language)


def fill(project: Project, folder: Path, count: int, *, climb: float = 0.0) -> None:
    for number in range(count):
        write(folder / f"log/{number:02}.parquet", day_of_traffic(number, climb=climb))
    aggregate(project, days_from(START, count), now=START + count * DAY + NOON)


def projected(project: Project, number: int) -> dict[tuple[str, Quantity], SliceTrend]:
    """Return the trends as of the beginning of the day after so many."""
    day = START + number * DAY
    found = project_trends(project, [day.date()], now=day + NOON)
    return {(row.slice.removeprefix("intent=a,language="), row.quantity): row for row in found.rows}


@pytest.fixture
def climbing(project: Project, tmp_path: Path) -> Project:
    """Return a project with ten days in which one language drifts and the other does not."""
    fill(project, tmp_path, 10, climb=0.1)
    return project


def test_a_slice_that_drifts_is_told_from_one_that_does_not(climbing: Project) -> None:
    found = projected(climbing, 10)

    assert {name for name, _ in found} == {"*", "de", "en"}
    drifting, steady = found["de", Quantity.EITHER], found["en", Quantity.EITHER]
    assert (drifting.direction, drifting.reason) == (Direction.DEGRADING, PAST)
    assert drifting.p30 is not None
    assert steady.p30 is not None
    assert drifting.p30 > 0.95
    assert steady.p30 < 0.5
    shift = found["de", Quantity.SHIFT]
    assert shift.per_day == pytest.approx(0.1, abs=0.05)
    assert shift.limit_low is not None
    assert shift.limit_high is not None
    # max(0.015, c sqrt(K / N)) with some 400 events a day is 0.09, which a shift of some 0.4 reaches.
    assert -0.8 < shift.limit_low < -0.2 < 0.2 < shift.limit_high < 0.8
    assert [len(quantile) for quantile in shift.forecast] == [30, 30, 30]


def test_today_does_not_count_and_a_later_run_makes_the_same_rows(climbing: Project, tmp_path: Path) -> None:
    before = projected(climbing, 9)

    write(tmp_path / "log/more.parquet", day_of_traffic(9, climb=5.0, seed=1))
    aggregate(climbing, days_from(START, 10), now=START + 10 * DAY + NOON)

    assert projected(climbing, 9) == before


def test_a_range_of_days_is_projected_as_one_by_one(climbing: Project) -> None:
    now, days = START + 10 * DAY + NOON, days_from(START + 8 * DAY, 3)
    report = project_trends(climbing, days, now=now)
    together = stored(climbing, days)

    for day in days[::-1]:
        project_trends(climbing, [day], now=now)

    assert stored(climbing, days) == together
    assert (report.day, report.stored) == (days[-1], len(together))
    assert sorted(report.rows, key=lambda row: (row.slice, row.quantity)) == list(read_trends(climbing))


def stored(project: Project, days: list[date]) -> list[SliceTrend]:
    with project.store.read() as session:
        return [row for day in days for row in trends.of_day(session, "ece_bound", day)]


def test_a_day_that_is_not_over_does_not_count(climbing: Project) -> None:
    """The log ends with the ninth day, so that the tenth is complete only once the log has been silent for a while."""
    day = START + 10 * DAY

    at_once = project_trends(climbing, [day.date()], now=day)
    later = project_trends(climbing, [day.date()], now=day + NOON)

    assert {row.points for row in at_once.rows} == {9}
    assert {row.points for row in later.rows} == {10}


def test_days_whose_labels_have_not_come_do_not_count(project: Project, tmp_path: Path) -> None:
    for number in range(9):
        table = day_of_traffic(number, share=1.0 if number < 7 else 0.5)
        write(tmp_path / f"log/{number:02}.parquet", table)
    aggregate(project, days_from(START, 9), now=START + 9 * DAY + NOON)

    assert {row.points for row in projected(project, 9).values()} == {7}


def test_too_few_days_are_said(project: Project, tmp_path: Path) -> None:
    fill(project, tmp_path, 3)

    row = projected(project, 3)["*", Quantity.EITHER]

    assert (row.direction, row.points, row.days_needed, row.p30) == (Direction.UNKNOWN, 3, 4, None)
    assert "4 more are needed" in row.reason


def test_a_slice_that_has_gone_has_no_trend(project: Project, tmp_path: Path) -> None:
    fill(project, tmp_path, 7)

    assert projected(project, 7)
    assert projected(project, 15) == {}


def test_events_without_labels_have_no_trend(project: Project, tmp_path: Path) -> None:
    write(tmp_path / "log/a.parquet", events([START, START + HOUR]))
    aggregate(project, [START.date()])

    assert projected(project, 1) == {}


def test_there_are_no_trends_without_the_limit_that_they_are_held_against(tmp_path: Path, open_at: OpenProject) -> None:
    settings = SETTINGS.replace("  ece_bound: {min_events: 50, parameters: {c: 0.4}}\n", "  disable: [ece_bound]\n")

    report = project_trends(open_at(tmp_path, settings), [START.date()], now=START)

    assert (report.rows, report.stored, report.reason) == ((), 0, NO_SLO)


def test_in_evidence_mode_they_are_held_against_what_is_tolerated(tmp_path: Path, open_at: OpenProject) -> None:
    """The limit of a window also allows for its noise, and is wider."""
    ends = []
    for name, settings in (("threshold", SETTINGS), ("evidence", EVIDENCE)):
        project = open_at(tmp_path / name, settings)
        fill(project, tmp_path / name, 8)
        ends.append(projected(project, 8)["*", Quantity.SHIFT].limit_high)

    wide, narrow = ends

    assert wide is not None
    assert narrow is not None
    assert 0.0 < narrow < 0.15
    assert wide > 0.2


def test_old_trends_are_pruned(tmp_path: Path, open_at: OpenProject) -> None:
    project = open_at(tmp_path, extra="label_horizon: 10d\nretention: {measurements: 30d, panes: 20d, hours: 40d}\n")
    fill(project, tmp_path, 2)
    rows = len(projected(project, 2))

    assert prune_history(project, now=later(29))["trends_deleted"] == 0
    assert prune_history(project, now=later(40))["trends_deleted"] == rows > 0


def later(days: int) -> datetime:
    return START + days * DAY
