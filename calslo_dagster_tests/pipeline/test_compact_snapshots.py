"""Compaction and roll-ups are sums: nothing that is measured later can tell, as long as its windows fit the buckets."""

from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from calslo_dagster.engine.facts import DAY_US, HOUR_US, MINUTE_US, PANE_US
from calslo_dagster.pipeline.compact_snapshots import compact_snapshots
from calslo_dagster.pipeline.find_stale_days import Late, find_stale_days
from calslo_dagster.pipeline.project import Project
from calslo_dagster.slo.windows import DAY, Window
from calslo_dagster.store import measurements
from calslo_dagster.store.partials import Kind
from calslo_dagster_tests.logs import (
    HOUR,
    SETTINGS,
    START,
    aggregate,
    days_from,
    evaluate,
    events,
    facts,
    in_force,
    labels,
    measure,
    of_day,
    snapshots,
    sums,
    tables,
    traffic,
    windows,
    write,
)
from calslo_dagster_tests.pipeline.conftest import OpenProject

TODAY = START.date()
MORNING = START + DAY + 3 * HOUR
SHORT = "retention: {totals: 3d, panes: 15d, hours: 30d}\nlabel_horizon: 2d\n"
FINE = SETTINGS.replace("evaluation_step: 1h", "evaluation_step: 15m")


def fill(project: Project, tmp_path: Path, hours: int = 3) -> None:
    """Count a day hour by hour, with labels."""
    made = traffic(hours=hours)
    write(tmp_path / "log/a.parquet", made.log)
    half = made.labels.num_rows // 2
    write(tmp_path / "labels/1.parquet", made.labels.slice(0, half))
    write(tmp_path / "labels/2.parquet", made.labels.slice(half))
    aggregate(project, [TODAY], START + 20 * HOUR)


def compacted(project: Project, now: datetime = MORNING) -> tuple[int, int]:
    done = compact_snapshots(project, now=now)
    return done["days_compacted"], done["days_rolled_up"]


def kinds(project: Project, day: date = TODAY) -> list[Kind]:
    return [partial.kind for partial in of_day(project, day)]


def test_the_hours_of_a_closed_day_become_one(project: Project, tmp_path: Path) -> None:
    fill(project, tmp_path)
    before, rows = facts(project), aggregate(project, [TODAY], MORNING).days[0].rows

    assert compacted(project) == (1, 0)
    assert kinds(project) == [Kind.EVENT, Kind.LABEL, Kind.LABEL]
    assert facts(project) == before
    assert aggregate(project, [TODAY], MORNING).days[0].rows == rows


def test_a_day_that_lasts_is_left_alone(project: Project, tmp_path: Path) -> None:
    fill(project, tmp_path)

    assert compacted(project, START + DAY + HOUR) == (0, 0)


def test_a_compacted_day_is_not_stale_and_not_written_again(project: Project, tmp_path: Path) -> None:
    fill(project, tmp_path)
    compacted(project)

    for late in Late:
        assert find_stale_days(project, late, now=MORNING) == []
    assert aggregate(project, [TODAY], MORNING).written == 0
    assert compacted(project) == (0, 0)


def test_a_compacted_day_is_the_day_that_a_backfill_counts(project: Project, tmp_path: Path) -> None:
    fill(project, tmp_path)
    compacted(project)
    before = [(p.path, p.inputs_digest, p.content_digest) for p in in_force(project)]

    aggregate(project, [TODAY], recompute=True)

    assert [(p.path, p.inputs_digest, p.content_digest) for p in in_force(project)] == before


def test_compaction_changes_no_measurement(project: Project, tmp_path: Path) -> None:
    fill(project, tmp_path)
    evaluate(project, [TODAY], MORNING)
    before = tables(project)
    compacted(project)

    for recompute in (False, True):
        evaluate(project, [TODAY], MORNING, recompute=recompute)

        assert tables(project) == before


def test_late_data_reaches_a_compacted_day(project: Project, tmp_path: Path) -> None:
    fill(project, tmp_path)
    compacted(project)
    first = aggregate(project, [TODAY], MORNING).days[0]
    write(tmp_path / "log/late.parquet", events([START + HOUR], prediction_id="late"))
    write(tmp_path / "labels/3.parquet", labels(["late"], at=MORNING, of=[START + HOUR]))
    before = aggregate(project, [TODAY], MORNING).days[0]

    assert kinds(project) == [Kind.EVENT, *[Kind.LABEL] * 3]
    assert (before.count("events"), before.count("labels")) == (first.count("events") + 1, first.count("labels") + 1)


def test_labels_of_a_rotated_batch_survive_compaction(project: Project, tmp_path: Path) -> None:
    fill(project, tmp_path)
    before = facts(project)
    (tmp_path / "labels/1.parquet").unlink()

    compacted(project)

    assert facts(project) == before


def test_a_rotated_log_survives_compaction(project: Project, tmp_path: Path) -> None:
    fill(project, tmp_path)
    before = facts(project)
    (tmp_path / "log/a.parquet").unlink()

    assert compacted(project) == (1, 0)
    assert facts(project) == before
    assert aggregate(project, [TODAY], MORNING).written == 0


