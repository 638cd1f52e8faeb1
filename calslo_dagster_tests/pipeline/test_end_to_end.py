"""The result depends on the set of events and labels only: not on order, files, repetitions, lateness or crashes."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calslo_dagster.pipeline.compact_snapshots import compact_snapshots
from calslo_dagster.pipeline.find_stale_days import Late, find_stale_days, stale_weeks
from calslo_dagster.pipeline.project import Project
from calslo_dagster_tests.logs import (
    HOUR,
    LATER,
    START,
    Traffic,
    days_from,
    evaluate,
    evaluate_weeks,
    facts,
    in_force,
    project_at,
    tables,
    traffic,
    write,
)
from calslo_dagster_tests.pipeline.conftest import OpenProject

LOG = traffic(hours=60, per_hour=30)
# The day after the log is one of them, because windows that end on it reach back into the log.
DAYS = days_from(START, 4)
MONDAYS = [datetime(2026, 3, 2, tzinfo=START.tzinfo), datetime(2026, 3, 9, tzinfo=START.tzinfo)]
# The second week is over and every label is there.
NOW = LATER

Digest = tuple[str, dict[str, str]]


def digest(project: Project) -> Digest:
    return facts(project), tables(project)


def in_one_go(project: Project, found: Traffic) -> Digest:
    folder = project.settings.home.parent
    write(folder / "log" / "all.parquet", found.log)
    write(folder / "labels" / "all.parquet", found.labels)
    evaluate(project, DAYS, NOW, recompute=True)
    evaluate_weeks(project, MONDAYS, NOW)
    return digest(project)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Digest:
    """Return the digests of the log read at once, on SQLite."""
    project = project_at(tmp_path_factory.mktemp("expected"))
    found = in_one_go(project, LOG)
    project.store.close()
    return found


def shuffled(rows: pa.Table, seed: int) -> pa.Table:
    return rows.take(np.random.default_rng(seed).permutation(rows.num_rows))


def parts(rows: pa.Table, count: int, seed: int) -> list[pa.Table]:
    """Return the rows dealt out at random."""
    place = np.random.default_rng(seed).integers(0, count, rows.num_rows)
    return [rows.filter(pa.array(place == i)) for i in range(count)]


def test_both_databases_hold_the_same(tmp_path: Path, open_at: OpenProject, store_url: str, expected: Digest) -> None:
    assert in_one_go(open_at(tmp_path, store_url=store_url), LOG) == expected


def test_order_files_repetitions_and_direction_change_nothing(
    tmp_path: Path, open_at: OpenProject, expected: Digest
) -> None:
    """Shuffled, split into fifty files, each of them delivered twice more, and run from the last day to the first."""
    project = open_at(tmp_path)
    for i, part in enumerate(parts(shuffled(LOG.log, 1), 50, 2)):
        for copy in range(3):
            write(tmp_path / "log" / f"{copy}" / f"{i:02d}.parquet", shuffled(part, copy))
    write(tmp_path / "labels" / "all.parquet", shuffled(LOG.labels, 3))

    for day in reversed(DAYS):
        evaluate(project, [day], NOW, recompute=True)
    evaluate_weeks(project, MONDAYS, NOW)

    assert digest(project) == expected


def test_labels_that_come_late_in_four_batches_change_nothing(
    tmp_path: Path, open_at: OpenProject, expected: Digest
) -> None:
    """Each batch is noticed by itself, in an order of its own, with the weeks that rest on its days."""
    project = open_at(tmp_path)
    write(tmp_path / "log" / "all.parquet", LOG.log)
    evaluate(project, DAYS, NOW, recompute=True)
    evaluate_weeks(project, MONDAYS, NOW)

    batches = list(enumerate(parts(LOG.labels, 4, 4)))
    random.Random(5).shuffle(batches)
    for i, batch in batches:
        write(tmp_path / "labels" / f"{i}.parquet", batch)
        catch_up(project, Late.LABELS)

    assert find_stale_days(project, Late.LABELS, now=NOW) == []
    assert digest(project) == expected


def catch_up(project: Project, late: Late) -> None:
    """Do what the sensor and its runs do."""
    while stale := find_stale_days(project, late, now=NOW):
        for one in stale:
            evaluate(project, [one.day], NOW)
        weeks = stale_weeks(stale, NOW.date())
        evaluate_weeks(project, [datetime.combine(w.day, datetime.min.time(), START.tzinfo) for w in weeks], NOW)


def test_a_log_followed_while_it_grows_ends_as_one_read_at_once(
    tmp_path: Path, open_at: OpenProject, expected: Digest
) -> None:
    """Events arrive by the hour, labels by half a day; days are compacted in between, and again at the end."""
    project = open_at(tmp_path)
    at, grown = START, START + timedelta(hours=60)
    while at < grown:
        at += 12 * HOUR
        for hour in range(12):
            start = at - (12 - hour) * HOUR
            write(tmp_path / "log" / f"{start:%d-%H}.parquet", between(LOG.log, start, start + HOUR))
        write(tmp_path / "labels" / f"{at:%d-%H}.parquet", between(LOG.labels, at - 12 * HOUR, at, "label_time"))
        evaluate(project, [at.date()], at)
        compact_snapshots(project, now=at)
    rest = between(LOG.labels, grown, NOW, "label_time")
    write(tmp_path / "labels" / "rest.parquet", rest)

    evaluate(project, DAYS, NOW)
    compact_snapshots(project, now=NOW)
    evaluate(project, DAYS, NOW)
    evaluate_weeks(project, MONDAYS, NOW)

    assert digest(project) == expected


def between(rows: pa.Table, start: datetime, end: datetime, column: str = "event_time") -> pa.Table:
    times = rows[column].to_pylist()
    return rows.filter(pa.array([start <= at < end for at in times]))


def test_running_everything_again_changes_nothing(tmp_path: Path, open_at: OpenProject, expected: Digest) -> None:
    project = open_at(tmp_path)
    in_one_go(project, LOG)

    evaluate(project, DAYS, NOW, recompute=True)
    evaluate(project, DAYS[1:2], NOW, recompute=True)

    assert digest(project) == expected


SMALL = traffic(hours=30, per_hour=6)


@given(
    seed=st.integers(0, 2**32 - 1),
    files=st.integers(1, 6),
    batches=st.integers(1, 4),
    days=st.permutations(DAYS[:2]),
)
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_delivery_of_the_same_events_gives_the_same_facts(
    tmp_path_factory: pytest.TempPathFactory,
    *,
    seed: int,
    files: int,
    batches: int,
    days: Sequence[date],
) -> None:
    digests = []
    for number, (count, labelled) in enumerate([(1, 1), (files, batches)]):
        folder = tmp_path_factory.mktemp("delivery")
        project = project_at(folder)
        for i, part in enumerate(parts(shuffled(SMALL.log, seed), count, seed)):
            write(folder / "log" / f"{i}.parquet", part)
        for i, part in enumerate(parts(SMALL.labels, labelled, seed + 1)):
            write(folder / "labels" / f"{i}.parquet", part)
        for day in DAYS[:2] if number == 0 else days:
            evaluate(project, [day], NOW, recompute=True)
        digests.append(digest(project))
        project.store.close()

    assert digests[0] == digests[1]


BACKFILL = """
import sys
from pathlib import Path
from calslo_dagster.defs.launch import Days, History, run_history
from calslo_dagster.defs.resources import LazyProject
from calslo_dagster.settings import load_settings
from calslo_dagster_tests.logs import LATER
from datetime import date
first, last = map(date.fromisoformat, sys.argv[2:])
project = LazyProject(load_settings(Path(sys.argv[1])), now=lambda: LATER)
print("started", flush=True)
run_history(project, History(Days(first, last), size=2))
"""
KILLS = 20


@pytest.mark.timeout(900)
def test_a_backfill_killed_twenty_times_ends_as_one_that_was_not(
    tmp_path: Path, open_at: OpenProject, expected: Digest
) -> None:
    """After each kill the store holds whole days only, every file it names is there, and it can be read."""
    chance, seen = random.Random(6), set[str]()
    project, took = open_at(tmp_path / "killed"), seconds_undisturbed(open_at(tmp_path / "undisturbed"))
    folder = deliver(project)

    # Each comes later than the one before, so that most meet work that is done for the first time.
    for part in range(KILLS):
        kill_backfill(folder, after=took * ((part + chance.random()) / KILLS) ** 2)
        assert_whole(project)
        seen.add(facts(project))
    finish(backfill(folder))

    evaluate_weeks(project, MONDAYS, NOW)
    assert digest(project) == expected
    assert len(seen) > 1


def deliver(project: Project) -> Path:
    """Write the whole log where the project looks for it; return the folder."""
    folder = project.settings.home.parent
    write(folder / "log" / "all.parquet", LOG.log)
    write(folder / "labels" / "all.parquet", LOG.labels)
    return folder


def seconds_undisturbed(project: Project) -> float:
    """Return how long a backfill takes here and now, so that the kills fall into all of it on any machine."""
    process = backfill(deliver(project))
    started = time.monotonic()
    finish(process)
    return time.monotonic() - started


def backfill(folder: Path) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}
    command = [sys.executable, "-c", BACKFILL, str(folder / "calslo.yaml"), str(DAYS[0]), str(DAYS[-1])]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, env=environment, text=True, start_new_session=True, **pipes)  # type: ignore[call-overload]  # the pipes are plain
    assert process.stdout.readline() == "started\n"
    return process  # type: ignore[no-any-return]  # of the overload above


def kill_backfill(folder: Path, *, after: float) -> None:
    process = backfill(folder)
    time.sleep(after)
    os.killpg(process.pid, signal.SIGKILL)
    finish(process)


def finish(process: subprocess.Popen[str]) -> None:
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def assert_whole(project: Project) -> None:
    """Every file in force exists, and a day has the labels that go with its events or nothing at all."""
    listed = in_force(project)
    for partial in listed:
        assert not partial.path or (project.partials / partial.path / "totals.parquet").exists()
    for partial in listed:
        if partial.kind == "event" and partial.rows["pending"]:
            span = (partial.span_start_us, partial.span_end_us)
            assert [p for p in listed if p.kind == "label" and (p.span_start_us, p.span_end_us) == span]
