"""Nothing that was counted is lost with its file, what comes later enters, and nothing enters twice."""

import gzip
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calslo_dagster.pipeline.aggregate_snapshots import DaySnapshot
from calslo_dagster.pipeline.compact_snapshots import compact_snapshots
from calslo_dagster.pipeline.find_stale_days import Late, find_stale_days
from calslo_dagster.pipeline.project import Project
from calslo_dagster.slo.windows import DAY
from calslo_dagster.store.partials import KEPT, Kind
from calslo_dagster_tests.logs import (
    HOUR,
    LATER,
    MINUTE,
    START,
    aggregate,
    events,
    facts,
    labels,
    of_day,
    project_at,
    snapshots,
    write,
)
from calslo_dagster_tests.pipeline.conftest import OpenProject

TODAY = START.date()
OPEN = START + 6 * HOUR
MORNING = START + DAY + 3 * HOUR
WHEN = pytest.mark.parametrize("now", [OPEN, LATER], ids=["while the day lasts", "once it is over"])


def log(tmp_path: Path, name: str, *hours: float, count: int = 1, ids: str | None = "", **columns: object) -> Path:
    """Write a file with so many events at the beginning of each of these hours, a minute apart."""
    times = [START + hour * HOUR + n * MINUTE for hour in hours for n in range(count)]
    prefix = name if ids == "" else ids
    named = [prefix and f"{prefix}-{at:%H%M}" for at in times]
    return write(tmp_path / "log" / name, events(times, prediction_id=named, **columns))


def counted(project: Project, now: datetime = LATER, *, recompute: bool = False) -> int:
    return day_of(project, now, recompute=recompute).count("events")


def day_of(project: Project, now: datetime = LATER, *, recompute: bool = False) -> DaySnapshot:
    return aggregate(project, [TODAY], now, recompute=recompute).days[0]


def batches(project: Project) -> set[str]:
    return {partial.batch for partial in of_day(project, TODAY) if partial.kind is Kind.EVENT}


def settles(project: Project, now: datetime = LATER) -> bool:
    """Whether nothing is left to do for the day."""
    stale = [one.day for late in Late for one in find_stale_days(project, late, now=max(now, MORNING))]
    return TODAY not in stale and aggregate(project, [TODAY], now).written == 0


@WHEN
@pytest.mark.parametrize("hour", [0, 0.5, 20])
def test_late_events_enter_a_day_of_which_a_file_is_gone(
    project: Project, tmp_path: Path, now: datetime, hour: float
) -> None:
    first = log(tmp_path, "a.parquet", 0, count=10)
    log(tmp_path, "b.parquet", 1, count=5)
    assert counted(project, now) == 15
    first.unlink()
    log(tmp_path, "z.parquet", hour, count=20)

    assert counted(project, now) == 35
    assert settles(project, now)
    assert counted(project, now, recompute=True) == 35


@WHEN
def test_the_facts_are_those_of_a_log_that_was_never_rotated(
    tmp_path: Path, open_at: OpenProject, now: datetime
) -> None:
    found = []
    for name in ("whole", "rotated"):
        project = open_at(tmp_path / name)
        for i in range(3):
            path = log(tmp_path / name, f"{i}.parquet", 0, i, 3, count=7, score=i / 3, latency_us=900.0 + i)
            aggregate(project, [TODAY], now)
            if name == "rotated":
                path.unlink()
        found.append(facts(project))

    assert found[0] == found[1]


@WHEN
def test_a_file_that_grows_beside_a_lost_one_is_counted_once(project: Project, tmp_path: Path, now: datetime) -> None:
    first = log(tmp_path, "a.parquet", 0, count=10)
    counted(project, now)
    first.unlink()

    for size in (1, 5, 30):
        log(tmp_path, "b.parquet", 0, 1, count=size)

        assert counted(project, now) == 10 + 2 * size


def test_files_that_go_one_after_the_other_all_stay_counted(project: Project, tmp_path: Path) -> None:
    for turn in range(4):
        path = log(tmp_path, f"{turn}.parquet", 0, turn + 1, count=3)

        assert counted(project, OPEN) == (turn + 1) * 6
        path.unlink()

    assert counted(project) == counted(project, recompute=True) == 24
    assert settles(project)


