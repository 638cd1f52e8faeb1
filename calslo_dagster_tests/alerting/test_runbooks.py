"""There is a runbook for every alert, and everything that it tells a tired person to do can be done."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from calslo_dagster.alerting.model import Kind
from calslo_dagster.cli.main import cli
from calslo_dagster.plugins import load_registry
from calslo_dagster.settings import load_settings
from calslo_dagster.slo.registry import recipes
from calslo_dagster.store.migrations import upgrade
from calslo_dagster.store.session import open_store
from calslo_dagster.store.views import sync_views
from calslo_dagster_tests.architecture.pages import ROOT, Page

LONGEST = 70
RUNBOOKS = [Page(path) for path in sorted((ROOT / "docs" / "runbooks").glob("*.md"))]
of_each = pytest.mark.parametrize("page", RUNBOOKS, ids=lambda page: page.path.stem)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    """Return an empty state store with the views of every built-in SLO."""
    path = tmp_path_factory.mktemp("store") / "calslo.db"
    upgrade(f"sqlite:///{path}")
    with open_store(f"sqlite:///{path}") as store, store.write() as session:
        sync_views(session, recipes())
    connection = sqlite3.connect(path)
    yield connection
    connection.close()


def test_there_is_a_runbook_for_every_built_in_slo_and_every_other_kind_of_alert() -> None:
    # What a window held back is a report, which asks for nothing.
    wanted = {*recipes(), *(str(kind) for kind in Kind if kind not in (Kind.BREACH, Kind.SILENCE))}

    assert {page.path.stem for page in RUNBOOKS} == wanted


@of_each
def test_a_runbook_is_short_and_has_its_parts(page: Page) -> None:
    assert len(page.text.splitlines()) <= LONGEST
    for part in ("\n## First two minutes\n", "\n## Causes, ", "\n## Quiet", "\n## It ends by itself\n"):
        assert part in page.text


@of_each
def test_every_command_of_a_runbook_exists(page: Page) -> None:
    calls = list(page.commands("calslo"))

    assert calls
    for words in calls:
        command: click.Command = cli
        rest = list(words)
        while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
            found = command.get_command(click.Context(command), rest[0])
            assert found is not None, f"calslo {' '.join(words)}"
            command, rest = found, rest[1:]
        command.make_parser(click.Context(command)).parse_args(rest)


@of_each
def test_every_slo_that_a_command_names_is_built_in(page: Page) -> None:
    for words in page.commands("calslo"):
        named = words[2:3] if words[:2] == ["slos", "show"] else []
        named += [words[i + 1] for i, word in enumerate(words) if word == "--slo"]
        assert set(named) <= set(recipes()), words


@of_each
def test_every_query_of_a_runbook_runs(page: Page, store: sqlite3.Connection) -> None:
    queries = page.blocks("sql")

    assert queries
    for query in queries:
        assert store.execute(query).fetchall() == []


@of_each
def test_every_setting_of_a_runbook_loads(page: Page, tmp_path: Path) -> None:
    for number, block in enumerate(page.blocks("yaml")):
        file = tmp_path / f"{number}.yaml"
        file.write_text(block, encoding="utf-8")

        assert block.startswith("# calslo.yaml\n")
        assert len(load_registry(load_settings(file, {}))) == len(recipes())


@of_each
def test_every_link_of_a_runbook_leads_somewhere(page: Page) -> None:
    for target in page.links():
        place, _, anchor = target.partition("#")
        path = (page.path.parent / place).resolve()

        assert path.exists(), target
        assert not anchor or anchor in Page(path).anchors(), target


@of_each
def test_a_runbook_names_no_place_of_one_machine(page: Page) -> None:
    assert [path for path in page.paths() if not (ROOT / path).exists()] == []
    assert not any(f"/{place}/" in page.text for place in ("home", "root", "work", "Users"))
