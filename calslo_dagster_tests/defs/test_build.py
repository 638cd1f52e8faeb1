"""Everything that Dagster sees: assets with their lineage, checks and words, jobs, schedules and sensors."""

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.instance.config import PoolGranularity

from calslo_dagster.defs.build import build_defs
from calslo_dagster.defs.jobs import (
    DAILY_JOB,
    HISTORY_JOB,
    MAINTENANCE_JOB,
    MINUTE_JOB,
    SUMMARIES_JOB,
    WEEKLY_JOB,
    WRITERS,
)
from calslo_dagster.defs.launch import Days, History, Reached, instance, instance_config, prepare, run_history
from calslo_dagster.defs.resources import LazyProject
from calslo_dagster.defs.run_history import delete_old_runs
from calslo_dagster.settings import Settings, load_settings
from calslo_dagster.store import breaches, measurements, troubles
from calslo_dagster_tests.logs import START, project_at, traffic, write

ROOT = Path(__file__).parents[2]
BUILT_IN = {
    *("ece_bound", "clamp_activation", "merged_bins", "p99_latency"),
    *("weekly_drift", "score_range", "clamp_alpha"),
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    file = tmp_path / "calslo.yaml"
    demo = {"end": "2026-03-16", "events_per_day": 3_000}
    sources = [{"name": "demo", "kind": "demo"}]
    file.write_text(
        yaml.safe_dump({"home": ".", "history_start": "2026-02-23", "demo": demo, "sources": sources}),
        encoding="utf-8",
    )
    return load_settings(file)


@pytest.fixture
def project(settings: Settings) -> LazyProject:
    return LazyProject(settings, now=lambda: datetime(2026, 3, 3, 12, 1, tzinfo=UTC))


def specs(defs: dg.Definitions) -> dict[str, dg.AssetSpec]:
    return {"/".join(spec.key.path): spec for spec in defs.resolve_all_asset_specs()}


def test_the_definitions_are_loadable(settings: Settings) -> None:
    dg.Definitions.validate_loadable(build_defs(settings))


def test_every_slo_has_an_asset_behind_the_snapshots(settings: Settings) -> None:
    found = specs(build_defs(settings))

    assert {name.removeprefix("slo/") for name in found if name.startswith("slo/")} == BUILT_IN
    for name in BUILT_IN:
        spec = found[f"slo/{name}"]
        assert [dep.asset_key.path for dep in spec.deps] == [["calibration_snapshots"]]
        assert spec.group_name == "slo"
        assert spec.metadata["runbook"]


def test_every_asset_explains_itself(settings: Settings) -> None:
    for name, spec in specs(build_defs(settings)).items():
        assert spec.description, name
        assert spec.owners, name
        assert spec.group_name in {"snapshots", "slo", "drift", "reliability", "reports"}, name
        assert spec.kinds, name


def test_minute_slos_have_days_and_weekly_ones_iso_weeks(settings: Settings) -> None:
    found = specs(build_defs(settings))

    days, weeks = found["slo/ece_bound"].partitions_def, found["slo/weekly_drift"].partitions_def

    assert isinstance(days, dg.DailyPartitionsDefinition)
    assert isinstance(weeks, dg.WeeklyPartitionsDefinition)
    now = datetime(2026, 3, 8, 12, tzinfo=UTC)
    assert days.get_partition_keys(current_time=now)[-1] == "2026-03-08"
    assert weeks.get_partition_keys(current_time=now) == ["2026-02-23"]


def test_a_users_slo_gets_an_asset_of_its_own(tmp_path: Path) -> None:
    entry = {"name": "mean_gap", "title": "Mean gap", "metric": "mean_score", "operator": "<=", "fail": 0.9}
    (tmp_path / "calslo.yaml").write_text(yaml.safe_dump({"slos": {"define": [entry]}}), encoding="utf-8")

    assert "slo/mean_gap" in specs(build_defs(load_settings(tmp_path / "calslo.yaml")))


def test_single_assets_run_in_one_process_and_every_step_that_writes_is_in_the_pool(settings: Settings) -> None:
    defs = build_defs(settings)
    repository = defs.get_repository_def()

    for job in repository.get_all_jobs():
        assert job.executor_def.name == "in_process", job.name
        for node in job.nodes:
            assert isinstance(node.definition, dg.OpDefinition)
            assert node.definition.pool == WRITERS, node.name
    assert repository.has_implicit_global_asset_job_def()


def test_a_run_of_single_assets_counts_as_one_that_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever starts it, here `dagster asset materialize`, the runs that wait in the queue wait for it too."""
    home = tmp_path / "state"
    # Its clock is that of the machine, by which the demo would write a log of months.
    project_at(tmp_path).store.close()
    write(tmp_path / "log" / "day.parquet", traffic(hours=2).log)
    monkeypatch.setenv("DAGSTER_HOME", str(home / "dagster"))
    monkeypatch.setenv("CALSLO_CONFIG", str(tmp_path / "calslo.yaml"))
    prepare(home)
    dagster = Path(sys.executable).with_name("dagster")
    selected = ["--select", "calibration_snapshots", "--partition", f"{START:%Y-%m-%d}"]
    command = [str(dagster), "asset", "materialize", *selected, "-m", "calslo_dagster.definitions"]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    with instance(home) as found:
        [run] = found.get_runs()
        rule = found.get_concurrency_config().pool_config
    assert run.run_op_concurrency is not None
    assert run.run_op_concurrency.all_pools == {WRITERS}
    assert "Executing steps in process" in done.stderr
    assert (rule.pool_granularity, rule.default_pool_limit) == (PoolGranularity.RUN, 1)


def run_minute(project: LazyProject, found: dg.DagsterInstance, day: str) -> dg.ExecuteInProcessResult:
    job = build_defs(project.settings, project=project).resolve_job_def(MINUTE_JOB)
    return job.execute_in_process(instance=found, partition_key=day)


def test_a_minute_leaves_verdicts_numbers_and_checks(project: LazyProject) -> None:
    with dg.instance_for_test() as found:
        result = run_minute(project, found, "2026-03-03")

    assert result.success
    [snapshots] = result.asset_materializations_for_node("calibration_snapshots")
    assert int(str(snapshots.metadata["events"].value)) > 0
    [ece] = result.asset_materializations_for_node("slo__ece_bound")
    assert "| SLO |" in str(ece.metadata["worst_first"].value)
    checked = {(e.asset_key.path[-1], e.check_name): e.passed for e in result.get_asset_check_evaluations()}
    assert checked["calibration_snapshots", "schema"] is True
    assert checked["ece_bound", "no_errors"] is True
    with project.open().store.read() as session:
        assert measurements.last_end(session, "ece_bound") == datetime(2026, 3, 3, 12, 15, tzinfo=UTC)


def test_an_unreadable_log_stops_the_run_before_anything_is_measured_from_it(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "a.csv").write_text("when,p\n2026-03-08T10:00:00Z,0.5\n", encoding="utf-8")
    (tmp_path / "calslo.yaml").write_text(
        yaml.safe_dump({"home": "home", "sources": [{"name": "log", "paths": ["log"]}]}), encoding="utf-8"
    )
    project = LazyProject(load_settings(tmp_path / "calslo.yaml"), now=lambda: datetime(2026, 3, 8, 12, tzinfo=UTC))
    job = build_defs(project.settings, project=project).resolve_job_def(MINUTE_JOB)

    with dg.instance_for_test() as found:
        result = job.execute_in_process(instance=found, partition_key="2026-03-08", raise_on_error=False)

    assert not result.success
    assert "calibration_snapshots" in {e.step_key for e in result.get_step_failure_events()}
    [schema] = [e for e in result.get_asset_check_evaluations() if e.check_name == "schema"]
    assert not schema.passed
    assert "a.csv" in str(schema.description)


def tick(defs: dg.Definitions, name: str, found: dg.DagsterInstance, at: datetime) -> Any:
    schedule = defs.resolve_schedule_def(name)
    repository = defs.get_repository_def()
    with dg.build_schedule_context(instance=found, scheduled_execution_time=at, repository_def=repository) as context:
        return schedule.evaluate_tick(context)


def test_the_minute_schedule_asks_for_today_unless_the_last_minute_still_works(project: LazyProject) -> None:
    defs = build_defs(project.settings, project=project)
    now = datetime.now(UTC).replace(second=0, microsecond=0)

    with dg.instance_for_test() as found:
        [request] = tick(defs, "every_minute", found, now).run_requests or []
        run = found.create_run_for_job(
            defs.resolve_job_def(MINUTE_JOB), tags={"dagster/partition": request.partition_key}
        )
        busy = tick(defs, "every_minute", found, now)

    assert request.partition_key == now.date().isoformat()
    assert not busy.run_requests
    assert run.run_id in str(busy.skip_message)


def test_a_run_that_a_crash_left_behind_does_not_block_the_schedule(project: LazyProject) -> None:
    defs = build_defs(project.settings, project=project)

    with dg.instance_for_test() as found:
        found.create_run_for_job(defs.resolve_job_def(MINUTE_JOB))
        later = tick(defs, "every_minute", found, datetime.now(UTC) + timedelta(minutes=11))

    assert later.run_requests


def test_the_weekly_schedule_asks_for_the_week_that_ended(project: LazyProject) -> None:
    with dg.instance_for_test() as found:
        monday = datetime(2026, 3, 9, 6, tzinfo=UTC)
        [request] = tick(build_defs(project.settings), "every_week", found, monday).run_requests or []

    assert request.partition_key == "2026-03-02"


def test_the_daily_schedule_asks_for_the_trends_of_today(project: LazyProject) -> None:
    defs = build_defs(project.settings, project=project)
    with dg.instance_for_test() as found:
        [request] = tick(defs, "every_day", found, datetime(2026, 3, 3, 3, 40, tzinfo=UTC)).run_requests or []
        job = defs.resolve_job_def(DAILY_JOB)
        result = job.execute_in_process(instance=found, partition_key=request.partition_key)

    assert request.partition_key == "2026-03-03"
    [trends] = result.asset_materializations_for_node("calibration_trends")
    assert str(trends.metadata["worst_first"].value).startswith("| slice | direction |")
    assert "calibration_trends" in str(trends.metadata["heading"].value)


def test_the_monthly_schedule_asks_for_the_month_that_ended(project: LazyProject) -> None:
    defs = build_defs(project.settings)
    with dg.instance_for_test() as found:
        [request] = tick(defs, "every_month", found, datetime(2026, 4, 1, 7, tzinfo=UTC)).run_requests or []

    assert request.partition_key == "2026-03-01"


def test_the_weekly_job_ends_with_a_report_on_disk(project: LazyProject) -> None:
    later = LazyProject(project.settings, now=lambda: datetime(2026, 3, 9, 6, tzinfo=UTC))
    defs = build_defs(project.settings, project=later)
    with dg.instance_for_test() as found:
        job = defs.resolve_job_def(WEEKLY_JOB)
        result = job.execute_in_process(instance=found, partition_key="2026-03-02")

    [written] = result.asset_materializations_for_node("weekly_report")
    files = {name: Path(str(value.value)) for name, value in written.metadata.items() if name.startswith("file_")}
    assert {"file_pdf", "file_html", "file_json"} <= files.keys()
    assert all(path.name.startswith("2026-W10.") and path.stat().st_size > 500 for path in files.values())
    assert "Week 2026-W10" in str(written.metadata["summary"].value)


def test_everything_runs_by_itself_from_the_start(settings: Settings) -> None:
    defs = build_defs(settings)

    for schedule in defs.schedules or []:
        assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    for sensor in defs.sensors or []:
        assert isinstance(sensor, dg.SensorDefinition)
        assert sensor.default_status is dg.DefaultSensorStatus.RUNNING, sensor.name


def look(project: LazyProject, name: str, found: dg.DagsterInstance) -> Any:
    defs = build_defs(project.settings, project=project)
    sensor = defs.resolve_sensor_def(name)
    repository = defs.get_repository_def()
    with dg.build_sensor_context(instance=found, resources={"project": project}, repository_def=repository) as context:
        return sensor.evaluate_tick(context)


def test_late_files_ask_for_their_days_and_the_weeks_that_rest_on_them(settings: Settings) -> None:
    """The demo's past days were never measured, and the last seven of them are caught up with, oldest first."""
    project = LazyProject(settings, now=lambda: datetime(2026, 3, 10, 12, tzinfo=UTC))
    with dg.instance_for_test() as found:
        requested = look(project, "new_files", found).run_requests
        again = look(project, "new_files", found).run_requests

    days = [r.partition_key for r in requested if r.job_name == "catch_up_job"]
    weeks = [r.partition_key for r in requested if r.job_name == WEEKLY_JOB]
    assert days == ["2026-03-03", "2026-03-04", "2026-03-05", "2026-03-06", "2026-03-07", "2026-03-08"]
    assert weeks == ["2026-03-02"]
    assert [r.run_key for r in again] == [r.run_key for r in requested]


def test_breaches_are_announced_once_by_the_sensor(project: LazyProject) -> None:
    opened = project.open()
    with opened.store.write() as session:
        onset = datetime(2026, 3, 3, 10, tzinfo=UTC)
        breaches.replace_since(session, "ece_bound", [open_breach(onset)], since=onset)

    with dg.instance_for_test() as found:
        first, second = look(project, "alerts", found), look(project, "alerts", found)

    assert first.skip_message == "1 messages ordered; 1 sent"
    assert second.skip_message == "0 messages ordered; nothing to send"
    assert len(opened.settings.alert_log.read_text(encoding="utf-8").splitlines()) == 1


def open_breach(onset: datetime) -> breaches.Breach:
    return breaches.Breach(
        id="b1",
        slo="ece_bound",
        slice="*",
        model="",
        onset=onset,
        opened_at=onset + timedelta(minutes=15),
        last_bad_at=onset + timedelta(minutes=15),
        recovered_at=None,
        closed_at=None,
        peak_value=0.05,
        peak_excess=1.0,
        peak_at=onset + timedelta(minutes=15),
        threshold=0.015,
        windows_bad=1,
        windows_met=0,
        windows_unknown=0,
        windows_excluded=0,
        is_provisional=False,
        reason="Calibration error is 0.05; it must be at most 0.015.",
    )


def test_a_failed_run_of_ours_is_an_alert(project: LazyProject) -> None:
    defs = build_defs(project.settings, project=project)

    @dg.op
    def broken() -> None:
        raise RuntimeError("the disk is full")

    @dg.job
    def failing() -> None:
        broken()

    with dg.instance_for_test() as found:
        result = failing.execute_in_process(instance=found, raise_on_error=False)
        context = dg.build_run_status_sensor_context(
            sensor_name="failed_runs",
            dagster_instance=found,
            dagster_run=result.dagster_run,
            dagster_event=result.get_run_failure_event(),
            resources={"project": project},
        ).for_run_failure()
        defs.resolve_sensor_def("failed_runs")(context)

    with project.open().store.read() as session:
        [trouble] = troubles.open_ones(session)
    assert trouble.component == "job:failing"
    assert trouble.reason.startswith(f"Run {result.run_id} of failing failed")


def test_pruning_keeps_the_run_behind_the_latest_materialization_of_each_partition(project: LazyProject) -> None:
    with dg.instance_for_test() as found:
        first = run_minute(project, found, "2026-03-02").run_id
        second = run_minute(project, found, "2026-03-03").run_id
        third = run_minute(project, found, "2026-03-03").run_id
        deleted = delete_old_runs(found, older_than=datetime.now(UTC) + timedelta(hours=1))
        left = {run.run_id for run in found.get_runs()}
        materialized = found.get_materialized_partitions(dg.AssetKey("calibration_snapshots"))

    assert deleted == 1
    assert left == {first, third}
    assert second not in left
    assert materialized == {"2026-03-02", "2026-03-03"}


def test_maintenance_runs_on_a_fresh_home(project: LazyProject) -> None:
    job = build_defs(project.settings, project=project).resolve_job_def(MAINTENANCE_JOB)

    with dg.instance_for_test() as found:
        assert job.execute_in_process(instance=found).success


def test_history_runs_days_then_weeks_then_summaries(project: LazyProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    days = Days(date(2026, 3, 2), date(2026, 3, 4))
    later = LazyProject(project.settings, now=lambda: datetime(2026, 3, 9, 7, tzinfo=UTC))

    run_ids = run_history(later, History(days, size=2))

    with instance(later.settings.home) as found:
        names = [run.job_name for run_id in run_ids if (run := found.get_run_by_id(run_id))]
    assert names == [HISTORY_JOB, HISTORY_JOB, "weekly_history_job", SUMMARIES_JOB]


def test_progress_counts_days_of_snapshots_and_the_other_stages(
    project: LazyProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    told: list[Reached] = []

    run_history(project, History(Days(date(2026, 3, 2), date(2026, 3, 3)), size=2), told.append)

    snapshots = [one.stage for one in told if one.stage.startswith("calibration_snapshots")]
    assert snapshots == ["calibration_snapshots of 2026-03-02", "calibration_snapshots of 2026-03-03"]
    assert {"slo/ece_bound", "calibration_tables", "breaches", "health"} <= {one.stage for one in told}
    assert (told[0].done, {one.total for one in told}) == (0, {told[-1].done})
    assert [one.done for one in told] == sorted(one.done for one in told)


def test_a_range_rests_on_the_weeks_it_touches_and_the_one_compared_with_the_last() -> None:
    days = Days(date(2026, 2, 25), date(2026, 3, 3))

    assert days.ended_weeks(date(2026, 3, 20)) == (date(2026, 2, 23), date(2026, 3, 9))
    assert days.ended_weeks(date(2026, 3, 9)) == (date(2026, 2, 23), date(2026, 3, 2))
    assert days.ended_weeks(date(2026, 2, 28)) is None


def test_the_file_at_the_top_level_is_what_the_command_line_uses() -> None:
    at_top = yaml.safe_load((ROOT / "dagster.yaml").read_text(encoding="utf-8"))

    assert at_top == instance_config(Path(".calslo/dagster"))


def test_the_workspace_names_the_location_as_the_project_file_does() -> None:
    workspace = yaml.safe_load((ROOT / "workspace.yaml").read_text(encoding="utf-8"))

    assert workspace["load_from"][0]["python_module"]["location_name"] == "calslo"
    assert 'code_location_name = "calslo"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
