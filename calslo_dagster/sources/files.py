"""Logs and label feeds in files: Parquet, CSV and JSONL, found by paths, directories and globs."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Generic, TypeVar

import duckdb
import pyarrow as pa

from calslo_dagster.errors import SourceError
from calslo_dagster.sources import complaints
from calslo_dagster.sources.base import FeedSpec, FileFormat, Intake, LabelSpec, SourceSpec, Span, Unit
from calslo_dagster.sources.canonical import canonical, nothing, roles_of
from calslo_dagster.sources.checks import Checked, check
from calslo_dagster.sources.contents import content_of
from calslo_dagster.sources.formats import Shape, all_columns, json_keys, likely_delimiter, scan, shape_of
from calslo_dagster.sources.listing import hive_values, list_units
from calslo_dagster.sources.reading import Scan
from calslo_dagster.sources.roles import Role
from calslo_dagster.sources.troubles import Trouble, explain

_S = TypeVar("_S", bound=FeedSpec)
_UNREADABLE = (duckdb.Error, pa.ArrowException, OSError)
_NOT_THE_FILE = (duckdb.OutOfMemoryException, duckdb.InterruptException)


class Files(Generic[_S]):
    """What logs and label feeds in files have in common; a unit is a file."""

    def __init__(self, spec: _S) -> None:
        self._spec = spec
        self._roles = roles_of(spec)
        self._shapes: dict[str, tuple[str, Shape]] = {}

    @property
    def spec(self) -> _S:
        """What the settings say of it."""
        return self._spec

    def units(self, window_us: Span | None = None) -> list[Unit]:
        """Return all files by name; which hours a file covers is known after its check."""
        return list_units(self._spec)

    def intake(self, connection: duckdb.DuckDBPyConnection, unit: Unit, now: datetime) -> Intake:
        """Check one file: that it can be read, what it covers, which rows have no usable time."""
        if unit.problem:
            return Intake(unit, error=unit.problem, retry=unit.retry)
        try:
            return self._checked(connection, unit, now)
        except SourceError as error:
            return Intake(unit, error=str(error))
        except _UNREADABLE as error:
            trouble = _trouble(unit, error)
            return Intake(unit, error=trouble.message, retry=trouble.retry)

    def _checked(self, connection: duckdb.DuckDBPyConnection, unit: Unit, now: datetime) -> Intake:
        shape = self._shape(connection, unit)
        if shape.is_empty:
            return Intake(unit)
        where = str(unit.path)
        self._require_columns(connection, unit, shape)
        # Before the check, because DuckDB may take compressed data that was cut for data that ends there.
        content = content_of(Path(where), _told(unit, shape))
        checked = check(connection, self._scan(shape, [unit]), self._spec, where=where, now=now)
        if shape.format is FileFormat.JSONL and checked.rows:
            self._require_keys(connection, unit, checked)
        return replace(checked.intake(unit), content=content)

    def _require_columns(self, connection: duckdb.DuckDBPyConnection, unit: Unit, shape: Shape) -> None:
        """Refuse a file without a required column, and name all that it has."""
        names = [*(name for name, _ in shape.columns), *shape.hive]
        for role in self._roles:
            if names.count(role.column) > 1:
                raise SourceError(complaints.repeated_column(str(unit.path), role))
            if role.is_required and role.column not in names:
                self._refuse_delimiter(unit, role)
                found = all_columns(connection, unit, shape)
                raise SourceError(complaints.missing_column(str(unit.path), role, found))

    def _refuse_delimiter(self, unit: Unit, role: Role) -> None:
        """Say so if the column is missing because the columns are divided by something else."""
        told, path = self._spec.delimiter, Path(str(unit.path))
        if unit.format is not FileFormat.CSV:
            return
        if likely := likely_delimiter(path, told, role.column):
            raise SourceError(complaints.other_delimiter(str(path), role, told=told, likely=likely))

    def _require_keys(self, connection: duckdb.DuckDBPyConnection, unit: Unit, checked: Checked) -> None:
        """Refuse a file in which no row has a required key: JSONL has no header that would tell."""
        silent = [role for role in self._roles if role.is_required and not checked.seen.get(role.name)]
        keys = json_keys(connection, unit) if silent else []
        for role in silent:
            if role.column not in keys:
                raise SourceError(complaints.missing_column(str(unit.path), role, keys))

    def _select(self, connection: duckdb.DuckDBPyConnection, units: Sequence[Unit], span: Span | None) -> str:
        groups: dict[Shape, list[Unit]] = {}
        for unit in units:
            try:
                groups.setdefault(self._shape(connection, unit), []).append(unit)
            except _UNREADABLE as error:
                raise SourceError(_trouble(unit, error).message) from error
        selects = [
            canonical(self._scan(shape, members), self._spec, str(members[0].path), span)
            for shape, members in groups.items()
            if not shape.is_empty
        ]
        return " UNION ALL ".join(selects) or nothing(self._spec)

    def _shape(self, connection: duckdb.DuckDBPyConnection, unit: Unit) -> Shape:
        known = self._shapes.get(unit.name)
        if known and known[0] == unit.fingerprint:
            return known[1]
        wanted = [role.column for role in self._roles]
        shape = shape_of(connection, unit, wanted, hive=self._spec.hive, delimiter=self._spec.delimiter)
        self._shapes[unit.name] = (unit.fingerprint, shape)
        return shape

    def _scan(self, shape: Shape, units: Sequence[Unit]) -> Scan:
        return scan(shape, units, self._spec.delimiter)


class FileSource(Files[SourceSpec]):
    """A prediction log in files."""

    def relation(
        self, connection: duckdb.DuckDBPyConnection, units: Sequence[Unit], span_us: Span | None = None
    ) -> str:
        """Return a SELECT of the canonical events of files that passed their check, at most those of the span."""
        return self._select(connection, units, span_us)


class FileLabels(Files[LabelSpec]):
    """A feed of late labels in files."""

    def label_relation(
        self, connection: duckdb.DuckDBPyConnection, units: Sequence[Unit], span_us: Span | None = None
    ) -> str:
        """Return a SELECT of the canonical labels; with a span, those of its events and of events of unknown time."""
        return self._select(connection, units, span_us)


def _told(unit: Unit, shape: Shape) -> dict[str, str]:
    """Return the columns that the folders above the file tell."""
    values = hive_values(Path(str(unit.path))) if shape.hive else {}
    return {name: values[name] for name in shape.hive}


def _trouble(unit: Unit, error: Exception) -> Trouble:
    """Return what is wrong with the file; what is wrong with the machine goes on as it is."""
    if isinstance(error, _NOT_THE_FILE) or unit.path is None:
        raise error
    return explain(unit.path, unit.format, error)
