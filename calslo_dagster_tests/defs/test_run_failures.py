"""Failed runs are found in the run history, whether or not the sensor that is called for each could write."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from calslo_dagster.defs.build import build_defs
from calslo_dagster.defs.jobs import CATCH_UP_JOB, MAINTENANCE_JOB
from calslo_dagster.defs.resources import LazyProject
from calslo_dagster.defs.run_failures import BY_HAND
from calslo_dagster.pipeline.watch_ourselves import failed_jobs, note_failed_run
from calslo_dagster.settings import load_settings
from calslo_dagster.slo.windows import DAY
from calslo_dagster.store import troubles
from calslo_dagster.store.troubles import Trouble
from calslo_dagster_tests.logs import SETTINGS


@pytest.fixture
def project(tmp_path: Path) -> Iterator[LazyProject]:
    """Yield a project on the clock of Dagster, which nobody can set."""
    (tmp_path / "calslo.yaml").write_text(SETTINGS, encoding="utf-8")
    lazy = LazyProject(load_settings(tmp_path / "calslo.yaml", {}))
    yield lazy
    lazy.open().store.close()


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """Yield an instance in memory."""
    with dg.DagsterInstance.ephemeral() as found:
        yield found


def fail(
    project: LazyProject, instance: dg.DagsterInstance, job: str, tags: Mapping[str, str] | None = None
) -> dg.DagsterRun:
    """Let a run of the job fail."""
    run = instance.create_run_for_job(build_defs(project.settings).resolve_job_def(job), tags=dict(tags or {}))
    instance.report_run_failed(run, "disk full")
    return run


def watch(project: LazyProject, instance: dg.DagsterInstance) -> tuple[Trouble, ...]:
    """Let the watchdog look; return what it knows of jobs."""
    defs = build_defs(project.settings, project=project)
    with dg.build_sensor_context(
        instance=instance, resources={"project": project}, repository_def=defs.get_repository_def()
    ) as context:
        defs.resolve_sensor_def("watchdog").evaluate_tick(context)
    with project.open().store.read() as session:
        return tuple(one for one in troubles.open_ones(session) if one.component.startswith("job:"))


def test_a_failure_that_no_sensor_could_write_is_found_until_a_run_succeeds(
    project: LazyProject, instance: dg.DagsterInstance
) -> None:
    before = datetime.now(UTC)
    run = fail(project, instance, MAINTENANCE_JOB)

    [trouble] = watch(project, instance)
    again = watch(project, instance)

    assert (trouble.component, trouble.source_id) == ("job:maintenance_job", run.run_id)
    assert trouble.reason == f"Run {run.run_id} of maintenance_job failed: disk full"
    assert before <= trouble.since <= datetime.now(UTC)
    assert again == (trouble,)
    job = build_defs(project.settings, project=project).resolve_job_def(MAINTENANCE_JOB)
    assert job.execute_in_process(instance=instance, resources={"project": project}).success
    assert watch(project, instance) == ()


def test_a_job_that_fails_again_after_it_worked_is_not_taken_for_well(
    project: LazyProject, instance: dg.DagsterInstance
) -> None:
    fail(project, instance, MAINTENANCE_JOB)
    watch(project, instance)
    job = build_defs(project.settings, project=project).resolve_job_def(MAINTENANCE_JOB)
    assert job.execute_in_process(instance=instance, resources={"project": project}).success
    last = fail(project, instance, MAINTENANCE_JOB)

    assert [one.source_id for one in watch(project, instance)] == [last.run_id]


@pytest.mark.parametrize(
    ("tags", "is_told"),
    [
        ({}, False),
        ({"dagster/partition": "2026-03-07"}, True),
        ({f"dagster/asset_partition_range_{end}": "2026-03-07" for end in ("start", "end")}, True),
    ],
)
def test_what_is_materialized_by_hand_counts_if_it_is_of_days_that_schedules_measure(
    project: LazyProject, instance: dg.DagsterInstance, tags: dict[str, str], is_told: bool
) -> None:
    fail(project, instance, BY_HAND, tags)

    assert [one.component for one in watch(project, instance)] == (["job:__ASSET_JOB"] if is_told else [])


def test_what_failed_long_ago_is_past_unless_it_is_known_to_go_on(
    project: LazyProject, instance: dg.DagsterInstance
) -> None:
    now = datetime.now(UTC)
    later = LazyProject(project.settings, now=lambda: now + 3 * DAY, _opened=project.open())
    run = fail(project, instance, CATCH_UP_JOB)
    assert watch(later, instance) == ()

    note_failed_run(project.open(), run_id="r0", job=CATCH_UP_JOB, reason="killed", now=now)
    assert [one.source_id for one in watch(later, instance)] == [run.run_id]
    assert failed_jobs(project.open()) == {CATCH_UP_JOB: now}