def test_late_copies_of_events_that_wait_for_a_label_are_duplicates(project: Project, tmp_path: Path) -> None:
    log(tmp_path, "a.parquet", 0, 1, count=5, ids="x").unlink()
    log(tmp_path, "a.parquet", 0, 1, count=5, ids="x")
    counted(project)
    (tmp_path / "log/a.parquet").unlink()
    log(tmp_path, "b.parquet", 0, 1, count=8, ids="x")

    found = day_of(project)

    assert (found.count("events"), found.count("duplicates"), found.count("rows")) == (16, 10, 26)


def test_rows_that_cannot_be_told_from_what_is_kept_are_reported(project: Project, tmp_path: Path) -> None:
    """The file was counted together with the one that is gone, so what it holds now is partly counted already."""
    first = log(tmp_path, "a.parquet", 0, count=10)
    kept = first.read_bytes()
    log(tmp_path, "b.parquet", 0, 1, count=5)
    counted(project)
    first.unlink()
    log(tmp_path, "b.parquet", 0, 1, count=8)
    log(tmp_path, "c.parquet", 0, count=2)

    report = aggregate(project, [TODAY])

    assert (report.days[0].count("events"), report.days[0].count("uncounted")) == (15 + 8 + 2, 8)
    assert report.uncounted == (
        f"serving: 8 rows of {TODAY} are not counted, because their files changed after others, which they were "
        f'counted together with, were removed; put those back and run "calslo backfill --from {TODAY} --to {TODAY}"',
    )
    assert settles(project)

    first.write_bytes(kept)
    report = aggregate(project, [TODAY])
    assert (report.days[0].count("events"), report.uncounted, batches(project)) == (28, (), {""})


def test_settings_that_read_a_lost_file_otherwise_leave_its_day_as_it_is(tmp_path: Path, open_at: OpenProject) -> None:
    path = log(tmp_path, "a.parquet", 0, 1, count=3)
    write(tmp_path / "labels/1.parquet", labels(["a.parquet-0000"], at=OPEN, of=[START]))
    assert counted(open_at(tmp_path)) == 6
    path.unlink()

    project = open_at(tmp_path, extra="slices: {columns: [country]}\nlatency_limit_us: 2000\n")

    assert counted(project) == 6
    assert settles(project)


def test_a_file_that_comes_back_is_counted_once(project: Project, tmp_path: Path) -> None:
    first = log(tmp_path, "a.parquet", 0, count=10)
    kept = first.read_bytes()
    counted(project)
    first.unlink()
    log(tmp_path, "z.parquet", 0, 1, count=20)
    assert counted(project) == 50

    first.write_bytes(kept)

    assert counted(project) == 50
    assert batches(project) == {""}
    assert settles(project)


@pytest.mark.parametrize("ids", [None, "x"])
@WHEN
def test_a_copy_of_a_file_counts_once(project: Project, tmp_path: Path, now: datetime, ids: str | None) -> None:
    path = log(tmp_path, "a.parquet", 0, count=10, ids=ids)
    (tmp_path / "log/a_copy.parquet").write_bytes(path.read_bytes())

    report = aggregate(project, [TODAY], now)

    assert report.days[0].count("events") == 10
    assert report.rejected == {"duplicates": 10}
    assert report.copies == (
        'serving, a_copy.parquet: holds the same as "a.parquet", so it is counted once; remove one of them',
    )
    path.unlink()
    assert counted(project, now) == 10
    (tmp_path / "log/a_copy.parquet").unlink()
    assert counted(project, now) == 10
    assert settles(project, now)


def lines(rows: Sequence[int], ids: bool) -> bytes:
    """Return a log of JSON lines, with an event in each of these minutes."""
    made = []
    for minute in rows:
        name = f', "prediction_id": "p{minute}"' if ids else ""
        made.append(f'{{"event_time": "{START + minute * MINUTE:%Y-%m-%dT%H:%M:%SZ}", "score": 0.5{name}}}\n')
    return "".join(made).encode()


IDS = pytest.mark.parametrize("ids", [True, False], ids=["with ids", "without ids"])


@IDS
@WHEN
def test_logs_that_move_up_by_one_number_stay_counted(
    project: Project, tmp_path: Path, now: datetime, ids: bool
) -> None:
    """And the oldest of them is removed in time, while the newest grows between two looks."""
    folder = tmp_path / "log"
    for turn in range(6):
        for old in (2, 1, 0):
            path = folder / f"app.jsonl{f'.{old}' if old else ''}"
            if path.exists():
                path.rename(folder / f"app.jsonl.{old + 1}")
        (folder / "app.jsonl.3").unlink(missing_ok=True)
        for size in (3, 6, 10):
            (folder / "app.jsonl").write_bytes(lines(range(turn * 10, turn * 10 + size), ids))

            assert counted(project, now) == turn * 10 + size
    assert settles(project, now)