@pytest.mark.parametrize(("days", "width"), [(2, MINUTE_US), (4, PANE_US), (16, HOUR_US), (31, DAY_US), (1000, DAY_US)])
def test_buckets_widen_with_age(tmp_path: Path, open_at: OpenProject, days: int, width: int) -> None:
    project = open_at(tmp_path, extra=SHORT)
    fill(project, tmp_path)
    compacted(project, START + timedelta(days=days, hours=3))

    assert {partial.totals_us for partial in of_day(project, TODAY)} == {width}
    assert {partial.cells_us for partial in of_day(project, TODAY)} == {max(width, PANE_US)}


def test_a_day_is_rolled_up_step_by_step_as_at_once(tmp_path: Path, open_at: OpenProject) -> None:
    found = []
    for name, ages in (("steps", (1, 4, 16, 31)), ("at once", (31,))):
        project = open_at(tmp_path / name, extra=SHORT)
        fill(project, tmp_path / name)
        before = sums(project, [TODAY])
        for age in ages:
            compacted(project, START + timedelta(days=age, hours=3))
        assert sums(project, [TODAY]) == before
        found.append(facts(project))

    assert found[0] == found[1]


def test_rolled_up_hours_answer_windows_of_hours(tmp_path: Path, open_at: OpenProject) -> None:
    project = open_at(tmp_path, extra=SHORT)
    fill(project, tmp_path)
    span = Window(START + HOUR, START + 3 * HOUR)
    before = windows(project, span)["*"]
    compacted(project, START + 16.5 * DAY)

    after = windows(project, span)["*"]
    assert (after.totals == before.totals).all()
    assert (after.cells == before.cells).all()


def test_a_rolled_up_day_waits_for_labels_no_more(tmp_path: Path, open_at: OpenProject) -> None:
    project = open_at(tmp_path, extra=SHORT)
    write(tmp_path / "log/a.parquet", events([START], prediction_id="p"))
    aggregate(project, [TODAY], START + DAY)
    compacted(project, START + 4.5 * DAY)
    write(tmp_path / "labels/1.parquet", labels(["p"], at=START + 3 * DAY, of=[START]))

    assert find_stale_days(project, Late.LABELS, now=START + 4.5 * DAY) == []
    assert snapshots(project, TODAY)["*"].labeled == 0


def test_labels_of_rolled_up_days_stay(tmp_path: Path, open_at: OpenProject) -> None:
    project = open_at(tmp_path, extra=SHORT)
    fill(project, tmp_path)
    before = snapshots(project, TODAY)["*"].labeled

    assert compacted(project, START + 4.5 * DAY) == (0, 1)
    assert kinds(project) == [Kind.EVENT]
    assert snapshots(project, TODAY)["*"].labeled == before


def test_measuring_a_rolled_up_day_again_leaves_what_its_buckets_cannot_answer(
    tmp_path: Path, open_at: OpenProject
) -> None:
    """A quarter of an hour cannot be taken out of an hour; what was measured when it could be stays."""
    project = open_at(tmp_path, FINE, extra=SHORT)
    fill(project, tmp_path)
    slo, now = "score_range", START + 16.5 * DAY
    measure(project, slo, [TODAY], now)
    with project.store.read() as session:
        before = measurements.between(session, slo, start=START, end=START + DAY)
    (tmp_path / "log/a.parquet").unlink()
    compacted(project, now)
    aggregate(project, [TODAY], now, recompute=True)

    report = measure(project, slo, [TODAY], now, recompute=True)

    assert report.windows == 24
    with project.store.read() as session:
        found = measurements.between(session, slo, start=START, end=START + DAY)
    assert [(row.window_end, row.value) for row in found] == [(row.window_end, row.value) for row in before]


def test_a_rolled_up_day_is_rebuilt_from_its_log(tmp_path: Path, open_at: OpenProject) -> None:
    project = open_at(tmp_path, extra=SHORT)
    fill(project, tmp_path)
    before = facts(project)
    compacted(project, START + 16.5 * DAY)

    aggregate(project, [TODAY], START + 16.5 * DAY, recompute=True)

    assert facts(project) == before


def test_every_day_of_every_age_is_looked_at(tmp_path: Path, open_at: OpenProject) -> None:
    project = open_at(tmp_path, extra=SHORT)
    write(tmp_path / "log/a.parquet", events([START + n * DAY + h * HOUR for n in range(3) for h in (1, 2)]))
    for day in days_from(START, 3):
        aggregate(project, [day], START + 3 * DAY)
    for n in range(3):
        write(tmp_path / f"log/{n}.parquet", events([START + n * DAY + 3 * HOUR]))
    aggregate(project, days_from(START, 3), START + 3 * DAY)

    assert compacted(project, START + 5 * DAY + 3 * HOUR) == (1, 2)
    assert [of_day(project, day)[0].totals_us for day in days_from(START, 3)] == [PANE_US, PANE_US, MINUTE_US]
