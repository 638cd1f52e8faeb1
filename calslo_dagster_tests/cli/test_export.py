"""`calslo export` and `calslo report` write any view in any format."""

import json
from pathlib import Path

import pytest

from calslo_dagster_tests.cli.running import run
from calslo_dagster_tests.logs import START, project_at
from calslo_dagster_tests.pipeline.courses import hours


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a project with a few measured hours, which is the current one."""
    project = project_at(tmp_path)
    with project.store:
        hours(project, "mmbb")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_view_is_written_to_a_file_named_by_it(folder: Path) -> None:
    done = run("export", "slo", "--slo", "score_range", "--format", "pdf")

    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr.startswith("wrote calslo-slo-score-range.pdf, ")
    assert (folder / "calslo-slo-score-range.pdf").read_bytes().startswith(b"%PDF")


def test_standard_output_takes_it_too(folder: Path) -> None:
    done = run("export", "overview", "--slo", "score_range", "--out", "-")

    found = json.loads(done.stdout)
    [table] = found["sections"][-1]["tables"]
    assert [(row["slo"], row["slice"], row["value"]) for row in table["rows"]] == [("score_range", "*", 0.5)]
    assert found["filters"] == {"slo": "score_range"}


def test_a_table_of_several_is_chosen_by_name(folder: Path) -> None:
    done = run("export", "slo", "--slo", "score_range", "--format", "csv", "--table", "evaluations", "--out", "-")
    assert done.stdout.splitlines()[0].startswith("window_end,verdict,value,events")

    wrong = run("export", "slo", "--slo", "score_range", "--format", "csv", "--table", "bins", "--out", "-")
    assert (wrong.exit_code, "there are windows" in wrong.stderr) == (2, True)


def test_a_report_is_of_the_last_week_unless_told(folder: Path) -> None:
    done = run("report", "--week", "2026-W10")

    assert done.exit_code == 0
    assert done.stdout.startswith("# Calibration report, 2026-W10\n")
    assert "| score_range | " in done.stdout
    assert run("report", "--format", "prometheus").stdout.startswith("# HELP calslo_")


def test_two_periods_and_a_period_that_is_none_are_refused(folder: Path) -> None:
    both = run("report", "--week", "2026-W10", "--month", "2026-03")
    assert (both.exit_code, "write one of them" in both.stderr) == (2, True)
    none = run("report", "--month", "2026-13")
    assert (none.exit_code, "does not exist" in none.stderr) == (2, True)


def test_a_folder_that_is_not_there_is_said(folder: Path) -> None:
    done = run("export", "alerts", "--out", str(folder / "nowhere" / "a.json"))

    assert done.exit_code != 0
    assert "nowhere" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_first_hour_of_the_log_is_there(folder: Path) -> None:
    done = run("export", "slo", "--slo", "score_range", "--format", "csv", "--days", "400", "--out", "-")

    assert f"{START:%Y-%m-%d}T01:00:00Z,meeting,0.0" in done.stdout
