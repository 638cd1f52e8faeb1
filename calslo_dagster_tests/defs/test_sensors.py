"""Sensors ask for what arrived late until it is caught up with, and watch over the schedules."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from calslo_dagster.defs.build import build_defs
from calslo_dagster.defs.jobs import CATCH_UP_JOB, INCREMENTAL, WEEKLY_JOB, WRITES
from calslo_dagster.defs.resources import LazyProject
from calslo_dagster.pipeline.advance_alerts import advance_alerts
from calslo_dagster.pipeline.watch_ourselves import note_failed_run
from calslo_dagster.settings import load_settings
from calslo_dagster.slo.windows import DAY
from calslo_dagster.store import measurements, troubles
from calslo_dagster_tests.logs import HOUR, MINUTE, SETTINGS, START, aggregate, events, labels, measure, write

NOW = START + 2 * DAY + 5 * HOUR
TIMES = [START + n * DAY + h * HOUR for n in range(3) for h in range(1, 4)]
IDS = [f"p{n}" for n in range(len(TIMES))]


@pytest.fixture
def project(tmp_path: Path) -> Iterator[LazyProject]:
    """Yield a project with a log of three days, the last of which goes on."""
    (tmp_path / "calslo.yaml").write_text(SETTINGS, encoding="utf-8")
    (tmp_path / "labels").mkdir()
    write(tmp_path / "log/a.parquet", events(TIMES, prediction_id=IDS))
    lazy = LazyProject(load_settings(tmp_path / "calslo.yaml", {}), now=lambda: NOW)
    yield lazy
    lazy.open().store.close()


@pytest.fixture
def found() -> Iterator[dg.DagsterInstance]:
    """Yield an instance in memory."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def look(project: LazyProject, name: str, found: dg.DagsterInstance) -> Any:
    defs = build_defs(project.settings, project=project)
    with dg.build_sensor_context(
        instance=found, resources={"project": project}, repository_def=defs.get_repository_def()
    ) as context:
        return defs.resolve_sensor_def(name).evaluate_tick(context)


def catch_up(project: LazyProject, found: dg.DagsterInstance, requests: list[dg.RunRequest]) -> None:
    defs = build_defs(project.settings, project=project)
    for request in requests:
        job = defs.resolve_job_def(str(request.job_name))
        assert job.execute_in_process(instance=found, partition_key=request.partition_key).success


def test_days_are_requested_until_they_are_caught_up_with(project: LazyProject, found: dg.DagsterInstance) -> None:
    requested = look(project, "new_files", found).run_requests or []
    assert [(r.job_name, r.partition_key) for r in requested] == [
        (CATCH_UP_JOB, "2026-03-07"),
        (CATCH_UP_JOB, "2026-03-08"),
        (WEEKLY_JOB, "2026-03-02"),
    ]

    catch_up(project, found, requested)

    after = look(project, "new_files", found)
    assert (after.run_requests, after.skip_message) == ([], "no day waits for late events")
    with project.open().store.read() as session:
        ends = {row.window_end for row in measurements.between(session, "score_range", start=START, end=NOW)}
    assert ends == {START + n * HOUR for n in range(2, 49)}


def test_late_labels_are_joined_by_the_runs_that_are_requested(
    project: LazyProject, found: dg.DagsterInstance, tmp_path: Path
) -> None:
    opened = project.open()
    aggregate(opened, [TIMES[0].date(), TIMES[3].date()], NOW)
    measure(opened, "ece_bound", [TIMES[0].date(), TIMES[3].date()], NOW)
    assert look(project, "late_labels", found).skip_message == "no day waits for late labels"
    write(tmp_path / "labels/a.parquet", labels(IDS[3:6], at=NOW, of=TIMES[3:6]))

    requested = look(project, "late_labels", found).run_requests or []
    catch_up(project, found, requested)

    assert [r.partition_key for r in requested] == ["2026-03-08", "2026-03-02"]
    assert look(project, "late_labels", found).skip_message == "no day waits for late labels"
    with opened.store.read() as session:
        rows = measurements.between(session, "ece_bound", start=START, end=NOW, slice_name="*")
    assert max(row.labeled for row in rows) == 3


def test_a_day_whose_run_was_cut_short_is_requested_again_a_few_times(
    project: LazyProject, found: dg.DagsterInstance
) -> None:
    """Its snapshots may be up to date already, so that nothing else would tell that its measurements are not."""
    catch_up(project, found, look(project, "new_files", found).run_requests or [])
    job = build_defs(project.settings, project=project).resolve_job_def(CATCH_UP_JOB)
    keys = []
    for _ in range(5):
        run = found.create_run_for_job(job, tags={"dagster/partition": "2026-03-08"})
        found.report_run_failed(run)
        requested = look(project, "new_files", found).run_requests or []
        keys += [(r.run_key == f"again:{run.run_id}", r.partition_key) for r in requested]

    assert keys == [(True, "2026-03-08")] * 3


def test_runs_that_catch_up_take_turns_and_compute_only_what_changed(project: LazyProject) -> None:
    job = build_defs(project.settings).resolve_job_def(CATCH_UP_JOB)

    assert {**job.tags, **WRITES, INCREMENTAL: "true"} == dict(job.tags)


def test_the_watchdog_tells_a_standstill_once(project: LazyProject, found: dg.DagsterInstance) -> None:
    def at(now: datetime) -> str:
        clock = LazyProject(project.settings, now=lambda: now, _opened=project.open())
        return str(look(clock, "watchdog", found).skip_message).partition("; no heartbeat")[0]

    assert at(NOW) == "nothing has been evaluated yet"
    measure(project.open(), "score_range", [NOW.date()], NOW)
    assert at(NOW + MINUTE) == "last evaluation 60 s ago"
    for n in (5, 9, 11, 12):
        said = at(NOW + n * MINUTE)
    assert said.startswith("No SLO has been evaluated since 2026-03-09 05:00 UTC")

    with project.open().store.read() as session:
        assert [trouble.component for trouble in troubles.open_ones(session)] == ["evaluation"]


def test_what_was_ordered_goes_out_although_the_sensor_can_decide_nothing(
    project: LazyProject, found: dg.DagsterInstance
) -> None:
    opened = project.open()
    note_failed_run(opened, run_id="r1", job="minute_job", reason="disk full", now=NOW)
    advance_alerts(opened, now=NOW)
    with opened.store.engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA query_only = OFF")
        connection.exec_driver_sql("ALTER TABLE breaches RENAME TO elsewhere")

    with pytest.raises(Exception, match="no such table: breaches"):
        look(project, "alerts", found)

    assert "disk full" in opened.settings.alert_log.read_text(encoding="utf-8")
