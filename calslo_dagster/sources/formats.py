"""How files are read: Parquet by its own schema, CSV and JSONL as text whose columns are named up front."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

from calslo_dagster.sources.base import FileFormat, Unit
from calslo_dagster.sources.listing import compression_of, hive_values
from calslo_dagster.sources.reading import Column, Scan, literal, quote

_BLOCK: Final = 1 << 16
_LONGEST_HEADER: Final = 1 << 20
# The name under which a scan tells each row's file; a log that uses it for a column of its own is not to be expected.
_FILE: Final = "calslo file"
_DELIMITERS: Final = (";", "\t", "|", ",")
_HIVE_NULL: Final = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True, slots=True)
class Shape:
    """What files must share to be read by one scan.

    columns: names and types in the order of the file (JSONL: those asked for); hive: columns that only the
    directories have.
    """

    format: FileFormat
    columns: tuple[tuple[str, str], ...]
    compression: str | None = None
    hive: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether the file holds nothing at all, not even a header."""
        return not self.columns and self.format is not FileFormat.PARQUET


def shape_of(
    connection: duckdb.DuckDBPyConnection, unit: Unit, wanted: Iterable[str], *, hive: bool, delimiter: str
) -> Shape:
    """Return the shape of a file, as far as the wanted columns matter."""
    path, form, names = _path(unit), unit.format, tuple(dict.fromkeys(wanted))
    if form is FileFormat.PARQUET:
        types = dict(parquet_columns(connection, path))
        columns = tuple((name, types[name]) for name in names if name in types)
    elif form is FileFormat.CSV:
        columns = tuple((name, "VARCHAR") for name in header(path, delimiter))
    else:
        columns = ()
    inside = {name for name, _ in columns}
    outside = hive_values(path) if hive else {}
    above = tuple(name for name in names if name in outside and name not in inside)
    if form is FileFormat.JSONL and path.stat().st_size:
        columns = tuple((name, "VARCHAR") for name in names if name not in above)
    compression = compression_of(path) if form is not FileFormat.PARQUET else None
    return Shape(form or FileFormat.JSONL, columns, compression, above)


def parquet_columns(connection: duckdb.DuckDBPyConnection, path: Path) -> list[tuple[str, str]]:
    """Return names and DuckDB types of a Parquet file's columns."""
    source = f"read_parquet({literal(pattern_of(path))}, hive_partitioning = false)"
    return [(str(row[0]), str(row[1])) for row in connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()]


def all_columns(connection: duckdb.DuckDBPyConnection, unit: Unit, shape: Shape) -> list[str]:
    """Return the names of all columns of a file with a schema, wanted or not."""
    own = [name for name, _ in shape.columns]
    if shape.format is FileFormat.PARQUET:
        own = [name for name, _ in parquet_columns(connection, _path(unit))]
    return [*own, *shape.hive]


def header(path: Path, delimiter: str) -> list[str]:
    """Return the column names of a CSV file; none when it is blank."""
    data = b""
    with pa.input_stream(str(path), compression=compression_of(path)) as stream:
        while b"\n" not in data and len(data) < _LONGEST_HEADER and (block := stream.read(_BLOCK)):
            data += block
    text = data.decode("utf-8", errors="replace").removeprefix("\ufeff")
    return next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), []) if text.strip() else []


def likely_delimiter(path: Path, told: str, wanted: str) -> str | None:
    """Return what else seems to divide the columns of a CSV file in which the wanted column is not found."""
    undivided = len(header(path, told)) == 1
    for delimiter in _DELIMITERS:
        found = header(path, delimiter)
        if delimiter != told and len(found) > 1 and (undivided or wanted in found):
            return delimiter
    return None


def scan(shape: Shape, units: Sequence[Unit], delimiter: str) -> Scan:
    """Return the scan of files of one shape."""
    paths = [_path(unit) for unit in units]
    files = "[" + ", ".join(literal(pattern_of(path)) for path in paths) + "]"
    options = f"hive_partitioning = false{f', filename = {literal(_FILE)}' if shape.hive else ''}"
    packed = _packed(shape.compression)
    if shape.format is FileFormat.PARQUET:
        source, columns = f"read_parquet({files}, {options})", {name: name for name, _ in shape.columns}
    elif shape.format is FileFormat.CSV:
        # Columns go by position, so that names which differ in case only, or are empty, do no harm.
        columns = {name: f"c{i}" for i, (name, _) in enumerate(shape.columns)}
        names = _struct(f"c{i}" for i in range(len(shape.columns)))
        dialect = f"header = true, auto_detect = false, delim = {literal(delimiter)}, quote = '\"', escape = '\"'"
        source = f"read_csv({files}, columns = {names}, {dialect}{packed}, {options})"
    else:
        columns = {name: name for name, _ in shape.columns}
        named = f"columns = {_struct(columns)}, format = 'newline_delimited'{packed}"
        source = f"read_json({files}, {named}, {options})"
    types = dict(shape.columns)
    found = {name: Column(f"f.{quote(inner)}", types[name]) for name, inner in columns.items()}
    found.update({name: Column(f"h.{quote(name)}") for name in shape.hive})
    return Scan(f"{source} AS f{_hive_join(shape, paths)}", found)


def json_keys(connection: duckdb.DuckDBPyConnection, unit: Unit) -> list[str]:
    """Return every key of the objects in a JSONL file, by name."""
    path = _path(unit)
    options = f"format = 'newline_delimited'{_packed(compression_of(path))}"
    source = f"read_json_objects({literal(pattern_of(path))}, {options}, hive_partitioning = false)"
    found = connection.execute(f"SELECT DISTINCT unnest(json_keys(json)) AS key FROM {source} ORDER BY 1")
    return [str(row[0]) for row in found.fetchall()]


def pattern_of(path: Path) -> str:
    """Return the path as a pattern that matches nothing else."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in str(path))


def _packed(compression: str | None) -> str:
    return f", compression = '{compression}'" if compression else ""


def _path(unit: Unit) -> Path:
    if unit.path is None:
        raise TypeError(f"{unit.name} is not a file")
    return unit.path


def _struct(names: Iterable[str]) -> str:
    return "{" + ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names) + "}"


def _hive_join(shape: Shape, paths: Sequence[Path]) -> str:
    """Return the join that adds what the directories say; DuckDB's own reading of them refuses uneven trees."""
    if not shape.hive:
        return ""
    rows = []
    for path in paths:
        values = hive_values(path)
        rows.append(f"({', '.join([literal(str(path)), *(_hive_literal(values[name]) for name in shape.hive)])})")
    names = ", ".join(["file", *(quote(name) for name in shape.hive)])
    return f" JOIN (VALUES {', '.join(rows)}) AS h({names}) ON f.{quote(_FILE)} = h.file"


def _hive_literal(value: str) -> str:
    return "CAST(NULL AS VARCHAR)" if value == _HIVE_NULL else literal(value)
