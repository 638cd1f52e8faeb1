"""`calslo runbook` prints what to do first, whatever else is broken."""

from pathlib import Path

import pytest

from calslo_dagster.pipeline.find_runbook import runbook_names, runbook_path
from calslo_dagster.slo.registry import recipes
from calslo_dagster_tests.cli.running import run
from calslo_dagster_tests.settings.files import written

OWN = """\
slos:
  define:
    - {name: mine, title: Mine, metric: brier, operator: "<=", fail: 0.2, runbook: Refit the calibrator.}
    - {name: silent, title: Silent, metric: brier, operator: "<=", fail: 0.2}
"""


@pytest.mark.parametrize("name", runbook_names())
def test_a_runbook_is_printed_as_it_was_written(name: str) -> None:
    assert run("runbook", name).stdout == runbook_path(name).read_text(encoding="utf-8")


def test_it_needs_neither_sound_settings_nor_a_store(elsewhere: Path) -> None:
    written(elsewhere, "home: [1")

    assert run("runbook", "blind").exit_code == 0
    assert list(elsewhere.iterdir()) == [elsewhere / "calslo.yaml"]


def test_without_a_name_all_are_listed_and_each_has_a_place() -> None:
    names = run("runbook").stdout.split()

    assert {*recipes(), "blind", "burn", "pipeline"} == set(names)
    assert Path(run("runbook", "burn", "--path").stdout.strip()).is_file()


def test_an_slo_of_your_own_is_answered_in_its_own_words(elsewhere: Path) -> None:
    written(elsewhere, OWN)

    assert run("runbook", "mine").stdout == "Refit the calibrator.\n"
    assert "silent has no runbook; write one in the settings" in run("runbook", "silent").stderr
    assert "no runbook is named 'ece_bond'; did you mean 'ece_bound'?" in run("runbook", "ece_bond").stderr
    assert run("runbook", "nothing").exit_code == 2
