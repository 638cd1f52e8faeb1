"""What exists is described, and what is described exists."""

import json
import re
import sqlite3
import sys
import tomllib
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import fields
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pytest
import yaml

from calslo_dagster import errors
from calslo_dagster.channels import base as channel_base
from calslo_dagster.cli.main import cli
from calslo_dagster.cli.results import FIELDS
from calslo_dagster.errors import CalsloError
from calslo_dagster.pipeline.load_manifests import read_manifests
from calslo_dagster.plugins import ENTRY_POINTS, load_registry
from calslo_dagster.settings import load_settings, model
from calslo_dagster.settings.section import Section
from calslo_dagster.slo.health import Word
from calslo_dagster.slo.model import SLO, Evidence, Manifest, Verdict
from calslo_dagster.slo.registry import Registry, recipes
from calslo_dagster.sources.base import BAD_TIME, ColumnMap
from calslo_dagster.stats.snapshot import BAD_REASONS, Snapshot
from calslo_dagster_tests.architecture.pages import ROOT, Page, pages, whole_text

LONGEST_README = 350
README = Page(ROOT / "README.md")
PAGES = pages()
SETTINGS_MARK = "# calslo.yaml\n"


def loaded(name: str, path: Path) -> ModuleType:
    spec = spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    return loaded("make_reference", ROOT / "docs" / "make_reference.py")


@pytest.fixture(scope="module")
def definitions() -> Any:
    import dagster as dg

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        from calslo_dagster.defs.build import build_defs

        return build_defs(model.Settings())


def commands(group: click.Command, *words: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield words, group
    if isinstance(group, click.Group):
        context = click.Context(group)
        for name in group.list_commands(context):
            found = group.get_command(context, name)
            assert found is not None
            yield from commands(found, *words, name)


# What exists is described.


@pytest.mark.parametrize("name", ["settings.md", "commands.md", "slos.md", "dagster.md"])
def test_the_reference_is_what_the_code_says(reference: ModuleType, name: str) -> None:
    with warnings.catch_warnings():
        written = reference.PAGES[name]()

    assert (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8") == written, "run: make docs"


def test_no_page_of_the_reference_is_left_over(reference: ModuleType) -> None:
    assert {path.name for path in (ROOT / "docs" / "reference").iterdir()} == set(reference.PAGES)


def test_every_command_and_option_is_described() -> None:
    text = Page(ROOT / "docs" / "reference" / "commands.md").text
    wanted = [f"## `{' '.join(('calslo', *words))}`" for words, _ in commands(cli)]
    wanted += [
        option
        for _, command in commands(cli)
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for option in parameter.opts
    ]

    assert [word for word in wanted if word not in text] == []


def test_every_command_has_an_example() -> None:
    shown = [words for page in PAGES for words in page.commands("calslo")]
    wanted = [list(words) for words, command in commands(cli) if not isinstance(command, click.Group)]

    assert [words for words in wanted if not any(one[: len(words)] == words for one in shown)] == []


def test_every_setting_is_described() -> None:
    text = Page(ROOT / "docs" / "reference" / "settings.md").text
    sections, waiting = set[type[Section]](), [Section]
    while waiting:
        found = waiting.pop().__subclasses__()
        sections.update(found)
        waiting += found

    assert {f"| `{key}` |" for one in sections for key in one.known_keys() if f"| `{key}` |" not in text} == set()


def test_every_slo_is_described_with_its_first_remedy() -> None:
    rows = [line for line in README.text.splitlines() if line.startswith("| `") and line.count(" | ") == 3]

    assert {line.split("`")[1] for line in rows} == set(recipes())


def test_everything_that_dagster_shows_is_described(definitions: Any) -> None:
    graph = definitions.resolve_asset_graph()
    names = [key.to_user_string() for key in graph.toposorted_asset_keys]
    names += [key.name for key in graph.asset_check_keys]
    names += [one.name for one in (*definitions.jobs, *definitions.schedules, *definitions.sensors)]
    text = whole_text()

    assert sorted(name for name in names if f"`{name}`" not in text) == []


def test_every_error_is_described() -> None:
    assert channel_base.Retryable in CalsloError.__subclasses__()
    text = Page(ROOT / "docs" / "operations.md").text

    assert [error.__name__ for error in CalsloError.__subclasses__() if f"`{error.__name__}`" not in text] == []


def test_the_tree_of_errors_has_every_error() -> None:
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "calslo_dagster").rglob("*.py")]
    names = [name for text in sources for name in re.findall(r"^class (\w+)\(CalsloError\)", text, re.MULTILINE)]
    told = re.findall(r"^[├└]── (\w+)", errors.__doc__ or "", re.MULTILINE)

    assert sorted(told) == sorted(names)


