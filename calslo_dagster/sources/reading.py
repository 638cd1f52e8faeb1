"""How each column becomes canonical: one SQL expression for its value, one for what makes the unit unusable."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from calslo_dagster.errors import SourceError
from calslo_dagster.sources import complaints
from calslo_dagster.sources.base import FeedSpec, TimeUnit
from calslo_dagster.sources.roles import Role, RoleKind

_INTEGERS: Final = frozenset(
    {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"}
)
_AWARE: Final = frozenset({"TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ_NS"})
_NAIVE: Final = frozenset({"TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "DATE"})
_NESTED: Final = ("STRUCT", "MAP", "UNION", "VARIANT")

# A time of day, then Z, an offset or a name; the time of day keeps `2026-03-01` from ending in the offset `-01`.
_ZONED: Final = r":[0-9]{2}([.][0-9]*)? ?([zZ]|[+-][0-9]{2}(:?[0-9]{2})?|[A-Za-z][A-Za-z_/]*) *$"
_EPOCH: Final = r"^ *[+-]?[0-9]+([.][0-9]*)?([eE][+-]?[0-9]+)? *$"
_PER_SECOND: Final = {TimeUnit.S: 1, TimeUnit.MS: 1_000, TimeUnit.US: 1_000_000, TimeUnit.NS: 1_000_000_000}


class Family(StrEnum):
    """What a type amounts to for us."""

    NOTHING = "nothing"
    TEXT = "text"
    INTEGER = "integer"
    FRACTION = "fraction"
    BOOLEAN = "boolean"
    AWARE = "aware"
    NAIVE = "naive"
    OPAQUE = "opaque"
    NESTED = "nested"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a scan: its SQL and its DuckDB type."""

    sql: str
    type: str = "VARCHAR"


@dataclass(frozen=True, slots=True)
class Scan:
    """Rows to read: the text after FROM, and the columns by the user's name."""

    source: str
    columns: Mapping[str, Column]


@dataclass(frozen=True, slots=True)
class Reading:
    """How a role is read from a scan; `fault` is true for a value that makes the unit unusable, None if none can."""

    role: Role
    column: Column | None
    value: str
    fault: str | None = None


