"""What a table or view looks like to its database: columns, types, and the clock that divides it into hours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from calslo_dagster.errors import SourceError
from calslo_dagster.sources import complaints
from calslo_dagster.sources.base import FeedSpec, LabelSpec
from calslo_dagster.sources.canonical import roles_of
from calslo_dagster.sources.roles import Role, RoleKind
from calslo_dagster.sources.tables import Clock, Element, Storage, as_text, storage_of

_SQLITE_STORAGE: Final = {"integer": Storage.NUMBER, "real": Storage.NUMBER, "text": Storage.TEXT}


@dataclass(frozen=True, slots=True)
class Layout:
    """A table as its database describes it; `time` is the role by which it falls into hours, if it has one."""

    where: str
    table: sa.TableClause
    types: Mapping[str, sa.types.TypeEngine[Any]]
    is_sqlite: bool
    time: Role | None = None
    clock: Clock | None = None

    def extract(self, roles: Sequence[Role], condition: Element) -> sa.Select[Any]:
        """Return the query for the mapped columns of the rows that meet the condition, each under its own name."""
        wanted = {role.column: role for role in roles if role.column in self.types}
        columns = [self._extracted(role).label(column) for column, role in wanted.items()]
        return sa.select(*columns).select_from(self.table).where(condition)

    def _extracted(self, role: Role) -> Element:
        column, kind = self.table.c[role.column], self.types[role.column]
        if self.is_sqlite:
            return column
        if role.kind is RoleKind.TIME:
            return as_text(column, storage_of(kind))
        # The shortest text of a 4-byte number is another number in 8 bytes; the database widens it exactly.
        return sa.cast(column, sa.Double) if isinstance(kind, sa.REAL) else column


def describe(connection: sa.Connection, spec: FeedSpec, where: str) -> Layout:
    """Return the layout of the table, or raise SourceError for a table that cannot be a log or label feed."""
    schema, _, name = spec.table.rpartition(".")
    try:
        described = sa.inspect(connection).get_columns(name, schema or None)
    except sa.exc.NoSuchTableError:
        raise SourceError(f'{where}: there is no such table or view; correct "table"') from None
    types = {str(column["name"]): column["type"] for column in described}
    for role in roles_of(spec):
        if role.is_required and role.column not in types:
            raise SourceError(complaints.missing_column(where, role, types))
    if spec.cursor and spec.cursor not in types:
        raise SourceError(f'{where}: no column "{spec.cursor}"; columns found: {", ".join(types)}; correct "cursor"')
    table = sa.table(name, *(sa.column(column) for column in types), schema=schema or None)
    layout = Layout(where, table, types, is_sqlite=connection.dialect.name == "sqlite")
    time = _time_role(spec, types)
    return layout if time is None else _with_clock(connection, layout, time, spec)


def _time_role(spec: FeedSpec, types: Mapping[str, object]) -> Role | None:
    """Return the time that orders the rows: of a feed when the label came, else when the event was."""
    order = ("label_time", "event_time") if isinstance(spec, LabelSpec) else ("event_time",)
    roles = {role.name: role for role in roles_of(spec)}
    return next((roles[name] for name in order if roles[name].column in types), None)


def _with_clock(connection: sa.Connection, layout: Layout, time: Role, spec: FeedSpec) -> Layout:
    column, kind = layout.table.c[time.column], layout.types[time.column]
    storage = _sqlite_storage(connection, layout, column) if layout.is_sqlite else storage_of(kind)
    if storage is None:
        raise SourceError(complaints.wrong_type(layout.where, time, str(kind)))
    clock = Clock(column, storage, spec, layout.is_sqlite)
    return Layout(layout.where, layout.table, layout.types, layout.is_sqlite, time, clock)


def _sqlite_storage(connection: sa.Connection, layout: Layout, column: Element) -> Storage | None:
    """Return how the first time is kept; the declared type of an SQLite column binds nobody."""
    kind = sa.select(sa.func.typeof(column)).select_from(layout.table).where(column.is_not(None)).limit(1)
    return _SQLITE_STORAGE.get(connection.scalar(kind) or "text")
