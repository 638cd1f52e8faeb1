"""`calslo slos` lists what is measured and explains each promise."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from calslo_dagster.cli.slos import slos
from calslo_dagster.errors import SettingsError
from calslo_dagster.slo.metrics import METRICS
from calslo_dagster.slo.registry import builtin
from calslo_dagster_tests.settings.files import FULL, written


def run(*arguments: str) -> Result:
    return CliRunner(env={"CALSLO_CONFIG": ""}).invoke(slos, arguments)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave folders that may hold a calslo.yaml."""
    monkeypatch.chdir(tmp_path)


def test_all_are_listed_by_default() -> None:
    done = run()

    assert done.exit_code == 0
    assert all(name in done.stdout for name in builtin().names)


def test_the_list_is_there_for_machines_too() -> None:
    rows = json.loads(run("list", "--format", "json", "--config", str(FULL)).stdout)
    by_name = {row["name"]: row for row in rows}

    assert "merged_bins" not in by_name
    assert by_name["slope_range"]["fail"] == [0.7, 1.4]
    assert by_name["slope_range"]["origin"] == "settings"
    assert by_name["ece_bound"]["is_computed"]
    assert by_name["clamp_activation"]["window"] == "6h"


def test_one_is_explained_with_limits_window_needs_and_runbook() -> None:
    slo = builtin().find("ece_bound")

    shown = run("show", "ece_bound").stdout

    plain = " ".join(shown.split())
    assert " ".join(slo.description.split()) in plain
    assert " ".join(slo.runbook.split()) in plain
    assert "limit <= 0.015" in plain
    assert "window 24h, measured by the minute" in plain
    assert "needs 200 events with label, score" in plain
    assert "mode threshold" in plain
    assert "c = 0.7:" in plain


def test_what_the_settings_chose_is_shown() -> None:
    shown = run("show", "ece_bound", "--config", str(FULL)).stdout
    details = json.loads(run("show", "ece_bound", "--format", "json", "--config", str(FULL)).stdout)

    assert "c = 0.8:" in shown
    assert "for language=ja* of search-*: fail 0.05, warn 0.04" in shown
    assert "owner       risk-ml" in shown
    assert {p["name"]: p["value"] for p in details["parameters"]}["floor"] == 0.02


def test_evidence_mode_is_told_with_its_share_of_false_alarms_and_what_it_ignores(tmp_path: Path) -> None:
    file = str(written(tmp_path, "slos: {mode: evidence}\nevidence: {false_breaches: 3}\n"))

    bound, merged = (
        " ".join(run("show", name, "--config", file).stdout.split()) for name in ("ece_bound", "merged_bins")
    )
    details = json.loads(run("show", "ece_bound", "--format", "json", "--config", file).stdout)

    # Five of the seven share the budget; the other two count facts.
    assert "mode evidence: at most 0.6 false breaches in 30 days, over all slices; does not go by bins, c," in bound
    assert "mode evidence: judged as by threshold, for it counts facts" in merged
    assert details["false_breaches"] == pytest.approx(0.6)
    assert "min_events" in details["ignored"]


def test_what_an_slo_does_not_say_leaves_no_gap(tmp_path: Path) -> None:
    metric = "{name: few, title: Few, metric: n, operator: '<=', fail: 9}"
    (tmp_path / "calslo.yaml").write_text(f"slos: {{define: [{metric}]}}\n")

    shown = run("show", "few", "--config", str(tmp_path / "calslo.yaml")).stdout

    assert shown.startswith("few: Few\n\n")
    assert "\n\n\n" not in shown


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    done = run("show", "ecebound")

    assert isinstance(done.exception, SettingsError)
    assert "did you mean 'ece_bound'?" in str(done.exception)


def test_a_broken_file_lists_nothing(tmp_path: Path) -> None:
    done = run("list", "--config", str(written(tmp_path, "slos: {ece_bond: {}}")))

    assert isinstance(done.exception, SettingsError)
    assert done.stdout == ""


def test_metrics_for_definitions_are_listed() -> None:
    assert [line.split()[0] for line in run("metrics").stdout.splitlines()] == list(METRICS)


@pytest.mark.parametrize("command", ["list", "show", "metrics"])
def test_help_has_an_example(command: str) -> None:
    assert f"Example: calslo slos {command}" in run(command, "--help").stdout
