"""`calslo tokens` shows a secret once, and lists what was given out."""

import json
from pathlib import Path

from calslo_dagster.cli.tokens import SCOPES
from calslo_dagster.store.api_tokens import Scope
from calslo_dagster_tests.cli.running import run
from calslo_dagster_tests.logs import project_at


def test_the_scopes_of_the_command_are_those_of_the_store() -> None:
    assert tuple(Scope) == SCOPES


def test_a_token_is_made_listed_and_revoked(tmp_path: Path) -> None:
    project_at(tmp_path).store.close()
    config = ("--config", tmp_path / "calslo.yaml")

    made = run("tokens", "create", "bot", "--scope", "slo:read", "--for", "90d", "--author", "ada", *config)
    assert (made.exit_code, made.stdout.startswith("calslo_")) == (0, True)
    [listed] = json.loads(run("tokens", "list", "--format", "json", *config).stdout)
    assert (listed["name"], listed["scopes"], listed["counts"]) == ("bot", ["slo:read"], True)
    assert made.stdout.strip() not in run("tokens", "list", *config).stdout
    assert "no longer counts" in run("tokens", "revoke", listed["id"], "--author", "ada", *config).stdout
    assert not json.loads(run("tokens", "list", "--format", "json", *config).stdout)[0]["counts"]
    assert run("tokens", "revoke", "nope", "--author", "ada", *config).exit_code == 2
    assert run("tokens", "create", "bot", *config).exit_code == 2
