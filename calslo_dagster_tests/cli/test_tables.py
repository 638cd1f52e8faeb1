"""Tables fit the terminal, and where there is none a row is a line without colour codes."""

from pathlib import Path

import pytest

from calslo_dagster_tests.cli.logs import sample
from calslo_dagster_tests.cli.running import Shown, spawn_on_terminal

COLOURED = "\x1b["
WIDE, NARROW = 220, 80


@pytest.fixture
def log(tmp_path: Path) -> Path:
    names = [f"a country with a long name {i % 60}" for i in range(3_000)]
    return sample(3_000, shift=0.2).write(tmp_path / "log.parquet", country=names)


def evaluated(log: Path, streams: str, columns: int = WIDE) -> Shown:
    return spawn_on_terminal("evaluate", log, "--slice", "country", streams=streams, columns=columns)


def test_a_terminal_gets_colour_and_a_pipe_none(log: Path) -> None:
    on_terminal, piped = evaluated(log, "stdout"), evaluated(log, "")

    assert COLOURED in on_terminal.terminal
    assert COLOURED not in piped.stdout
    assert on_terminal.stderr == piped.stderr == ""


def test_a_row_of_a_piped_table_is_one_line(log: Path) -> None:
    lines = evaluated(log, "").stdout.splitlines()

    rows = lines[2 : lines.index("")]
    assert len(rows) == 40
    assert all(line.rstrip().endswith(".") for line in rows)


@pytest.mark.parametrize("columns", [NARROW, WIDE])
def test_no_line_is_wider_than_the_terminal_and_no_number_is_cut(log: Path, columns: int) -> None:
    shown = evaluated(log, "stdout", columns).terminal.replace("\r", "")
    plain = [_plain(line) for line in shown.splitlines()]

    assert max(map(len, plain)) <= columns
    assert any("ece_bound" in line and "breached" in line for line in plain)
    assert any(line.split()[:2] == ["*", "3,000"] for line in plain)
    assert "it must be at most" in " ".join(" ".join(plain).split())


def _plain(line: str) -> str:
    """Return the line without its colour codes."""
    first, *rest = line.split(COLOURED)
    return first + "".join(part.partition("m")[2] for part in rest)
