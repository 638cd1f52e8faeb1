"""Settings files for the tests of settings."""

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

from calslo_dagster.errors import SettingsError
from calslo_dagster.settings import Settings, load_settings

FULL = Path(__file__).with_name("full.yaml")


def written(folder: Path, text: str) -> Path:
    """Write calslo.yaml into the folder and return its path."""
    file = folder / "calslo.yaml"
    file.write_text(dedent(text))
    return file


def loaded(folder: Path, text: str, environ: Mapping[str, str] | None = None) -> Settings:
    """Return the settings of this text."""
    return load_settings(written(folder, text), environ or {})


def mistakes(folder: Path, text: str) -> list[str]:
    """Return the lines of the refusal of this text, without the folder; none if it is accepted."""
    try:
        loaded(folder, text)
    except SettingsError as error:
        return [line.removeprefix(f"{folder}/") for line in str(error).splitlines()]
    return []
