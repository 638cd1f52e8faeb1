"""The checks of an SLO say how it stands, whatever the run that judges them had to measure."""

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from calslo_dagster.defs.build import build_defs
from calslo_dagster.defs.jobs import HISTORY_JOB, MINUTE_JOB, SUMMARIES_JOB, WEEKLY_JOB
from calslo_dagster.defs.resources import LazyProject
from calslo_dagster.settings import load_settings
from calslo_dagster.slo.windows import DAY
from calslo_dagster_tests.logs import HOUR, MINUTE, SETTINGS, START, events, minutes, write

NOW = START + 6 * HOUR


@pytest.fixture
def found() -> Iterator[dg.DagsterInstance]:
    """Yield an instance in memory."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


class Clocked:
    """A project whose clock a test sets."""

    def __init__(self, folder: Path) -> None:
        (folder / "labels").mkdir()
        (folder / "calslo.yaml").write_text(SETTINGS, encoding="utf-8")
        self.now = NOW
        self.project = LazyProject(load_settings(folder / "calslo.yaml", {}), now=lambda: self.now)

    def run(self, job: str, found: dg.DagsterInstance, day: str | None = None) -> dg.ExecuteInProcessResult:
        """Run the job over the partition."""
        resolved = build_defs(self.project.settings, project=self.project).resolve_job_def(job)
        return resolved.execute_in_process(instance=found, partition_key=day)

    def minute(self, found: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
        """Run the minute of the clock."""
        return self.run(MINUTE_JOB, found, self.now.date().isoformat())


@pytest.fixture
def clocked(tmp_path: Path) -> Iterator[Clocked]:
    """Yield a project with an empty log."""
    made = Clocked(tmp_path)
    yield made
    made.project.open().store.close()


def log(folder: Path, start: datetime, end: datetime, **columns: Any) -> None:
    write(folder / f"log/{start:%d-%H%M}.parquet", events(list(minutes(start, end)), **columns))


def checked(result: dg.ExecuteInProcessResult, slo: str, name: str = "objective") -> dg.AssetCheckEvaluation:
    found = [e for e in result.get_asset_check_evaluations() if (e.asset_key.path[-1], e.check_name) == (slo, name)]
    assert len(found) == 1
    return found[0]


def windows(result: dg.ExecuteInProcessResult, slo: str) -> object:
    [made] = result.asset_materializations_for_node(f"slo__{slo}")
    return made.metadata["windows"].value


def test_a_breach_fails_the_check_also_in_a_run_that_has_nothing_to_measure(
    clocked: Clocked, found: dg.DagsterInstance, tmp_path: Path
) -> None:
    log(tmp_path, START, NOW - HOUR, latency_us=100.0)
    log(tmp_path, NOW - HOUR, NOW, latency_us=5_000.0)

    first, second = clocked.minute(found), clocked.minute(found)

    assert windows(second, "p99_latency") == 0
    for result in (first, second):
        objective = checked(result, "p99_latency")
        assert not objective.passed
        assert objective.severity is dg.AssetCheckSeverity.ERROR
        assert str(objective.description).startswith("breached in *")
    assert checked(second, "score_range").passed


def test_a_breach_that_is_over_passes_in_the_run_that_closes_it(
    clocked: Clocked, found: dg.DagsterInstance, tmp_path: Path
) -> None:
    log(tmp_path, START, NOW, latency_us=5_000.0)
    assert not checked(clocked.minute(found), "p99_latency").passed

    log(tmp_path, NOW, NOW + 5 * HOUR, latency_us=100.0)
    clocked.now = NOW + 5 * HOUR

    objective = checked(clocked.minute(found), "p99_latency")
    assert objective.passed
    assert objective.description == "met in every slice that could be judged"


def test_what_is_unknown_everywhere_does_not_pass_and_says_why(
    clocked: Clocked, found: dg.DagsterInstance, tmp_path: Path
) -> None:
    log(tmp_path, START, NOW)

    minute = clocked.minute(found)
    clocked.now = START + 2 * DAY + 7 * HOUR
    weekly = clocked.run(WEEKLY_JOB, found, "2026-03-02")

    for result, slo in ((minute, "ece_bound"), (weekly, "clamp_alpha")):
        objective = checked(result, slo)
        assert not objective.passed
        assert objective.severity is dg.AssetCheckSeverity.WARN
        assert str(objective.description).startswith("nothing is known of any of ")
        assert int(str(objective.metadata["unknown"].value)) > 0
        assert checked(result, slo, "no_errors").passed


def test_the_summaries_judge_what_the_history_measured(
    clocked: Clocked, found: dg.DagsterInstance, tmp_path: Path
) -> None:
    log(tmp_path, START, NOW, latency_us=5_000.0)

    history = clocked.run(HISTORY_JOB, found, START.date().isoformat())
    summaries = clocked.run(SUMMARIES_JOB, found)

    assert {e.asset_key.path[-1] for e in history.get_asset_check_evaluations()} == {"calibration_snapshots"}
    assert not checked(summaries, "p99_latency").passed
    assert checked(summaries, "score_range").passed
    assert checked(summaries, "weekly_drift").description == "nothing is known: nothing has been measured lately"


def test_half_the_traffic_without_labels_fails_the_checks_of_the_next_minute(
    clocked: Clocked, found: dg.DagsterInstance, tmp_path: Path
) -> None:
    log(tmp_path, START, START + DAY, label=1)
    clocked.now = START + DAY + 8 * HOUR
    write(tmp_path / "log/thin.parquet", events(list(minutes(START + DAY, clocked.now, 2 * MINUTE))))

    result = clocked.minute(found)

    volume = checked(result, "calibration_snapshots", "volume")
    assert (volume.passed, volume.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "0.50 times what is usual" in str(volume.description)
    assert not checked(result, "calibration_snapshots", "label_lag").passed
    assert checked(result, "calibration_snapshots", "coverage").passed


def test_an_indicator_that_fails_is_told(clocked: Clocked, found: dg.DagsterInstance, tmp_path: Path) -> None:
    broken = (
        "from calslo_dagster.slo.model import SLO, Objective\n"
        "def measured(evidence):\n    raise RuntimeError('the wire is cut')\n"
        "slo = SLO(name='broken', title='Broken', sli=measured, objective=Objective(at_most=1.0))\n"
    )
    (tmp_path / "broken.py").write_text(broken, encoding="utf-8")
    text = SETTINGS.replace("slos:\n", "slos:\n  modules: [broken.py]\n")
    (tmp_path / "calslo.yaml").write_text(text, encoding="utf-8")
    clocked.project = LazyProject(load_settings(tmp_path / "calslo.yaml", {}), now=lambda: NOW)
    log(tmp_path, START, NOW)

    first, again = clocked.minute(found), clocked.minute(found)

    assert windows(again, "broken") == 0
    for result in (first, again):
        error = checked(result, "broken", "no_errors")
        assert not error.passed
        assert "the wire is cut" in str(error.description)
        assert not checked(result, "broken").passed


def test_the_latest_rows_and_a_day_of_the_course_are_shown_by_a_run_that_has_nothing_to_measure(
    clocked: Clocked, found: dg.DagsterInstance, tmp_path: Path
) -> None:
    log(tmp_path, START, NOW, latency_us=100.0)
    clocked.minute(found)

    [shown] = clocked.minute(found).asset_materializations_for_node("slo__p99_latency")

    assert re.search(r"\| p99_latency \| \\\*.* \| meeting \|", str(shown.metadata["worst_first"].value))
    assert len(str(shown.metadata["course_of_all_traffic"].value)) == (NOW - START) / HOUR
