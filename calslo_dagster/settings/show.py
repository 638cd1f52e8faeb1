"""The settings for people and editors: as YAML without secrets, and the JSON Schema of the file."""

from collections.abc import Iterator
from typing import Any, Final

import yaml

from calslo_dagster.settings.model import Settings
from calslo_dagster.settings.section import Section

SCHEMA_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def settings_yaml(settings: Settings) -> str:
    """Return the effective settings as YAML that loads as the same settings; defaults are marked.

    No secret can appear: the file may only name the place that holds one, and that place is what is shown.
    """
    data = settings.model_copy(update={"sources": settings.logs}).model_dump(
        mode="json", by_alias=True, exclude_none=True
    )
    stated = {field.alias or name for name, field in Settings.model_fields.items() if name in settings.model_fields_set}
    entries = (_entry(key, value, is_default=key not in stated) for key, value in data.items())
    return f"# read from {settings.file or 'no file'}; home is {settings.home}\n{''.join(entries)}"


def _entry(key: str, value: Any, *, is_default: bool) -> str:
    text = yaml.safe_dump({key: value}, sort_keys=False, allow_unicode=True, width=100)
    first, _, rest = text.partition("\n")
    return f"{first}{'  # default' if is_default else ''}\n{rest}"


def settings_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of the settings file, with every key described."""
    schema = Settings.model_json_schema(by_alias=True)
    for section in _sections(Section):
        part = schema if section is Settings else schema["$defs"].get(section.__name__)
        if part:
            _describe(part["properties"], section)
    return {"$schema": SCHEMA_DIALECT, **schema, "title": "calslo.yaml"}


def _describe(properties: dict[str, Any], section: type[Section]) -> None:
    # Pydantic writes default durations in the ISO way, which the file does not take.
    defaults = section.model_construct().model_dump(mode="json", by_alias=True)
    for key, text in section.described().items():
        properties[key]["description"] = text
        if "default" in properties[key]:
            properties[key]["default"] = defaults[key]


def _sections(base: type[Section]) -> Iterator[type[Section]]:
    for section in base.__subclasses__():
        yield section
        yield from _sections(section)
