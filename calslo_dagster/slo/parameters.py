"""Parameters of an SLO: what a built-in or a user's SLO lets the settings choose, documented field by field."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from difflib import get_close_matches
from typing import Any, TypeVar, get_type_hints

from calslo_dagster.errors import SettingsError

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter as people read it."""

    name: str
    kind: str
    default: object
    text: str


def parameter(text: str, *, default: _T) -> _T:
    """Return a dataclass field with its documentation and its default."""
    chosen: _T = field(default=default, metadata={"text": text})
    return chosen


def described(kind: type) -> tuple[Parameter, ...]:
    """Return the parameters that a dataclass of parameters has, in order."""
    hints = get_type_hints(kind)
    return tuple(
        Parameter(f.name, getattr(hints[f.name], "__name__", str(hints[f.name])), f.default, f.metadata.get("text", ""))
        for f in fields(kind)
        if f.default is not MISSING
    )


def filled(kind: type[_T], values: Mapping[str, Any], *, owner: str) -> _T:
    """Return the parameters with these values; every mistake is found and told at once.

    `owner` is the name of the SLO, for the message.
    """
    known = {p.name: p for p in described(kind)}
    mistakes = [unknown_name(f"parameter of {owner}", name, known) for name in values if name not in known]
    mistakes += [
        f"{owner}.{name} is a {known[name].kind}, not {value!r}"
        for name, value in values.items()
        if name in known and not _fits(value, known[name].default)
    ]
    if mistakes:
        raise SettingsError("\n".join(mistakes))
    try:
        return kind(**values)
    except ValueError as error:
        raise SettingsError(f"{owner}: {error}") from error


def unknown_name(what: str, name: str, known: Mapping[str, object]) -> str:
    """Return the message for a name that does not exist, with the nearest one that does."""
    near = get_close_matches(name, known, n=1) or [other for other in known if name and name in other][:1]
    hint = f"did you mean {near[0]!r}?" if near else "there is " + (", ".join(known) or "none") + "."
    return f"no {what} is named {name!r}; {hint}"


def _fits(value: object, default: object) -> bool:
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(value, bool) and isinstance(default, bool)
    if isinstance(default, float):
        return isinstance(value, (int, float))
    return default is None or isinstance(value, type(default))
