"""Column types that mean the same on SQLite and PostgreSQL: instants in UTC, names that sort by code point, numbers."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.types import TypeDecorator, TypeEngine

# Few instants are shared by many rows: a day of measurements names 96 window ends, whatever the number of slices.
_REMEMBERED: Final = 16_384
# Made once: `json.dumps` would make one for each of ten thousand findings.
_JSON: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))


class Instant(TypeDecorator[datetime]):
    """An aware instant: `timestamptz` on PostgreSQL, sortable UTC text with microseconds on SQLite.

    A naive time is refused with a ValueError; what comes back is always in UTC.
    """

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> TypeEngine[Any]:
        """Return text on SQLite, which has no type for time."""
        return dialect.type_descriptor(sa.String(26) if dialect.name == "sqlite" else sa.DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> Any:
        """Return what the driver stores."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value.isoformat()} has no time zone; times are stored in UTC and must be aware")
        return _to_text(value) if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> datetime | None:
        """Return the instant in UTC."""
        if value is None:
            return None
        return _from_text(value) if dialect.name == "sqlite" else value.astimezone(UTC)


@lru_cache(_REMEMBERED)
def _to_text(value: datetime) -> str:
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")


@lru_cache(_REMEMBERED)
def _from_text(value: str) -> datetime:
    return datetime.fromisoformat(value).replace(tzinfo=UTC)


def name(length: int = 200) -> TypeEngine[str]:
    """Return the type of a name, compared and sorted by code point, whatever collation the database has."""
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


# `none_as_null`: an absent value is SQL NULL, not the JSON word null, so `IS NULL` finds it.
JSON: Final = sa.JSON(none_as_null=True)
FLOAT: Final[sa.Double[float]] = sa.Double()
INT, BOOL, TEXT, BLOB = sa.BigInteger(), sa.Boolean(), sa.Text(), sa.LargeBinary()
WORD, NAME, SLICE, PATH, DIGEST = name(32), name(100), name(200), name(1000), name(64)
INSTANT, DATE = Instant(), sa.Date()


def key(**types: TypeEngine[Any]) -> Iterator[sa.Column[Any]]:
    """Yield columns of the primary key, in this order."""
    for column, type_ in types.items():
        yield sa.Column(column, type_, primary_key=True, autoincrement=False)


def numbered() -> sa.Column[int]:
    """Return a primary key that the database counts up."""
    return sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True)


def required(**types: TypeEngine[Any]) -> Iterator[sa.Column[Any]]:
    """Yield columns that always hold a value."""
    for column, type_ in types.items():
        yield sa.Column(column, type_, nullable=False)


def optional(**types: TypeEngine[Any]) -> Iterator[sa.Column[Any]]:
    """Yield columns that may hold nothing."""
    for column, type_ in types.items():
        yield sa.Column(column, type_, nullable=True)


def to_json(value: Any) -> str:
    """Return the value as JSON text; NaN and infinities are refused, since not every reader would take them."""
    return _JSON.encode(value)
