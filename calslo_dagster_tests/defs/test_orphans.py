"""A command that is killed leaves a run behind, which the next command and the minute schedule end."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg
import pytest
import yaml

from calslo_dagster.defs.build import build_defs
from calslo_dagster.defs.jobs import HISTORY_JOB
from calslo_dagster.defs.launch import Days, History, instance, run_history
from calslo_dagster.defs.orphans import HOST, LOCK, PID, fail_orphans, lifeline
from calslo_dagster.defs.resources import LazyProject
from calslo_dagster.settings import load_settings
from calslo_dagster_tests.cli.running import CALSLO, clean_environ

SETTINGS = {"home": "home", "history_start": "2026-03-01", "demo": {"end": "2026-03-16", "events_per_day": 2_000}}
FIRST, LAST = "2026-03-02", "2026-03-08"
PATIENCE_SECONDS = 120
NOBODY = 65_534


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LazyProject]:
    """Yield a project on the demo's log, with a Dagster instance of its own."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    sources = {"sources": [{"name": "demo", "kind": "demo"}]}
    (tmp_path / "calslo.yaml").write_text(yaml.safe_dump(SETTINGS | sources), encoding="utf-8")
    lazy = LazyProject(load_settings(tmp_path / "calslo.yaml", {}), now=lambda: datetime(2026, 3, 9, 7, tzinfo=UTC))
    yield lazy
    lazy.open().store.close()


@pytest.fixture
def found(project: LazyProject) -> Iterator[dg.DagsterInstance]:
    """Yield the instance that the command line uses."""
    with instance(project.settings.home) as opened:
        yield opened


@contextmanager
def backfill(project: LazyProject) -> "Iterator[subprocess.Popen[bytes]]":
    """Start `calslo backfill` as a process of its own; at the end it is gone."""
    arguments = ["backfill", "--from", FIRST, "--to", LAST, "--config", str(project.settings.file)]
    process = subprocess.Popen([sys.executable, "-c", CALSLO, *arguments], env=clean_environ())
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def started(found: dg.DagsterInstance) -> dg.DagsterRun:
    """Return the run that has begun, waiting for it."""
    last = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < last:
        if runs := found.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
            return runs[0]
        time.sleep(0.1)
    pytest.fail(f"no run began within {PATIENCE_SECONDS} s")


def status(found: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterRunStatus:
    known = found.get_run_by_id(run.run_id)
    assert known is not None
    return known.status


def kill(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_a_run_is_failed_once_its_process_was_killed_and_not_before(
    project: LazyProject, found: dg.DagsterInstance
) -> None:
    with backfill(project) as process:
        run = started(found)
        assert (run.job_name, run.tags[PID]) == (HISTORY_JOB, str(process.pid))

        assert fail_orphans(found) == 0
        assert status(found, run) is dg.DagsterRunStatus.STARTED
        kill(process)

        assert fail_orphans(found) == 1
    assert status(found, run) is dg.DagsterRunStatus.FAILURE
    assert fail_orphans(found) == 0
    assert not Path(run.tags[LOCK]).exists()


def test_the_minute_schedule_ends_what_a_killed_command_left(project: LazyProject, found: dg.DagsterInstance) -> None:
    defs = build_defs(project.settings, project=project)
    with backfill(project) as process:
        run = started(found)
        kill(process)

    at = datetime.now(UTC).replace(second=0, microsecond=0)
    with dg.build_schedule_context(
        instance=found, scheduled_execution_time=at, repository_def=defs.get_repository_def()
    ) as context:
        ticked = defs.resolve_schedule_def("every_minute").evaluate_tick(context)

    assert ticked.run_requests
    assert status(found, run) is dg.DagsterRunStatus.FAILURE


def test_the_next_command_ends_what_a_killed_one_left(project: LazyProject, found: dg.DagsterInstance) -> None:
    with backfill(project) as process:
        run = started(found)
        kill(process)
    day = datetime(2026, 3, 2, tzinfo=UTC).date()

    run_history(project, History(Days(day, day)))

    assert status(found, run) is dg.DagsterRunStatus.FAILURE
    assert not list((project.settings.home / "tmp").glob("run-*.lock"))


@contextmanager
def as_nobody() -> Iterator[None]:
    """Be another user than root, who may open every file; whoever is not root already cannot."""
    was = os.geteuid()
    if was == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(was)


def test_a_run_of_another_user_is_left_alone_while_its_lock_may_be_held(tmp_path: Path) -> None:
    @dg.job
    def nothing() -> None:
        """Do nothing."""

    with TemporaryDirectory() as folder, dg.DagsterInstance.ephemeral() as found, lifeline(tmp_path) as tags:
        Path(folder).chmod(0o755)
        hidden = Path(folder, "hidden")
        hidden.mkdir(0)
        Path(folder, "theirs.lock").touch(0)
        locks = (Path(folder, "theirs.lock"), hidden / "theirs.lock", Path(folder, "gone.lock"))
        runs = [found.create_run_for_job(nothing, tags=tags | {LOCK: str(lock)}) for lock in locks]
        with as_nobody():
            failed = fail_orphans(found)

        assert failed == 1
        assert [status(found, run) for run in runs] == [
            dg.DagsterRunStatus.NOT_STARTED,
            dg.DagsterRunStatus.NOT_STARTED,
            dg.DagsterRunStatus.FAILURE,
        ]


def test_a_run_of_another_host_is_left_alone(tmp_path: Path) -> None:
    @dg.job
    def nothing() -> None:
        """Do nothing."""

    with dg.DagsterInstance.ephemeral() as found, lifeline(tmp_path) as tags:
        gone = tags | {LOCK: str(tmp_path / "gone.lock")}
        elsewhere = found.create_run_for_job(nothing, tags=gone | {HOST: "another"})
        here = found.create_run_for_job(nothing, tags=gone)

        assert fail_orphans(found) == 1
        assert status(found, elsewhere) is dg.DagsterRunStatus.NOT_STARTED
        assert status(found, here) is dg.DagsterRunStatus.FAILURE
