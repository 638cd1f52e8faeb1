"""How everything that people look at is coloured: the tokens of the themes, and the one style sheet."""

import json
from functools import cache
from importlib.resources import files
from typing import Final

# They lie beside the scripts that the pages load.
_FOLDER: Final = files("calslo_dagster") / "web"


@cache
def themes() -> dict[str, dict[str, str]]:
    """Return the colours of each theme, by their names."""
    found: dict[str, dict[str, str]] = json.loads((_FOLDER / "theme.json").read_text(encoding="utf-8"))
    return found


def theme_css() -> str:
    """Return the themes as variables: light unless the system, or the person, wants the dark one."""
    light, dark = (_variables(themes()[name]) for name in ("light", "dark"))
    return (
        f":root{{color-scheme:light;{light}}}"
        f"@media(prefers-color-scheme:dark){{:root:not([data-theme=light]){{color-scheme:dark;{dark}}}}}"
        f":root[data-theme=dark]{{color-scheme:dark;{dark}}}\n"
    )


def _variables(colours: dict[str, str]) -> str:
    return "".join(f"--{name}:{colour};" for name, colour in colours.items())


@cache
def stylesheet() -> str:
    """Return the style sheet of pages and of files that are pages, with the colours of the themes."""
    return theme_css() + (_FOLDER / "static" / "app.css").read_text(encoding="utf-8")
