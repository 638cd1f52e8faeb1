"""Progress is shown on standard error, only there, only on a terminal, and only when work takes a while."""

import pytest

from calslo_dagster.cli.progress import progress
from calslo_dagster_tests.cli.running import spawn_on_terminal

WORK = """
import sys, time
from calslo_dagster.cli.progress import SHOWN_AFTER_SECONDS, progress
for step in progress(range(30), "day"):
    time.sleep((SHOWN_AFTER_SECONDS + 1) / 30 if sys.argv[1] == "slow" else 0)
print("done")
"""


STAGES = """
import sys, time
from calslo_dagster.cli.progress import SHOWN_AFTER_SECONDS, bar
with bar() as shown:
    shown.show(0, 40, "nothing yet")
    time.sleep(SHOWN_AFTER_SECONDS + 1.5 if sys.argv[1] == "slow" else 0)
    shown.show(30, 40, "ece_bound of Monday")
    time.sleep(1.5 if sys.argv[1] == "slow" else 0)
print("done")
"""


@pytest.mark.parametrize("items", [[], [1, 2, 3]])
def test_the_items_pass_through(items: list[int]) -> None:
    assert list(progress(items)) == items
    assert list(progress(iter(items))) == items


def test_slow_work_on_a_terminal_shows_a_bar_and_takes_it_away() -> None:
    shown = spawn_on_terminal("slow", streams="stderr", code=WORK)

    assert "day/s" in shown.terminal
    assert "/30" in shown.terminal
    assert shown.terminal.endswith("\r")
    assert shown.stdout == "done\n"


def test_work_that_counts_by_itself_is_shown_while_its_first_stage_lasts_and_after() -> None:
    shown = spawn_on_terminal("slow", streams="stderr", code=STAGES)

    assert "0/40, 00:02, nothing yet" in shown.terminal
    assert "75% " in shown.terminal
    assert "30/40, 00:03, ece_bound of Monday" in shown.terminal
    assert "00:04" in shown.terminal
    assert shown.terminal.endswith("\r")
    assert shown.stdout == "done\n"


@pytest.mark.parametrize("code", [WORK, STAGES])
def test_fast_work_shows_nothing(code: str) -> None:
    assert spawn_on_terminal("fast", streams="stderr", code=code).terminal == ""


@pytest.mark.parametrize("code", [WORK, STAGES])
def test_where_nobody_watches_nothing_is_shown(code: str) -> None:
    shown = spawn_on_terminal("slow", streams="stdout", code=code)

    assert shown.terminal == "done\r\n"
    assert shown.stderr == ""
