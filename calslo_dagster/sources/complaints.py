"""What we say of input that cannot be used: the place, the column, the value, and the way out."""

import json
import re
from collections.abc import Iterable

from calslo_dagster.sources.roles import Role, RoleKind

LONGEST_VALUE = 80
_NUMBER = re.compile(r"\s*[+-]?\d+(\.\d*)?([eE][+-]?\d+)?\s*")
_EXPECTED = {
    RoleKind.NUMBER: "not a number; write numbers only, and leave the value empty where there is none",
    RoleKind.FLAG: "neither true nor false; write true, false, 1 or 0, and leave the value empty where it is unknown",
}


def missing_column(where: str, role: Role, found: Iterable[str]) -> str:
    """Say that a required column is absent, what there is, and which setting maps it."""
    names = ", ".join(found) or "none"
    flag = f" or pass {role.flag} to calslo evaluate" if role.flag else ""
    return f'{where}: no {role.title}; columns found: {names}; set "{role.key}" to the column that holds it{flag}'


def other_delimiter(where: str, role: Role, *, told: str, likely: str) -> str:
    """Say that a required column is absent because the columns are divided by something else."""
    between, named = json.dumps(told), json.dumps(likely)
    return (
        f"{where}: no {role.title} between the delimiters {between}; the columns seem to be divided by {named}; "
        f"set 'delimiter: {named}' for this source in calslo.yaml (calslo evaluate: and pass --source with its name)"
    )


def copied(where: str, original: str) -> str:
    """Say that all rows of a file are those of another one."""
    return f'{where}: holds the same as "{original}", so it is counted once; remove one of them'


def repeated_column(where: str, role: Role) -> str:
    """Say that two columns bear the name that is asked for."""
    return f'{where}: {role.title} occurs more than once; rename one of them, or set "{role.key}" to another column'


def wrong_type(where: str, role: Role, type_name: str) -> str:
    """Say that no value of this type can play the role."""
    return (
        f"{where}: {role.title} has type {type_name}, which cannot be read as {role.kind}; "
        f'convert the column, or set "{role.key}" to another one'
    )


def bad_value(where: str, role: Role, *, value: str, row: int | None = None) -> str:
    """Say which value is the first that cannot be read, and what to do."""
    place = f"{where}: {role.title}{'' if row is None else f', row {row}'}: {shown(value)}"
    if role.kind is not RoleKind.TIME:
        return f'{place} is {_EXPECTED[role.kind]}, or set "{role.key}" to another column'
    if _NUMBER.fullmatch(value):
        unit = likely_unit(float(value))
        return (
            f'{place} is a number without a unit; set "time_unit: {unit}" (s, ms, us or ns) for this source, '
            f"or pass --time-unit {unit} to calslo evaluate"
        )
    return (
        f'{place} has no time zone; set "time_zone: UTC" (or the zone it was written in) for this source, '
        "or pass --time-zone UTC to calslo evaluate"
    )


def shown(value: str) -> str:
    """Return the value quoted, escaped and cut, so that one value cannot flood or forge a message."""
    cut = value if len(value) <= LONGEST_VALUE else f"{value[:LONGEST_VALUE]}..."
    return json.dumps(cut, ensure_ascii=False)


def likely_unit(value: float) -> str:
    """Return the unit in which this number is a time of our days."""
    for unit, limit in (("s", 1e11), ("ms", 1e14), ("us", 1e17)):
        if abs(value) < limit:
            return unit
    return "ns"
