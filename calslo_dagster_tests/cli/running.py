"""Run `calslo`: in this process where speed counts, in one of its own where the process itself is tested."""

import json
import os
import pty
import subprocess
import sys
import termios
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from click.testing import CliRunner, Result

from calslo_dagster.cli.main import cli

# Variables that would change what the commands do or how they print.
FOREIGN: Final = ("CALSLO_", "DAGSTER_", "FORCE_COLOR", "NO_COLOR", "COLUMNS", "PYTHONWARNINGS")
CALSLO: Final = "from calslo_dagster.cli.main import cli; cli()"


def run(*arguments: object, **environ: str) -> Result:
    """Return what the command does, run in this process."""
    return CliRunner(env=environ).invoke(cli, [str(argument) for argument in arguments])


def measured(*arguments: object, **environ: str) -> dict[str, Any]:
    """Return the JSON that `calslo evaluate` prints, whatever its verdicts."""
    done = run("evaluate", *arguments, "--format", "json", **environ)
    assert done.exit_code in (0, 1, 3), done.output
    body: dict[str, Any] = json.loads(done.stdout)
    return body


def spawn(*arguments: object, code: str = CALSLO, **environ: str) -> "subprocess.CompletedProcess[str]":
    """Return what the command does, run as a process of its own."""
    command = [sys.executable, "-c", code, *(str(argument) for argument in arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=clean_environ() | environ, check=False)


def clean_environ() -> dict[str, str]:
    """Return the environment without what is foreign."""
    return {name: text for name, text in os.environ.items() if not name.startswith(FOREIGN)}


@dataclass(frozen=True, slots=True)
class Shown:
    """What a process wrote to a terminal and to pipes."""

    terminal: str
    stdout: str
    stderr: str


def spawn_on_terminal(*arguments: object, streams: str, code: str = CALSLO, columns: int = 100) -> Shown:
    """Return what the process writes, with the named streams (`stdout`, `stderr`, both, or none) on a terminal."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (40, columns))
    wanted = streams.split()
    process = subprocess.Popen(
        [sys.executable, "-c", code, *(str(argument) for argument in arguments)],
        stdout=theirs if "stdout" in wanted else subprocess.PIPE,
        stderr=theirs if "stderr" in wanted else subprocess.PIPE,
        text=True,
        env=clean_environ() | {"TERM": "xterm-256color"},
    )
    os.close(theirs)
    seen = b""
    # A terminal whose other end is closed reads as an error on Linux, as an end elsewhere.
    while chunk := _read(ours):
        seen += chunk
    stdout, stderr = process.communicate(timeout=60)
    os.close(ours)
    return Shown(seen.decode(), stdout or "", stderr or "")


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65_536)
    except OSError:
        return b""


def only(rows: list[dict[str, Any]], **wanted: object) -> dict[str, Any]:
    """Return the one row that has these values."""
    found = [row for row in rows if all(row[name] == value for name, value in wanted.items())]
    assert len(found) == 1, f"{len(found)} rows with {wanted}"
    return found[0]


def script_path() -> Path:
    """Return the installed `calslo` beside the interpreter."""
    return Path(sys.executable).with_name("calslo")
