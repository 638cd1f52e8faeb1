"""`calslo config` tells every mistake at once, shows no secret, and prints the schema."""

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from calslo_dagster.cli.config import config
from calslo_dagster_tests.settings.files import FULL, written
from calslo_dagster_tests.settings.test_load import TOLD_AT_ONCE


def run(*arguments: str, **environ: str) -> Result:
    return CliRunner(env={"CALSLO_CONFIG": "", "CALSLO_HOME": "", **environ}).invoke(config, arguments)


def test_mistakes_of_the_file_and_of_its_promises_are_told_together(tmp_path: Path) -> None:
    file = written(tmp_path, "lateness: 10\nlatness: 5m\nslices: {columns: [version]}\nslos:\n  ece_bound: {fail: 2}\n")

    done = run("check", "--config", str(file))

    assert done.exit_code == 2
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert [line.removeprefix("calslo.yaml:").split(":")[0] for line in lines[:-1]] == ["1", "2", "3", "5"]
    assert lines[-1] == "calslo: 4 mistakes in the settings"


def test_an_unknown_key_hides_no_mistake_of_a_promise(tmp_path: Path) -> None:
    done = run("check", "--config", str(written(tmp_path, TOLD_AT_ONCE)))

    assert done.stderr.count("calslo.yaml:") == 3
    assert "slos.ece_bound.min_event: unknown key; did you mean min_events?" in done.stderr
    assert "slos.clamp_activation.fail: the fail limit of at most 1.5 can never be missed" in done.stderr
    assert "slos.define[0].metric: no metric is named 'briar'; did you mean 'brier'?" in done.stderr
    assert done.stderr.endswith("calslo: 3 mistakes in the settings\n")


def test_a_manifest_that_does_not_exist_is_a_mistake(tmp_path: Path) -> None:
    done = run("check", "--config", str(written(tmp_path, "\nmanifests: [gone.json]\n")))

    assert done.exit_code == 2
    assert f"calslo.yaml:2: manifests[0]: {tmp_path / 'gone.json'}: there is no such file; write its" in done.stderr


def test_constants_that_promise_nothing_are_warned_of(tmp_path: Path) -> None:
    constants = {"v7": 0.42, "v8": None, "v9": 5.0}
    fitted = {"manifests": [{"version": v, "model": "m", "c_hat": c} for v, c in constants.items()]}
    (tmp_path / "fit.json").write_text(json.dumps(fitted))
    text = "manifests: [fit.json]\nslos: {ece_bound: {parameters: {c: 0.5}}}\n"

    done = run("check", "--config", str(written(tmp_path, text)))

    assert done.exit_code == 0
    warned = [line for line in done.stdout.splitlines() if line.startswith("warning: ")]
    assert "calslo.yaml:2: slos.ece_bound.parameters.c: 0.5 is so small" in warned[0]
    assert "in more than 3 of 100 windows" in warned[0]
    assert "calslo.yaml:1: manifests[0]: " in warned[1]
    assert "version v7: c_hat 0.42 is so small" in warned[1]
    assert "in more than 24 of 100 windows" in warned[1]
    assert "version v9: c_hat 5 is so large that with fewer than 12,000 labelled events" in warned[2]
    assert len(warned) == 3


def test_the_store_is_shown_where_it_lies(tmp_path: Path) -> None:
    done = run("check", "--config", str(written(tmp_path, "home: state\n")))

    assert f"store     sqlite:///{tmp_path / 'state' / 'calslo.db'}" in done.stdout


def test_a_module_that_does_not_load_is_a_mistake(tmp_path: Path) -> None:
    done = run("check", "--config", str(written(tmp_path, "slos: {modules: [absent.py]}")))

    assert done.exit_code == 2
    assert "slos.modules[0]: module absent.py: there is no file" in done.stderr


def test_a_file_that_does_not_exist_is_a_mistake(tmp_path: Path) -> None:
    done = run("check", "--config", str(tmp_path / "absent.yaml"))

    assert done.exit_code == 2
    assert "absent.yaml: does not exist" in done.stderr