@IDS
@WHEN
@pytest.mark.parametrize("way", ["renamed", "copied and cut", "moved away", "cut"])
def test_a_log_that_is_rotated_out_of_sight_stays_counted(
    *, tmp_path: Path, open_at: OpenProject, now: datetime, ids: bool, way: str
) -> None:
    project = open_at(tmp_path, (SETTINGS_OF_ONE_FILE))
    app = tmp_path / "log/app.jsonl"
    app.write_bytes(lines(range(50), ids))
    assert counted(project, now) == 50
    if way == "renamed":
        app.rename(tmp_path / "log/app.jsonl.1")
    elif way == "copied and cut":
        (tmp_path / "log/app.jsonl.1").write_bytes(app.read_bytes())
    elif way == "moved away":
        app.rename(tmp_path / "app.jsonl")
    if way in ("copied and cut", "cut"):
        app.write_bytes(b"")
        assert counted(project, now) == 50

    for size in (1, 30, 70):
        app.write_bytes(lines(range(50, 50 + size), ids))

        assert counted(project, now) == 50 + size
    assert settles(project, now)


SETTINGS_OF_ONE_FILE = """\
home: state
history_start: 2026-01-01
sources:
  - {name: serving, model: intent, paths: [log/app.jsonl]}
"""


@IDS
def test_a_log_whose_times_overlap_with_the_rotated_one_beside_it_is_another_one(
    tmp_path: Path, open_at: OpenProject, ids: bool
) -> None:
    project = open_at(tmp_path, SETTINGS_OF_ONE_FILE)
    app = tmp_path / "log/app.jsonl"
    app.write_bytes(lines([0, 1, 3], ids))
    counted(project)
    app.write_bytes(lines([0, 1, 3, 5], ids))
    app.rename(tmp_path / "log/app.jsonl-20260307")
    app.write_bytes(lines([2, 4], ids))

    assert counted(project) == 5


def test_a_corrected_log_takes_the_place_of_what_it_was(tmp_path: Path, open_at: OpenProject) -> None:
    project = open_at(tmp_path, SETTINGS_OF_ONE_FILE)
    app = tmp_path / "log/app.jsonl"
    app.write_bytes(lines([0, 1, 3], ids=False))
    (tmp_path / "log/app.jsonl.bak").write_bytes(app.read_bytes())
    counted(project)
    app.write_bytes(lines([1, 3], ids=False))

    assert counted(project) == 2


@IDS
@WHEN
def test_a_log_that_is_packed_once_it_is_rotated_is_the_same_log(
    project: Project, tmp_path: Path, now: datetime, ids: bool
) -> None:
    app = tmp_path / "log/app.jsonl"
    app.write_bytes(lines(range(10), ids))
    counted(project, now)
    app.with_name("app.jsonl.1.gz").write_bytes(gzip.compress(lines(range(12), ids)))
    app.write_bytes(lines(range(20, 25), ids))

    assert counted(project, now) == 17
    assert aggregate(project, [TODAY], now).gone == ()
    app.with_name("app.jsonl.1.gz").rename(app.with_name("older.jsonl.gz"))
    assert counted(project, now) == 17


@IDS
def test_a_renamed_log_that_grew_is_the_same_log_beside_a_lost_one(project: Project, tmp_path: Path, ids: bool) -> None:
    """What it holds beyond what was counted cannot be told from it, so it is reported."""
    folder = tmp_path / "log"
    (folder / "other.jsonl").write_bytes(lines(range(30, 40), ids))
    (folder / "app.jsonl").write_bytes(lines(range(10), ids))
    counted(project)
    (folder / "other.jsonl").unlink()
    (folder / "app.jsonl").unlink()
    (folder / "app-1.jsonl").write_bytes(lines(range(12), ids))

    found = day_of(project)

    assert (found.count("events"), found.count("uncounted")) == (20, 12)


