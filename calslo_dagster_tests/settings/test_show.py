"""What is shown loads again, holds no secret, and the schema says the same as the reader."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from calslo_dagster.settings import Settings, load_settings
from calslo_dagster.settings.document import parse_document
from calslo_dagster.settings.section import Section
from calslo_dagster.settings.show import SCHEMA_DIALECT, settings_schema, settings_yaml
from calslo_dagster_tests.settings.files import FULL, loaded, mistakes

ENVIRON = {"CALSLO_DB": "postgresql://calslo:hunter2@db/calslo"}


def valid(data: Any) -> bool:
    return bool(jsonschema.Draft202012Validator(settings_schema()).is_valid(data))


def test_what_is_shown_loads_as_the_same_settings(tmp_path: Path) -> None:
    """With another environment too: what it decided stands in the text."""
    settings = load_settings(FULL, ENVIRON)
    again = loaded(tmp_path, settings_yaml(settings), ENVIRON)

    assert again.model_dump() == settings.model_dump()
    assert settings_yaml(again).partition("\n")[2] == settings_yaml(settings).partition("\n")[2]


def test_defaults_are_marked(tmp_path: Path) -> None:
    shown = settings_yaml(loaded(tmp_path, "lateness: 5m\n"))

    assert "\nlateness: 5m\n" in shown
    assert "\nlabel_horizon: 30d  # default\n" in shown
    assert "kind: demo" in shown


def test_no_secret_is_shown(tmp_path: Path) -> None:
    (tmp_path / "db").write_text("postgresql://u:hunter3@db/x")
    text = "store_url: env:CALSLO_DB\nsources:\n  - {name: a, kind: sql, url: file:db, table: t}\n"
    settings = loaded(tmp_path, text, ENVIRON)

    shown = settings_yaml(settings) + repr(settings) + str(settings)

    assert settings.store_url == ENVIRON["CALSLO_DB"]
    assert settings.source_specs()[0].url == "postgresql://u:hunter3@db/x"
    assert "env:CALSLO_DB" in shown
    assert "hunter" not in shown


def test_the_schema_accepts_the_full_example() -> None:
    document, _ = parse_document(FULL, "full.yaml")

    jsonschema.Draft202012Validator.check_schema(settings_schema())
    assert settings_schema()["$schema"] == SCHEMA_DIALECT
    assert valid(document.data)
    assert valid({})


@pytest.mark.parametrize(
    "text",
    [
        "latness: 5m",
        "lateness: 10",
        "lateness: 10 minutes",
        "engine: {threads: 0}",
        "clamp: {high: 98}",
        "slos: {ece_bound: {target: 99.9}}",
        "slos: {ece_bound: {fail: lots}}",
        "slos: {ece_bound: {fial: 0.1}}",
        "slos: {define: [{name: x, metric: n, operator: about, fail: 1}]}",
        "sources: [{name: a}]",
        "sources: [{name: a, kind: sql, table: t}]",
        "sources: [{name: a b, paths: [x]}]",
        "burn: {tiers: [{name: a, share: 0, long: 1h, short: 15m}]}",
    ],
)
def test_the_schema_refuses_what_the_reader_refuses(tmp_path: Path, text: str) -> None:
    assert mistakes(tmp_path, text)
    assert not valid(yaml.safe_load(text))


def test_every_key_of_every_section_is_described() -> None:
    def sections(base: type[Section]) -> list[type[Section]]:
        return [s for child in base.__subclasses__() for s in (child, *sections(child))]

    missing = {
        f"{section.__name__}.{key}"
        for section in sections(Section)
        for key in section.known_keys()
        if key not in section.described()
    }

    assert Settings in sections(Section)
    assert missing == set()


def test_every_default_in_the_schema_is_valid_by_the_schema() -> None:
    schema = settings_schema()
    for part in (schema, *schema["$defs"].values()):
        for described in part.get("properties", {}).values():
            if "default" in described:
                jsonschema.Draft202012Validator({**described, "$defs": schema["$defs"]}).validate(described["default"])
