"""Names of slices: `*` for everything, else `column=value` pairs joined by commas."""

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from hashlib import sha256
from typing import Final
from urllib.parse import unquote

from calslo_dagster.slo.model import EVERYTHING

NULL: Final = "%null"
LONGEST: Final = 200
_KEPT: Final = 160
# Percent, comma and equals sign carry the syntax; control characters would break tables, logs and terminals.
_RESERVED: Final = re.compile(r"[%,=\x00-\x1f\x7f-\x9f]")
_CUT: Final = re.compile(rf"(?s).{{{_KEPT}}}~[0-9a-f]{{16}}")


def slice_name(columns: Sequence[str], values: Sequence[str | None]) -> str:
    """Return the name of the slice where each column has its value, None for a missing one; `*` for no columns.

    A name longer than 200 characters keeps 160 of them and a digest of the whole, so that it stays unique and fits
    a database key.
    """
    pairs = [f"{_column(c)}={_encoded(v)}" for c, v in zip(columns, values, strict=True)]
    name = ",".join(pairs) or EVERYTHING
    if len(name) <= LONGEST:
        return name
    return f"{name[:_KEPT]}~{sha256(name.encode()).hexdigest()[:16]}"


def parse_slice(name: str) -> tuple[tuple[str, str | None], ...]:
    """Return the (column, value) pairs of a slice's name, a missing value as None; no pairs for `*`.

    A name that was cut yields the pairs before the cut only.
    """
    if name == EVERYTHING:
        return ()
    pairs = name[:_KEPT].split(",")[:-1] if is_cut(name) else name.split(",")
    return tuple(_pair(pair, name) for pair in pairs)


# A look at the alerts asks for the same few names again and again.
@lru_cache(65_536)
def slice_values(name: str) -> Mapping[str, str]:
    """Return the value of each column of the slice's name, empty for a missing one."""
    return {column: value or "" for column, value in parse_slice(name)}


def is_cut(name: str) -> bool:
    """Whether the name was too long and ends in a digest instead of its last values."""
    return _CUT.fullmatch(name) is not None


def matches(pattern: str, name: str) -> bool:
    """Whether the slice `name` is covered by `pattern`: `*` for all, the name itself, or a shell pattern."""
    return pattern in (EVERYTHING, name) or fnmatchcase(name, pattern)


def _column(column: str) -> str:
    if not column or _RESERVED.search(column):
        raise ValueError(f"slice column {column!r} is empty or holds %, comma, = or a control character; rename it")
    return column


def _encoded(value: str | None) -> str:
    if value is None:
        return NULL
    return _RESERVED.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), value)


def _pair(pair: str, name: str) -> tuple[str, str | None]:
    column, equals, value = pair.partition("=")
    if not equals or not column:
        raise ValueError(f"{name!r} is no slice name: {pair!r} is not column=value")
    return column, None if value == NULL else unquote(value, errors="strict")
