"""Dataclasses into rows and back: a field is the column of the same name."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from calslo_dagster.errors import StoreError
from calslo_dagster.slo.model import Bound
from calslo_dagster.store.columns import Instant

if TYPE_CHECKING:
    import pandas as pd

Loaded = TypeVar("Loaded")
Records = list[dict[str, Any]]
# Below so many rows the fixed cost of COPY is not worth it.
COPIED: Final = 500
# How many values one statement may name: SQLite takes 32,766 parameters, and planning takes longer than searching.
_NAMED: Final = 5_000


def records(table: sa.Table, rows: Iterable[Any]) -> Records:
    """Return the columns of dataclasses; a NaN is refused, since SQLite would turn it into a missing value."""
    found = list(rows)
    # Once for all of them, since it takes as long as a row of ten columns.
    names = [f.name for f in fields(found[0])] if found else []
    return [{name: _stored(table, name, getattr(row, name)) for name in names} for row in found]


def _stored(table: sa.Table, column: str, value: Any) -> Any:
    # The SQLite driver writes a numpy integer as a blob.
    plain = value.item() if isinstance(value, np.generic) else value
    if isinstance(plain, float) and math.isnan(plain):
        raise StoreError(f"{table.name}.{column} is NaN; a number that is missing is None")
    return plain.value if isinstance(plain, Enum) else plain


def insert(session: Session, table: sa.Table, found: Records) -> None:
    """Add the records, which all have the same columns; a key that exists already is an error.

    The driver gets plain tuples: SQLAlchemy's executemany takes two thirds of the time of a large partition to look at
    each record, and one statement with many VALUES is ten times slower still.
    """
    if not found:
        return
    connection = session.connection()
    columns = [column for column in table.c if column.key in found[0]]
    rows = _rows(connection.dialect, columns, found)
    if connection.dialect.name == "postgresql" and len(rows) >= COPIED:
        _copy(connection, table, [column.name for column in columns], rows)
        return
    _execute(connection, sa.insert(table), columns, rows)


def _execute(
    connection: sa.Connection, statement: sa.Insert, columns: list[sa.Column[Any]], rows: list[tuple[Any, ...]]
) -> None:
    """Run the statement for each of the rows, whose values are in the order of the table's columns."""
    # Positional placeholders come in that order, too.
    positional: Any = type(connection.dialect)
    dialect = positional(paramstyle="qmark" if connection.dialect.name == "sqlite" else "format")
    compiled = statement.compile(dialect=dialect, column_keys=[column.key for column in columns])
    connection.exec_driver_sql(str(compiled), rows)


def _copy(connection: sa.Connection, table: sa.Table, names: list[str], rows: list[tuple[Any, ...]]) -> None:
    """Add the rows by COPY, which takes PostgreSQL a quarter of the time of single inserts."""
    quoted = connection.dialect.identifier_preparer.quote
    statement = f"COPY {quoted(table.name)} ({', '.join(map(quoted, names))}) FROM STDIN"
    driver: Any = connection.connection
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)
    except connection.dialect.loaded_dbapi.Error as error:
        # As SQLAlchemy raises what its own statements meet.
        raise DBAPIError.instance(statement, None, error, connection.dialect.loaded_dbapi.Error) from error


def _rows(dialect: sa.Dialect, columns: list[sa.Column[Any]], found: Records) -> list[tuple[Any, ...]]:
    return list(zip(*(_bound(dialect, column, found) for column in columns), strict=True))


def _bound(dialect: sa.Dialect, column: sa.Column[Any], found: Records) -> list[Any]:
    """Return the column's values as the driver takes them."""
    values = [record[column.key] for record in found]
    convert = column.type.dialect_impl(dialect).bind_processor(dialect)
    return [convert(value) for value in values] if convert else values


