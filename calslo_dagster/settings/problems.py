"""Turn what pydantic complains about into mistakes that name line, key and the way out."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from calslo_dagster.settings.document import Document, Loc, Mistake
from calslo_dagster.settings.section import Section

Readers = Mapping[int, type[Section]]
# A message repeats a value only up to this length; a longer one is no number, word or path that was mistyped.
_LONGEST_ECHO: Final = 60
_EXPECTED: Final = {
    "model_type": "must be a mapping of keys to values",
    "dict_type": "must be a mapping of keys to values",
    "model_attributes_type": "must be a mapping of keys to values",
    "tuple_type": "must be a list, such as [a, b]",
    "string_type": "must be text; write it in quotes",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "date_from_datetime_parsing": "must be a date, such as 2026-03-01",
    "date_type": "must be a date, such as 2026-03-01",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
}


def mistakes_of(error: ValidationError, document: Document, readers: Readers) -> list[Mistake]:
    """Return one mistake per complaint; `readers` tells which section read which mapping, by its identity."""
    told = [e for e in error.errors(include_url=False) if not _is_aftermath(e, error)]
    return [document.mistake(_loc(e, document), _message(e, document, readers)) for e in told]


def _is_aftermath(one: ErrorDetails, error: ValidationError) -> bool:
    """Whether a list is called empty only because each of its items is refused."""
    if one["type"] != "too_short":
        return False
    loc = one["loc"]
    others = (other["loc"] for other in error.errors(include_url=False, include_context=False, include_input=False))
    return any(len(other) > len(loc) and other[: len(loc)] == loc for other in others)


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown word: the nearest known one, or all of them."""
    words = list(known)
    near = get_close_matches(word, words, n=1)
    return f"did you mean {near[0]}?" if near else f"known are {', '.join(words)}"


def _loc(error: ErrorDetails, document: Document) -> Loc:
    loc = error["loc"]
    if error["type"] == "union_tag_invalid":
        return (*loc, "kind")
    parent = document.value(loc[:-1])
    is_tag = error["type"].endswith("_type") and isinstance(loc[-1], str) and not isinstance(parent, dict)
    return loc[:-1] if is_tag else loc


def _message(error: ErrorDetails, document: Document, readers: Readers) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind == "extra_forbidden":
        return _unknown(error["loc"], document, readers)
    if kind == "missing":
        return _missing(error["loc"], document, readers)
    if kind in ("literal_error", "enum"):
        return _choice(str(error["input"]), str(context["expected"]))
    if kind == "union_tag_invalid":
        return _choice(str(context["tag"]), str(context["expected_tags"]))
    return f"{_EXPECTED.get(kind) or _bound(kind, context) or _plain(error['msg'])}{_echo(error['input'])}"


def _unknown(loc: Loc, document: Document, readers: Readers) -> str:
    reader = _reader(loc, document, readers)
    return f"unknown key; {nearest(str(loc[-1]), reader.known_keys())}" if reader else "unknown key"


def _missing(loc: Loc, document: Document, readers: Readers) -> str:
    reader = _reader(loc, document, readers)
    described = reader.described().get(str(loc[-1])) if reader else None
    return f"is missing: {described}" if described else "is missing"


def _reader(loc: Loc, document: Document, readers: Readers) -> type[Section] | None:
    return readers.get(id(document.value(loc[:-1])))


def _choice(given: str, expected: str) -> str:
    words = [word.strip().strip("'") for word in expected.replace(" or ", ", ").split(",")]
    near = get_close_matches(given, words, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"{given!r} is none of {', '.join(words)}{hint}"


def _bound(kind: str, context: Mapping[str, Any]) -> str:
    words = {"greater_than_equal": ("ge", "at least"), "greater_than": ("gt", "above")}
    words |= {"less_than_equal": ("le", "at most"), "less_than": ("lt", "below")}
    if kind not in words:
        return ""
    name, text = words[kind]
    return f"must be {text} {context[name]:g}"


def _plain(message: str) -> str:
    return message[:1].lower() + message[1:]


def _echo(value: object) -> str:
    shown = repr(value) if isinstance(value, str) else str(value)
    is_shown = isinstance(value, str | int | float) and len(shown) <= _LONGEST_ECHO and "://" not in shown
    return f", got {shown}" if is_shown else ""
