"""Logs and label feeds in a table or view of SQLite or PostgreSQL, by SQLAlchemy URL; a unit is a UTC hour."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final, Generic, TypeVar

import duckdb
import sqlalchemy as sa

from calslo_dagster.errors import SourceError
from calslo_dagster.sources.base import FeedSpec, Intake, LabelSpec, SourceSpec, Span, Unit
from calslo_dagster.sources.canonical import canonical, nothing, roles_of
from calslo_dagster.sources.checks import check
from calslo_dagster.sources.extracts import Scratch, write_extract
from calslo_dagster.sources.formats import pattern_of
from calslo_dagster.sources.hours import belongs, condition, list_hours
from calslo_dagster.sources.layouts import Layout, describe
from calslo_dagster.sources.reading import Column, Scan, literal, quote, read

_S = TypeVar("_S", bound=FeedSpec)
_BACKENDS: Final = ("sqlite", "postgresql")


class Tables(Generic[_S]):
    """What logs and label feeds in tables have in common."""

    def __init__(self, spec: _S, scratch: Path | None = None) -> None:
        self._spec = spec
        self._roles = roles_of(spec)
        self._scratch = Scratch(scratch)
        self._layout: Layout | None = None

    @property
    def spec(self) -> _S:
        """What the settings say of it."""
        return self._spec

    def units(self, window_us: Span | None = None) -> list[Unit]:
        """Return the hours of the window that have rows; without a window, of the whole table."""
        try:
            with self._connected() as connection:
                self._layout = describe(connection, self._spec, self._where)
                return list_hours(connection, self._layout, self._spec, window_us)
        except SourceError as error:
            return [Unit(self._spec.table, str(error), problem=str(error))]
        except sa.exc.DBAPIError as error:
            problem = f"{self._where}: {_said(error)}"
            return [Unit(self._spec.table, problem, problem=problem, retry=_may_pass(error))]

    def intake(self, connection: duckdb.DuckDBPyConnection, unit: Unit, now: datetime) -> Intake:
        """Check one hour: its types and values, and which rows have no usable time."""
        if unit.problem:
            return Intake(unit, error=unit.problem, retry=unit.retry)
        where = f"{self._where}, {unit.name}"
        try:
            (scan,) = self._scans([unit])
            return check(connection, scan, self._spec, where=where, now=now).intake(unit)
        except SourceError as error:
            return Intake(unit, error=str(error))
        except sa.exc.DBAPIError as error:
            return Intake(unit, error=f"{where}: {_said(error)}", retry=_may_pass(error))

    def _select(self, units: Sequence[Unit], span: Span | None) -> str:
        try:
            scans = self._scans(units)
        except sa.exc.DBAPIError as error:
            raise SourceError(f"{self._where}: {_said(error)}") from error
        selects = [canonical(scan, self._spec, self._where, span) for scan in scans]
        return " UNION ALL ".join(selects) or nothing(self._spec)

    def _scans(self, units: Sequence[Unit]) -> list[Scan]:
        """Return a scan of each unit's extract, after extracting what is not there yet."""
        paths = [self._scratch.path(unit) for unit in units]
        self._scratch.sweep(len(units))
        missing = [(unit, path) for unit, path in zip(units, paths, strict=True) if not path.exists()]
        if missing or self._layout is None:
            with self._connected() as connection:
                self._layout = self._layout or describe(connection, self._spec, self._where)
                for unit, path in missing:
                    rows = self._layout.extract(self._roles, condition(self._layout, unit, self._spec))
                    write_extract(connection, rows, path)
        return [self._scan(self._layout, unit, path) for unit, path in zip(units, paths, strict=True)]

    def _scan(self, layout: Layout, unit: Unit, path: Path) -> Scan:
        names = [role.column for role in self._roles if role.column in layout.types]
        columns = {name: Column(f"f.{quote(name)}") for name in names}
        plain = Scan(f"read_parquet({literal(pattern_of(path))}) AS f", columns)
        if layout.time is None:
            return plain
        time = read(layout.time, plain, self._spec, self._where).value
        return Scan(f"(SELECT * FROM {plain.source} WHERE {belongs(time, unit, self._spec)}) AS f", columns)

    @property
    def _where(self) -> str:
        return f'table "{self._spec.table}" at {_shown(self._spec.url)}'

    @contextmanager
    def _connected(self) -> Iterator[sa.Connection]:
        with _engine(self._spec.url, self._where).connect() as connection:
            yield connection


class TableSource(Tables[SourceSpec]):
    """A prediction log in a table or view."""

    def relation(
        self, connection: duckdb.DuckDBPyConnection, units: Sequence[Unit], span_us: Span | None = None
    ) -> str:
        """Return a SELECT of the canonical events of hours that passed their check; it holds until the next call."""
        return self._select(units, span_us)


class TableLabels(Tables[LabelSpec]):
    """A feed of late labels in a table or view."""

    def label_relation(
        self, connection: duckdb.DuckDBPyConnection, units: Sequence[Unit], span_us: Span | None = None
    ) -> str:
        """Return a SELECT of the canonical labels of hours that passed their check; it holds until the next call."""
        return self._select(units, span_us)


def _engine(url: str, where: str) -> sa.Engine:
    """Return the engine, or raise SourceError for a URL that we cannot or must not open."""
    try:
        parsed = sa.make_url(url)
        backend = parsed.get_backend_name()
    except (sa.exc.ArgumentError, ValueError):
        raise SourceError(f"{where}: not a database URL; write sqlite:///FILE or postgresql+psycopg://...") from None
    if backend not in _BACKENDS:
        raise SourceError(f"{where}: only {' and '.join(_BACKENDS)} are supported, not {backend}")
    # SQLite makes a new, empty database of a name that it does not find.
    if backend == "sqlite" and not Path(parsed.database or "").is_file():
        raise SourceError(f"{where}: there is no such file; correct the url")
    try:
        # A pool would keep a file or a server busy between two minutes.
        return sa.create_engine(parsed, poolclass=sa.NullPool)
    except (ImportError, sa.exc.NoSuchModuleError) as error:
        advice = 'run `pip install "calslo_dagster[postgres]"` and write postgresql+psycopg://...'
        raise SourceError(f"{where}: no driver ({error}); {advice}") from None


def _shown(url: str) -> str:
    try:
        return sa.make_url(url).render_as_string(hide_password=True)
    except sa.exc.ArgumentError:
        return "a URL that is none"


def _may_pass(error: sa.exc.DBAPIError) -> bool:
    return isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError)


def _said(error: sa.exc.DBAPIError) -> str:
    """Return what the driver said, without the statement and its values."""
    return str(error.orig).strip().splitlines()[0]
