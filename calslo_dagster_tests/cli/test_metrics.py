"""`calslo metrics` prints what Prometheus is told, and the rules for the SLOs of the settings, or tells Datadog."""

import socket
from pathlib import Path

import pytest
import yaml

from calslo_dagster_tests.cli.running import run
from calslo_dagster_tests.exports.tools import promtool
from calslo_dagster_tests.logs import SETTINGS, project_at


@pytest.fixture(autouse=True)
def empty(tmp_path: Path) -> None:
    """Make a project that has measured nothing."""
    with project_at(tmp_path, SETTINGS).store:
        pass


def test_before_the_first_evaluation_every_slo_says_so_and_has_no_value() -> None:
    done = run("metrics")

    assert done.exit_code == 0, done.output
    assert 'calslo_status{model="",slice="*",slo="ece_bound",status="never"} 1.0' in done.stdout
    assert "calslo_sli_value{" not in done.stdout
    assert "calslo_store_up 1.0" in done.stdout
    assert promtool("check", "metrics", given=done.stdout.encode()).returncode == 0


def test_openmetrics_ends_as_it_must() -> None:
    assert run("metrics", "--format", "openmetrics").stdout.endswith("# EOF\n")


def test_the_rules_are_those_of_the_settings(tmp_path: Path) -> None:
    done = run("metrics", "--format", "rules")
    (tmp_path / "own.yaml").write_text(done.stdout)

    names = {rule.get("record") for group in yaml.safe_load(done.stdout)["groups"] for rule in group["rules"]}
    assert "slo:calslo_evaluations_bad:ratio_increase2h" in names, "windows of an hour need a short window of two"
    assert promtool("check", "rules", tmp_path / "own.yaml").returncode == 0


def test_datadog_is_told_where_the_settings_say(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as agent:
        agent.bind(("127.0.0.1", 0))
        agent.settimeout(10)
        port = agent.getsockname()[1]
        (tmp_path / "calslo.yaml").write_text(f"{SETTINGS}datadog: {{agent: '127.0.0.1:{port}'}}\n")
        done = run("metrics", "--send")
        lines = agent.recv(65_536).decode().split("\n")

    assert done.exit_code == 0, done.output
    assert done.stdout.endswith(f"datagrams to the agent at 127.0.0.1:{port}\n")
    assert "calslo.status:1.0|g|#status:never,slo:clamp_activation,slice:all" in lines


def test_without_a_place_for_datadog_the_message_says_what_to_write() -> None:
    done = run("metrics", "--send")

    assert done.exit_code == 2
    assert "write `datadog: {agent: 127.0.0.1:8125}`" in done.stderr
