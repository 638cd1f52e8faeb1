"""Pruning Dagster's own history leaves neither rows nor files of the runs that go, and all of those that stay."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from calslo_dagster.defs.launch import instance
from calslo_dagster.defs.run_history import delete_old_runs

SOON = timedelta(hours=1)


@dg.op
def talk() -> None:
    """Say something that is captured."""
    print("hello")  # noqa: T201 - what is captured is what this is about


@dg.job(executor_def=dg.in_process_executor)
def talking() -> None:
    """Run the op."""
    talk()


@dg.asset(partitions_def=dg.StaticPartitionsDefinition(["a", "b"]))
def parts() -> None:
    """Have two partitions."""


@dg.asset(check_specs=[dg.AssetCheckSpec("fine", asset="checked")])
def checked() -> dg.MaterializeResult:  # type: ignore[type-arg]  # Dagster refuses one beside checks
    """Have a check."""
    return dg.MaterializeResult(check_results=[dg.AssetCheckResult(check_name="fine", passed=True)])


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder for an instance of its own."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    return tmp_path


def files_of(home: Path, run_id: str) -> list[Path]:
    return [path for path in home.rglob("*") if run_id in str(path)]


def test_a_run_goes_with_every_file_of_it(home: Path) -> None:
    with instance(home) as found:
        run_id = talking.execute_in_process(instance=found).run_id
        assert {path.suffix for path in files_of(home, run_id)} >= {".db", ".out", ".err"}

        assert delete_old_runs(found, older_than=datetime.now(UTC) + SOON) == 1

        assert files_of(home, run_id) == []
        assert found.get_run_by_id(run_id) is None


def test_a_young_run_stays(home: Path) -> None:
    with instance(home) as found:
        talking.execute_in_process(instance=found)

        assert delete_old_runs(found, older_than=datetime.now(UTC) - SOON) == 0


def test_a_run_that_works_stays(home: Path) -> None:
    with instance(home) as found:
        run = found.create_run_for_job(talking, status=dg.DagsterRunStatus.STARTED)

        assert delete_old_runs(found, older_than=datetime.now(UTC) + SOON) == 0
        assert found.get_run_by_id(run.run_id) is not None


def test_the_latest_materialization_of_every_partition_stays(home: Path) -> None:
    with instance(home) as found:
        runs = [dg.materialize([parts], instance=found, partition_key=key).run_id for key in ("a", "b", "b")]

        assert delete_old_runs(found, older_than=datetime.now(UTC) + SOON) == 1
        assert {run.run_id for run in found.get_runs()} == {runs[0], runs[2]}
        assert found.get_materialized_partitions(dg.AssetKey("parts")) == {"a", "b"}
        assert delete_old_runs(found, older_than=datetime.now(UTC) + SOON) == 0


def test_the_latest_materialization_without_partitions_stays(home: Path) -> None:
    with instance(home) as found:
        runs = [dg.materialize([checked], instance=found).run_id for _ in range(2)]

        assert delete_old_runs(found, older_than=datetime.now(UTC) + SOON) == 1
        assert [run.run_id for run in found.get_runs()] == [runs[-1]]