def quote(name: str) -> str:
    """Return the name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return the text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def family(type_name: str) -> Family:
    """Return what a DuckDB type amounts to."""
    name = type_name.strip('"')
    if name in _INTEGERS:
        return Family.INTEGER
    if name in ("FLOAT", "DOUBLE") or name.startswith("DECIMAL"):
        return Family.FRACTION
    if name.endswith("]") or name.startswith(_NESTED):
        return Family.NESTED
    if name in _AWARE or name in _NAIVE:
        return Family.AWARE if name in _AWARE else Family.NAIVE
    if name in ("VARCHAR", "JSON") or name.startswith("ENUM"):
        return Family.TEXT
    return {"BOOLEAN": Family.BOOLEAN, "NULL": Family.NOTHING}.get(name, Family.OPAQUE)


def read(role: Role, scan: Scan, spec: FeedSpec, where: str) -> Reading:
    """Return how the role is read: an absent column is null, a type that cannot play the role an error."""
    column = scan.columns.get(role.column)
    kind = Family.NOTHING if column is None else family(column.type)
    sql = "" if column is None else column.sql
    if kind is Family.TEXT:
        sql = f"CAST({sql} AS VARCHAR)"
    if kind is Family.FRACTION:
        sql = _unguessed(f"CAST({sql} AS DOUBLE)")
    pair = _EMPTY[role.kind] if kind is Family.NOTHING else _pair(role.kind, sql, kind, spec)
    if pair is None:
        raise SourceError(complaints.wrong_type(where, role, column.type if column else ""))
    return Reading(role, column, *pair)


def keeps(column: Column, spec: FeedSpec, start_us: int, end_us: int) -> str | None:
    """Return a filter on the time column itself that drops no row of the span, so that row groups can be left out."""
    kind = family(column.type)
    if column.type == "TIMESTAMP WITH TIME ZONE":
        return f"{column.sql} >= make_timestamptz({start_us}) AND {column.sql} < make_timestamptz({end_us})"
    if kind is Family.INTEGER and spec.time_unit:
        low, high = (us * _PER_SECOND[spec.time_unit] // 1_000_000 for us in (start_us, end_us))
        return f"{column.sql} BETWEEN {low} AND {high}"
    return None


_Pair = tuple[str, str | None]

_EMPTY: Final[Mapping[RoleKind, _Pair]] = {
    RoleKind.TIME: ("CAST(NULL AS BIGINT)", None),
    RoleKind.NUMBER: ("CAST(NULL AS DOUBLE)", None),
    RoleKind.LABEL: ("CAST(NULL AS SMALLINT)", None),
    RoleKind.FLAG: ("CAST(NULL AS BOOLEAN)", None),
    RoleKind.TEXT: ("CAST(NULL AS VARCHAR)", None),
}


def _pair(role: RoleKind, sql: str, kind: Family, spec: FeedSpec) -> _Pair | None:
    """Return value and fault of a column of this family in this role, or None where it cannot play it."""
    if role is RoleKind.TIME:
        return _time(sql, kind, spec)
    if role is RoleKind.TEXT:
        return None if kind is Family.NESTED else (f"NULLIF(CAST({sql} AS VARCHAR), '')", None)
    return {RoleKind.NUMBER: _number, RoleKind.LABEL: _label, RoleKind.FLAG: _flag}[role](sql, kind)


def _unguessed(sql: str) -> str:
    """Return the same number in a form about which a file's statistics say nothing.

    Those of Parquet leave NaN out, and from a greatest value of 0.9 DuckDB 2.0 concludes that `isnan` is false for
    every row, without looking at one.
    """
    return f"nextafter({sql}, {sql})"


def _number(sql: str, kind: Family) -> _Pair | None:
    if kind is Family.FRACTION:
        return sql, None
    if kind is Family.INTEGER:
        return f"CAST({sql} AS DOUBLE)", None
    if kind is not Family.TEXT:
        return None
    # CAST, not TRY_CAST: should the file change after its check, an error is better than a null that nobody wrote.
    return f"CAST(NULLIF(trim({sql}), '') AS DOUBLE)", _not_empty(sql, f"TRY_CAST({sql} AS DOUBLE)")


def _not_empty(sql: str, value: str) -> str:
    """Return a test for text that says something, but not what it should."""
    return f"{value} IS NULL AND trim({sql}) <> ''"


def _label(sql: str, kind: Family) -> _Pair | None:
    if kind is Family.BOOLEAN:
        return f"CAST({sql} AS SMALLINT)", None
    if kind in (Family.INTEGER, Family.FRACTION):
        return _zero_or_one(f"CAST({sql} AS DOUBLE)"), None
    if kind is not Family.TEXT:
        return None
    # A missing label reads as NaN out of many a data frame; any other text is a bad label.
    by_word = f"CASE lower(trim({sql})) WHEN 'true' THEN 1 WHEN 'false' THEN 0 WHEN '' THEN NULL WHEN 'nan' THEN NULL"
    by_number = f"CASE TRY_CAST({sql} AS DOUBLE) WHEN 0 THEN 0 WHEN 1 THEN 1 ELSE {by_word} ELSE -1 END END"
    return f"CAST(CASE WHEN {sql} IS NOT NULL THEN {by_number} END AS SMALLINT)", None


def _zero_or_one(sql: str) -> str:
    missing = f"{sql} IS NULL OR isnan({sql})"
    return f"CAST(CASE WHEN {missing} THEN NULL WHEN {sql} = 0 THEN 0 WHEN {sql} = 1 THEN 1 ELSE -1 END AS SMALLINT)"


def _flag(sql: str, kind: Family) -> _Pair | None:
    if kind is Family.BOOLEAN:
        return sql, None
    if kind in (Family.INTEGER, Family.FRACTION):
        known = f"CASE WHEN {sql} = 0 THEN false WHEN {sql} = 1 THEN true END"
        return known, f"{sql} IS NOT NULL AND ({known}) IS NULL"
    if kind is not Family.TEXT:
        return None
    word = f"lower(trim({sql}))"
    known = f"CASE WHEN {word} IN ('true', '1', '1.0') THEN true WHEN {word} IN ('false', '0', '0.0') THEN false END"
    return known, _not_empty(sql, f"({known})")


def _time(sql: str, kind: Family, spec: FeedSpec) -> _Pair | None:
    if kind is Family.AWARE:
        return f"epoch_us(CAST({sql} AS TIMESTAMPTZ))", None
    if kind is Family.NAIVE:
        stamp = f"CAST({sql} AS TIMESTAMP)"
        return _or_fault(sql, _in_zone(stamp, spec.time_zone) if spec.time_zone else None)
    if kind is Family.INTEGER:
        return _or_fault(sql, _scaled(sql, spec.time_unit) if spec.time_unit else None)
    if kind is Family.FRACTION:
        return _or_fault(sql, _scaled_fraction(sql, spec.time_unit) if spec.time_unit else None)
    return _time_text(sql, spec) if kind is Family.TEXT else None


def _or_fault(sql: str, value: str | None) -> _Pair:
    """Return the value; without one, every time that is there is a fault."""
    return (value, None) if value else (_EMPTY[RoleKind.TIME][0], f"{sql} IS NOT NULL")


def _in_zone(stamp: str, zone: str) -> str:
    """Return the instant of a local time; of a repeated one the later, of a skipped one as before the clock changed."""
    return f"epoch_us(timezone({literal(zone)}, {stamp}))"


def _scaled(sql: str, unit: TimeUnit) -> str:
    # HUGEINT, because a number in another unit than the one named would overflow on its way to being a bad time.
    wide = f"CAST({sql} AS HUGEINT)"
    scaled = f"{wide} // 1000" if unit is TimeUnit.NS else f"{wide} * {1_000_000 // _PER_SECOND[unit]}"
    return f"TRY_CAST({scaled} AS BIGINT)"


def _scaled_fraction(sql: str, unit: TimeUnit) -> str:
    scaled = f"{sql} / 1000" if unit is TimeUnit.NS else f"{sql} * {1_000_000 // _PER_SECOND[unit]}"
    return f"TRY_CAST(round({scaled}) AS BIGINT)"


def _time_text(sql: str, spec: FeedSpec) -> _Pair:
    zoned = f"(suffix({sql}, 'Z') OR regexp_matches({sql}, {literal(_ZONED)}))"
    number = f"regexp_matches({sql}, {literal(_EPOCH)})"
    branches = [f"WHEN {zoned} THEN {_instant(sql)}", f"WHEN {number} THEN {_scaled_text(sql, spec.time_unit)}"]
    faults = [] if spec.time_unit else [number]
    if spec.time_zone:
        branches.append(f"ELSE {_in_zone(f'TRY_CAST({sql} AS TIMESTAMP)', spec.time_zone)}")
    else:
        # A digit first, because `infinity` and `epoch` are times to DuckDB, but to nobody's log.
        local = f"regexp_matches({sql}, '^ *[0-9]') AND TRY_CAST({sql} AS TIMESTAMP) IS NOT NULL"
        faults.append(f"({local} AND NOT {zoned})")
    value = f"CASE {' '.join(branches)} END"
    return value, f"({value}) IS NULL AND ({' OR '.join(faults)})" if faults else None


def _instant(sql: str) -> str:
    # `2026-03-01 12:00 +0100` and a lower-case z are ISO 8601 in spirit, but not to every DuckDB.
    tidy = f"regexp_replace(regexp_replace(trim({sql}), ' ([+-])', '\\1'), 'z$', 'Z')"
    whole = f"regexp_replace({tidy}, '([T ][0-9]{{2}}:[0-9]{{2}})([Z+-])', '\\1:00\\2')"
    return f"epoch_us(COALESCE(TRY_CAST({sql} AS TIMESTAMPTZ), TRY_CAST({whole} AS TIMESTAMPTZ)))"


def _scaled_text(sql: str, unit: TimeUnit | None) -> str:
    if unit is None:
        return "NULL"
    fraction = _scaled_fraction(f"TRY_CAST({sql} AS DOUBLE)", unit)
    return f"CASE WHEN contains({sql}, '.') THEN {fraction} ELSE {_scaled(f'TRY_CAST({sql} AS BIGINT)', unit)} END"