def test_what_is_kept_survives_compaction(project: Project, tmp_path: Path) -> None:
    for name, hours in (("a.parquet", (0, 1)), ("b.parquet", (1, 2))):
        log(tmp_path, name, *hours, count=4)
        counted(project, OPEN)
    (tmp_path / "log/a.parquet").unlink()
    log(tmp_path, "c.parquet", 0, 2, count=3)
    assert counted(project, OPEN) == 22
    before = facts(project)

    assert compact_snapshots(project, now=MORNING)["days_compacted"] == 1
    assert {(p.batch, p.span_end_us - p.span_start_us) for p in of_day(project, TODAY)} == {
        ("", DAY // timedelta(microseconds=1)),
        (KEPT, DAY // timedelta(microseconds=1)),
    }
    assert facts(project) == before
    assert settles(project, MORNING)
    assert compact_snapshots(project, now=MORNING)["days_compacted"] == 0
    log(tmp_path, "d.parquet", 1, count=2)
    assert counted(project) == 24


def test_late_events_enter_a_day_that_was_rolled_up_after_its_log_was_gone(
    tmp_path: Path, open_at: OpenProject
) -> None:
    project = open_at(tmp_path, extra="retention: {totals: 3d, panes: 15d, hours: 30d}\nlabel_horizon: 2d\n")
    path = log(tmp_path, "a.parquet", 0, 5, count=4)
    counted(project, OPEN)
    path.unlink()
    for turn, age in enumerate((4, 16, 31), start=1):
        now = START + age * DAY
        log(tmp_path, f"late{turn}.parquet", 5, count=turn)
        compact_snapshots(project, now=now)

        assert counted(project, now) == 8 + turn * (turn + 1) // 2
        (tmp_path / f"log/late{turn}.parquet").unlink()
        assert counted(project, now, recompute=True) == 8 + turn * (turn + 1) // 2
    compact_snapshots(project, now=START + 32 * DAY)
    assert counted(project, START + 32 * DAY) == 14


@WHEN
def test_labels_reach_events_that_are_kept_and_those_that_came_later(
    project: Project, tmp_path: Path, now: datetime
) -> None:
    path = log(tmp_path, "a.parquet", 0, count=3, ids="a")
    write(tmp_path / "labels/1.parquet", labels(["a-0000"], at=OPEN, of=[START]))
    counted(project, now)
    path.unlink()
    log(tmp_path, "b.parquet", 0, count=3, ids="b")
    write(tmp_path / "labels/2.parquet", labels(["a-0001", "b-0001"], at=OPEN, of=[START + MINUTE] * 2))

    found = day_of(project, now)

    assert (found.count("labels"), snapshots(project, TODAY)["*"].labeled) == (3, 3)
    assert settles(project, now)


def test_labels_of_a_rotated_feed_stay_beside_those_of_its_successor(tmp_path: Path, open_at: OpenProject) -> None:
    text = SETTINGS_OF_ONE_FILE.replace("log/app.jsonl]", "log/], labels: {paths: [labels/feed.jsonl]}")
    project = open_at(tmp_path, text)
    log(tmp_path, "a.parquet", 0, count=3, ids="a")
    feed = tmp_path / "labels/feed.jsonl"
    for turn in range(3):
        at = START + turn * MINUTE
        feed.write_text(f'{{"prediction_id": "a-{at:%H%M}", "label": 1, "event_time": "{at:%Y-%m-%dT%H:%M:%SZ}"}}\n')
        for _ in range(2):
            counted(project)

            assert snapshots(project, TODAY)["*"].labeled == turn + 1


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["add", "remove", "rename", "copy"]), st.integers(0, 5), st.integers(0, 3)),
        max_size=8,
    ),
    ids=st.booleans(),
    is_over=st.booleans(),
)
def test_whatever_happens_to_files_every_event_is_counted_once(
    tmp_path_factory: pytest.TempPathFactory, *, steps: list[tuple[str, int, int]], ids: bool, is_over: bool
) -> None:
    folder = tmp_path_factory.mktemp("files")
    project, now = project_at(folder), LATER if is_over else OPEN
    there, names, total = list[Path](), count(), 0

    for number, (step, which, hour) in enumerate(steps):
        path = there[which % len(there)] if there else None
        name = f"{next(names)}.jsonl"
        if step == "add" or path is None:
            minutes = [hour * 60 + number, (hour + 1) * 60 + number]
            (folder / "log" / name).write_bytes(lines(minutes, ids))
            there.append(folder / "log" / name)
            total += 2
        elif step == "remove":
            there.remove(path)
            path.unlink()
        elif step == "rename":
            there[there.index(path)] = path.rename(folder / "log" / name)
        else:
            (folder / "log" / name).write_bytes(path.read_bytes())
            there.append(folder / "log" / name)

        assert counted(project, now) == total
    project.store.close()