def test_every_environment_variable_is_described() -> None:
    places = [*(ROOT / "calslo_dagster").rglob("*.py"), *(ROOT / "deploy").glob("*.yaml")]
    names = {
        name
        for path in places
        for name in re.findall(r"\b(?:CALSLO|DAGSTER)_[A-Z_]+\b", path.read_text(encoding="utf-8"))
    }
    text = Page(ROOT / "docs" / "operations.md").text

    assert names
    assert {name for name in names if f"| `{name}` |" not in text} == set()


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("README.md", list(Verdict)),
        ("docs/time.md", list(Word)),
        ("docs/input.md", [*BAD_REASONS, BAD_TIME]),
        ("docs/input.md", [field.name for field in fields(ColumnMap)]),
        ("docs/input.md", [field.name for field in fields(Manifest)]),
    ],
)
def test_the_words_of_the_product_are_explained(page: str, words: list[str]) -> None:
    text = Page(ROOT / page).text

    assert [word for word in words if f"`{word}`" not in text and f"| {word} |" not in text] == []


# What is described exists.


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Page) -> None:
    for target in page.links():
        place, _, anchor = target.partition("#")
        path = (page.path.parent / place).resolve() if place else page.path

        assert path.exists(), target
        assert not anchor or anchor in Page(path).anchors(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_exists(page: Page) -> None:
    assert [path for path in page.paths() if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_calslo_command_exists(page: Page) -> None:
    for words in page.commands("calslo"):
        if words == ["..."]:
            continue
        command: click.Command = cli
        rest = list(words)
        while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
            found = command.get_command(click.Context(command), rest[0])
            assert found is not None, f"calslo {' '.join(words)}"
            command, rest = found, rest[1:]
        # An option that does not exist, or lacks its value, raises here.
        command.make_parser(click.Context(command)).parse_args(rest)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_make_target_exists(page: Page) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))

    assert {words[0] for words in page.commands("make")} <= targets