def upsert(session: Session, table: sa.Table, found: Records) -> None:
    """Add the records, which all have the same columns, or overwrite the rows whose key exists, one by one in order."""
    if not found:
        return
    connection = session.connection()
    statement, columns = _insert(session, table), [column for column in table.c if column.key in found[0]]
    changed = {column.key: statement.excluded[column.key] for column in columns if not column.primary_key}
    overwriting = statement.on_conflict_do_update(index_elements=list(table.primary_key), set_=changed)
    _execute(connection, overwriting, columns, _rows(connection.dialect, columns, found))


def insert_new(session: Session, table: sa.Table, found: Records) -> None:
    """Add the records whose key does not exist, and leave the other rows as they are."""
    if found:
        session.execute(_insert(session, table).on_conflict_do_nothing(), found)


def insert_once(session: Session, table: sa.Table, record: dict[str, Any]) -> bool:
    """Add the record if its key does not exist; return whether it is new."""
    statement = _insert(session, table).on_conflict_do_nothing().returning(*table.primary_key)
    return session.execute(statement, record).first() is not None


def _insert(session: Session, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    return sqlite.insert(table) if session.get_bind().dialect.name == "sqlite" else postgresql.insert(table)


def delete(session: Session, table: sa.Table, rows: Iterable[Any]) -> None:
    """Remove the rows that have the keys of these."""
    keys = list(table.primary_key)
    wanted = [{f"key_{key.name}": getattr(row, key.name) for key in keys} for row in rows]
    if wanted:
        match = [key == sa.bindparam(f"key_{key.name}", type_=key.type) for key in keys]
        session.connection().execute(sa.delete(table).where(*match), wanted)


def load(
    session: Session, statement: sa.Select[Any], cls: Callable[..., Loaded], **convert: Callable[[Any], Any]
) -> tuple[Loaded, ...]:
    """Return what the statement selects as instances of `cls`, with these columns converted."""
    return tuple(cls(**_converted(row._mapping, convert)) for row in session.execute(statement))


def _converted(row: Mapping[Any, Any], convert: Mapping[str, Callable[[Any], Any]]) -> dict[str, Any]:
    return {**row, **{name: function(row[name]) for name, function in convert.items()}}


def chunks(values: Iterable[str]) -> Iterator[list[str]]:
    """Yield the values once each, in lists that one statement can search for."""
    known = list(dict.fromkeys(values))
    for start in range(0, len(known), _NAMED):
        yield known[start : start + _NAMED]


def frame(session: Session, statement: sa.Select[Any]) -> "pd.DataFrame":
    """Return what the statement selects, with the same column types whether or not there are rows.

    Instants are `datetime64[us, UTC]`, numbers float64 with NaN for none, integers int64 (float64 where there may be
    none), words objects.
    """
    import pandas as pd  # noqa: PLC0415 - whoever only reads does without its memory

    columns = list(statement.selected_columns)
    values = list(zip(*session.execute(statement).all(), strict=True)) or [()] * len(columns)
    series = {c.key: pd.Series(list(v), dtype=_dtype(c)) for c, v in zip(columns, values, strict=True)}
    return pd.DataFrame(series)


def _dtype(column: sa.ColumnElement[Any]) -> str:
    if isinstance(column, sa.Column) and column.nullable and isinstance(column.type, sa.BigInteger):
        return "float64"
    kinds = ((Instant, "datetime64[us, UTC]"), (sa.Double, "float64"), (sa.BigInteger, "int64"), (sa.Boolean, "bool"))
    return next((dtype for kind, dtype in kinds if isinstance(column.type, kind)), "object")


def bound(low: float | None, high: float | None) -> Bound | None:
    """Return the limit that two columns hold: a number, or a pair when there is an upper end."""
    return low if low is None or high is None else (low, high)


def ends(limit: Bound | None) -> tuple[float | None, float | None]:
    """Return the two columns of a limit."""
    if isinstance(limit, tuple):
        return float(limit[0]), float(limit[1])
    # Estimators return numpy numbers, which the SQLite driver does not take.
    return None if limit is None else float(limit), None
