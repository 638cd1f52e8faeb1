"""`calslo` starts fast, and however it ends says so in its exit code: 1 is a breach and nothing else."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from calslo_dagster import __version__
from calslo_dagster.cli.main import COMMANDS, LazyGroup, cli
from calslo_dagster_tests.cli.logs import sample
from calslo_dagster_tests.cli.running import CALSLO, clean_environ, run, script_path, spawn

HEAVY = ("dagster", "duckdb", "pandas", "numpy", "pyarrow", "sqlalchemy", "pydantic", "rich", "scipy")
LOADED = f"""
import sys
try:
    {CALSLO}
finally:
    print(*(name for name in {HEAVY} if name in sys.modules), file=sys.stderr)
"""


def commands() -> list[tuple[str, ...]]:
    """Return the words of every command that exists."""

    def below(command: click.Command, words: tuple[str, ...]) -> list[tuple[str, ...]]:
        if not isinstance(command, click.Group):
            return [words]
        context = click.Context(command)
        found = [command.get_command(context, name) for name in command.list_commands(context)]
        return [words, *(path for c in found if c is not None for path in below(c, (*words, c.name or "")))]

    return below(cli, ())


@pytest.mark.parametrize("arguments", [(), ("--help",), ("--version",), *((name, "--help") for name in COMMANDS)])
def test_help_loads_no_engine_and_no_orchestrator(arguments: tuple[str, ...]) -> None:
    done = spawn(*arguments, code=LOADED)

    assert done.stderr.splitlines()[-1] == ""


def test_help_is_there_in_a_second() -> None:
    command = [sys.executable, "-c", CALSLO, "--help"]
    # The best of three: what else the machine does is not the command's fault.
    took = []
    for _ in range(3):
        began = time.monotonic()
        subprocess.run(command, capture_output=True, check=True)
        took.append(time.monotonic() - began)

    assert min(took) < 1


def test_evaluating_loads_no_orchestrator_and_writes_nothing(tmp_path: Path) -> None:
    log = sample().write(tmp_path / "log.parquet")

    done = spawn("evaluate", log, "--slo", "ece_bound", code=LOADED)

    assert done.returncode == 0, done.stderr
    loaded = done.stderr.split()
    assert "duckdb" in loaded
    assert not {"dagster", "sqlalchemy"} & set(loaded)
    assert list(tmp_path.iterdir()) == [log]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_tells_what_it_does_with_an_example(words: tuple[str, ...]) -> None:
    shown = run(*words, "--help")

    assert shown.exit_code == 0
    assert shown.stderr == ""
    assert re.search(rf"^ *(Try it: |Example: )?.*calslo {' '.join(words)}", shown.stdout, re.MULTILINE)


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_option_is_explained(words: tuple[str, ...]) -> None:
    command: click.Command = cli
    for word in words:
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), word)
        assert found is not None
        command = found

    options = [option for option in command.params if isinstance(option, click.Option)]

    assert [option.name for option in options if not option.help] == []


def test_the_installed_script_is_the_command() -> None:
    done = subprocess.run([script_path(), "--version"], capture_output=True, text=True, check=True)

    assert done.stdout == f"calslo, version {__version__}\n"
    assert done.stderr == ""


def test_a_mistyped_command_is_answered_with_the_nearest() -> None:
    done = run("evalute", "log.parquet")

    assert done.exit_code == 2
    assert done.stdout == ""
    assert "no command is named 'evalute'; did you mean 'evaluate'?" in done.stderr


@pytest.mark.parametrize("arguments", [("nonsense",), ("evaluate",), ("evaluate", "x", "--nonsense"), ("backfill",)])
def test_bad_usage_is_2_on_standard_error(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)

    assert done.exit_code == 2
    assert done.stdout == ""
    assert "Usage: calslo" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [("config", "show"), ("slos",), ("db", "upgrade"), ("backfill", "--from", "2026-03-01", "--to", "2026-03-01")],
)
def test_settings_that_do_not_exist_are_2_without_a_traceback(arguments: tuple[str, ...]) -> None:
    done = run(*arguments, CALSLO_CONFIG="absent.yaml")

    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr == "calslo: absent.yaml: does not exist (named by CALSLO_CONFIG)\n"


def test_a_folder_that_cannot_be_made_is_2_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    done = run("db", "upgrade", CALSLO_HOME=str(tmp_path / "file" / "home"))

    assert done.exit_code == 2
    assert done.stderr.startswith("calslo: ")
    assert "Traceback" not in done.stderr


class Unsound(LazyGroup):
    """A group of one command that holds a mistake."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
        """Return the command, whatever its name."""
        return click.Command(cmd_name, callback=lambda: int("one"))


def test_a_mistake_of_ours_is_no_breach() -> None:
    """Python ends with 1 on an exception, which a script that calls `calslo evaluate` would take for a breach."""
    done = CliRunner().invoke(Unsound("calslo"), ["demo"])

    assert done.exit_code == 70
    assert "ValueError" in done.stderr
    assert done.stderr.endswith("calslo: this is a mistake of calslo itself\n")


def test_an_interrupt_is_no_breach(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(60)\n")
    (tmp_path / "calslo.yaml").write_text("slos: {modules: [slow.py]}\n")

    done = spawn("evaluate", tmp_path)

    assert done.returncode == 128 + signal.SIGINT
    assert "Traceback" not in done.stderr


def test_a_reader_that_goes_away_ends_the_command_in_silence(tmp_path: Path) -> None:
    log = sample().write(tmp_path / "log.parquet")
    command = [sys.executable, "-c", CALSLO, "evaluate", str(log), "--format", "json", "--window", "15m"]
    ours, theirs = os.pipe()
    os.close(ours)

    done = subprocess.run(command, stdout=theirs, stderr=subprocess.PIPE, env=clean_environ(), check=False)
    os.close(theirs)

    assert done.stderr == b""
    assert done.returncode == 128 + signal.SIGPIPE


def test_output_survives_a_terminal_that_knows_no_unicode(tmp_path: Path) -> None:
    log = sample(500).write(tmp_path / "log.parquet", country=["\N{SNOWMAN}"] * 500)

    done = spawn("evaluate", log, "--slice", "country", "--format", "json", PYTHONIOENCODING="ascii")
    tables = [
        spawn("evaluate", log, "--slice", "country", "--format", form, PYTHONIOENCODING="ascii")
        for form in ("table", "csv")
    ]

    assert "country=\N{SNOWMAN}" in json.loads(done.stdout)["metrics"]
    assert [(table.returncode, table.stderr) for table in tables] == [(3, ""), (3, "")]