def test_every_make_target_is_described() -> None:
    phony = re.findall(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    described = {words[0] for words in README.commands("make")}

    assert set(" ".join(phony).split()) == described


def settings_examples() -> list[tuple[str, str]]:
    found = [(page.name, block) for page in PAGES for block in page.blocks("yaml") if block.startswith(SETTINGS_MARK)]
    return [*found, ("deploy/calslo.yaml", (ROOT / "deploy" / "calslo.yaml").read_text(encoding="utf-8"))]


def python_examples() -> list[tuple[str, str]]:
    return [(page.name, block) for page in PAGES for block in page.blocks("python")]


@pytest.mark.parametrize(("page", "text"), settings_examples())
def test_settings_examples_load(tmp_path: Path, page: str, text: str) -> None:
    """The settings that an example leaves out are at their defaults, but modules that it names must be there."""
    _, promise = python_examples()[0]
    (tmp_path / "promises").mkdir()
    (tmp_path / "promises" / "tail_bias.py").write_text(promise, encoding="utf-8")
    file = tmp_path / "calslo.yaml"
    file.write_text(text, encoding="utf-8")

    settings = load_settings(file, {})

    assert len(load_registry(settings)) >= len(recipes()) - len(settings.slos.disable), page


def test_every_yaml_example_is_marked_as_settings() -> None:
    """A block without its mark would not be tried."""
    assert [block for page in PAGES for block in page.blocks("yaml") if not block.startswith(SETTINGS_MARK)] == []


@pytest.mark.parametrize(("page", "text"), python_examples())
def test_python_examples_are_slos(tmp_path: Path, page: str, text: str) -> None:
    file = tmp_path / "example.py"
    file.write_text(text, encoding="utf-8")

    slo = loaded("example_slo", file).slo

    assert isinstance(slo, SLO)
    assert Registry([slo]).names == (slo.name,), page
    assert slo.sli(Evidence(Snapshot())).value is None


def test_json_examples_are_json_and_manifests_load(tmp_path: Path) -> None:
    blocks = [json.loads(block) for page in PAGES for block in page.blocks("json")]
    fitted = [block for block in blocks if "manifests" in block]
    for index, block in enumerate(fitted):
        file = tmp_path / f"{index}.json"
        file.write_text(json.dumps(block), encoding="utf-8")
        assert read_manifests(file)

    assert len(fitted) == 2


def test_the_json_of_evaluate_has_the_fields_that_it_is_said_to_have() -> None:
    page = Page(ROOT / "docs" / "evaluate.md")
    (example,) = [json.loads(block) for block in page.blocks("json")]

    assert {tuple(row) for row in example["measurements"]} == {FIELDS}
    assert [name for name in (*FIELDS, *example) if f"`{name}`" not in page.prose and name != "measurements"] == []


def test_toml_examples_name_our_entry_points() -> None:
    blocks = [tomllib.loads(block) for page in PAGES for block in page.blocks("toml")]

    assert [list(block["project"]["entry-points"]) for block in blocks] == [[ENTRY_POINTS]]


def test_sql_examples_run_and_tables_are_there(tmp_path: Path) -> None:
    from calslo_dagster.store.migrations import upgrade
    from calslo_dagster.store.session import open_store
    from calslo_dagster.store.views import sync_views

    url = f"sqlite:///{tmp_path / 'calslo.db'}"
    upgrade(url)
    with open_store(url) as store, store.write() as session:
        sync_views(session, recipes())
    queries = [block for page in PAGES for block in page.blocks("sql") if block.startswith("SELECT")]
    connection = sqlite3.connect(tmp_path / "calslo.db")
    for query in queries:
        assert connection.execute(query).fetchall() == []
    there = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
    connection.close()

    operations = Page(ROOT / "docs" / "operations.md").text
    rows = operations[operations.index("| table or view |") :].partition("\n\n")[0].splitlines()[2:]
    named = {name for line in rows for name in re.findall(r"`(\w+)`", line.split("|")[1])}
    assert queries
    assert "deliveries" in named
    assert named <= there


def test_the_production_instance_keeps_the_rules_of_the_others() -> None:
    from calslo_dagster.defs.launch import instance_config

    files = [ROOT / "dagster.yaml", ROOT / "deploy" / "dagster.postgres.yaml"]
    written = [yaml.safe_load(file.read_text(encoding="utf-8")) for file in files]
    common = ("telemetry", "run_queue", "concurrency", "run_monitoring", "schedules", "sensors", "retention")

    for name in common:
        assert [one[name] for one in written] == [instance_config(Path("x"))[name]] * 2


@pytest.mark.parametrize("file", ["dagster.yaml", "deploy/dagster.postgres.yaml"])
def test_dagster_takes_our_instances(file: str) -> None:
    from dagster._config import validate_config
    from dagster._core.instance.config import dagster_instance_config_schema

    config = yaml.safe_load((ROOT / file).read_text(encoding="utf-8"))

    assert validate_config(dagster_instance_config_schema(), config).errors in ([], None)


def test_both_workspaces_call_the_location_alike() -> None:
    files = [ROOT / "workspace.yaml", ROOT / "deploy" / "workspace.grpc.yaml"]
    loads = [yaml.safe_load(file.read_text(encoding="utf-8"))["load_from"][0] for file in files]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["dagster"]

    assert {next(iter(load.values()))["location_name"] for load in loads} == {project["code_location_name"]}


def test_pictures_are_pictures() -> None:
    for path in (ROOT / "docs" / "pictures").iterdir():
        if path.suffix == ".svg":
            assert ET.fromstring(path.read_text(encoding="utf-8")).tag.endswith("}svg")
        else:
            assert path.read_bytes().startswith(b"\x89PNG"), path


def test_the_readme_can_be_read_at_once() -> None:
    assert len(README.text.splitlines()) <= LONGEST_README


def test_the_changelog_lists_what_is_not_released() -> None:
    text = Page(ROOT / "CHANGELOG.md").text
    unreleased = text.split("## [Unreleased]")[1].split("\n## ")[0]
    headings = re.findall(r"^### (.+)$", unreleased, re.MULTILINE)

    assert headings
    assert set(headings) <= {"Added", "Changed", "Fixed", "Removed"}
    assert all(re.search(r"^- \S", part, re.MULTILINE) for part in unreleased.split("### ")[1:])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_names_a_place_of_one_machine(page: Page) -> None:
    assert re.findall(r"/(?:home|root|work|Users)/\S*", page.text) == []