def test_sound_settings_are_summed_up_and_missing_secrets_are_notes() -> None:
    done = run("check", "--config", str(FULL), CALSLO_DB="postgresql://u:hunter2@db/x")

    assert done.exit_code == 0, done.stderr
    assert "store     env:CALSLO_DB" in done.stdout
    assert "sources   ranker (files), ads (sql), play (demo)" in done.stdout
    assert "note: " in done.stdout
    assert "file:label-db" in done.stdout
    assert done.stdout.endswith("no mistakes\n")
    assert "hunter2" not in done.output


def test_keys_that_evidence_mode_does_not_go_by_are_noted(tmp_path: Path) -> None:
    text = """
slos:
  mode: evidence
  ece_bound:
    warn: 0.01
    fail: 0.02
    window: 1h
    parameters: {c: 1.5, tolerated_odds: 0.2}
    overrides: [{slices: language=en, fail: 0.05, warn: 0.04}]
  clamp_activation: {min_events: 10, warn: 0.05}
  weekly_drift: {min_events: 9000}
  define: [{name: often, metric: clamp_rate, operator: "<=", fail: 0.2, min_events: 50, mode: threshold}]
"""

    done = run("check", "--config", str(written(tmp_path, text)))

    assert done.exit_code == 0, done.stderr
    noted = [
        line.split("calslo.yaml:")[1].split(": evidence mode ")[0]
        for line in done.stdout.splitlines()
        if ": evidence mode " in line
    ]
    assert noted == [
        "5: slos.ece_bound.warn",
        "8: slos.ece_bound.parameters.c",
        "9: slos.ece_bound.overrides[0].warn",
        "7: slos.ece_bound.window",
        "10: slos.clamp_activation.min_events",
    ]


def test_no_file_is_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    done = run("check")

    assert done.exit_code == 0
    assert "no file, all defaults" in done.stdout
    assert "demo (demo)" in done.stdout


CHAT = "channels: {chat: {kind: slack, webhook_url: 'env:HOOK'}}\n"
PAGER = "channels: {a: {kind: slack, webhook_url: 'env:H'}, b: {kind: pagerduty, routing_key: 'env:K'}}\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "channels: no channel leaves this machine: alerts are lines of "),
        (CHAT, "alerting: the fall-back is a log file on this machine, "),
        (
            CHAT + "alerting: {fallback: [log, chat]}\n",
            "alerting.fallback: the fall-back is chat, the only channel: when a",
        ),
        (PAGER, "alerting: the fall-back is a log file on this machine, "),
        (PAGER + "alerting: {fallback: [b]}\n", ""),
    ],
)
def test_a_fall_back_that_nobody_would_see_is_noted(tmp_path: Path, text: str, says: str) -> None:
    done = run("check", "--config", str(written(tmp_path, text)), HOOK="https://x.test", H="https://x.test", K="k" * 32)

    assert done.exit_code == 0
    notes = [line for line in done.stdout.splitlines() if line.startswith("note: ")]
    assert [says in note for note in notes] == ([True] if says else [])


def test_a_template_that_cannot_be_read_is_warned_of(tmp_path: Path) -> None:
    text = "alerting:\n  templates:\n    all: {title: '{{ default.title'}\n"

    done = run("check", "--config", str(written(tmp_path, text)))

    [warned] = [line for line in done.stdout.splitlines() if line.startswith("warning: ")]
    assert "calslo.yaml:3: alerting.templates.all.title: template all.title, line 1: " in warned
    assert warned.endswith("; our own words are sent instead")


def test_show_prints_yaml_without_secrets() -> None:
    done = run("show", "--config", str(FULL), CALSLO_DB="postgresql://u:hunter2@db/x")

    assert done.exit_code == 0
    assert yaml.safe_load(done.stdout)["store_url"] == "env:CALSLO_DB"
    assert "hunter2" not in done.stdout


def test_schema_prints_json() -> None:
    done = run("schema")

    assert json.loads(done.stdout)["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("command", ["check", "show", "schema"])
def test_help_has_an_example(command: str) -> None:
    assert f"Example: calslo config {command}" in run(command, "--help").stdout
