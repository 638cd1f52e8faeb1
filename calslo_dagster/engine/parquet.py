"""Fact files on disk: sorted Parquet that names its grid, its slices and its resolution.

DuckDB writes equal sorted rows as equal bytes, whatever the threads and the memory limit.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Self

import duckdb

from calslo_dagster.engine.facts import PENDING_COLUMNS, Fact
from calslo_dagster.errors import SnapshotError
from calslo_dagster.stats.grid import GRID_ID

# Neither ids nor scores repeat enough for a dictionary; the attempt at one costs more than writing them.
_ENCODING: Final = "PARQUET_VERSION v2, DICTIONARY_SIZE_LIMIT 4096"
_STAGED: Final = f"COMPRESSION uncompressed, {_ENCODING}"
_KEPT: Final = f"COMPRESSION zstd, {_ENCODING}"


@dataclass(frozen=True, slots=True)
class Notes:
    """What a fact file says of itself; resolution_us is the width of its buckets."""

    slice_columns: tuple[str, ...]
    resolution_us: int
    grid: str = GRID_ID

    def sql(self) -> str:
        """Return the option of COPY that writes the notes."""
        slices, resolution = literal(json.dumps(self.slice_columns)), literal(str(self.resolution_us))
        return f"KV_METADATA {{grid: {literal(self.grid)}, slices: {slices}, resolution_us: {resolution}}}"

    @classmethod
    def parse(cls, notes: dict[str, str], path: str) -> Self:
        """Return the notes of a file, refusing one that is not a fact file of this grid."""
        if notes.get("grid") != GRID_ID:
            raise SnapshotError(
                f"{path} has grid {notes.get('grid')!r}, not {GRID_ID!r}; snapshots of two grids cannot be added: "
                "aggregate its span again"
            )
        return cls(tuple(json.loads(notes["slices"])), int(notes["resolution_us"]))


def literal(text: str) -> str:
    """Return a string as a SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """Return a column name as a SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def rows_of(paths: Iterable[Path]) -> str:
    """Return the SELECT of all rows of Parquet files that have the same columns."""
    listed = ", ".join(literal(str(path)) for path in paths)
    # A folder called `a=b` somewhere above would otherwise become a column.
    return f"SELECT * FROM read_parquet([{listed}], hive_partitioning = false)"


def stage(connection: duckdb.DuckDBPyConnection, select: str, path: Path) -> Path:
    """Write rows that are read again right away."""
    connection.execute(f"COPY ({select}) TO {literal(str(path))} (FORMAT parquet, {_STAGED})").fetchall()
    return path


def write_fact(connection: duckdb.DuckDBPyConnection, select: str, path: Path, notes: Notes) -> None:
    """Write the rows of a sorted SELECT; raise SnapshotError where a sum leaves 64 bits."""
    with exact_sums():
        text = f"COPY ({select}) TO {literal(str(path))} (FORMAT parquet, {_KEPT}, {notes.sql()})"
        # A result that is not fetched keeps the connection busy.
        connection.execute(text).fetchall()


def fact_files(partials: Iterable[Path], fact: Fact | str) -> list[Path]:
    """Return the files of one fact that the partials have."""
    name = fact if isinstance(fact, str) else fact.name
    paths = (partial / f"{name}.parquet" for partial in partials)
    return [path for path in paths if path.exists()]


def read_notes(connection: duckdb.DuckDBPyConnection, paths: Sequence[Path]) -> list[Notes]:
    """Return the notes of each file, refusing files of another grid."""
    if not paths:
        return []
    listed = ", ".join(literal(str(path)) for path in paths)
    rows = connection.execute(f"SELECT file_name, key, value FROM parquet_kv_metadata([{listed}])").fetchall()
    found: dict[str, dict[str, str]] = {str(path): {} for path in paths}
    for path, key, value in rows:
        found[path][key.decode()] = value.decode()
    return [Notes.parse(notes, path) for path, notes in found.items()]


def common_slices(notes: Sequence[Notes]) -> tuple[str, ...]:
    """Return the slice columns that all files share, refusing a mixture."""
    kinds = {note.slice_columns for note in notes}
    if len(kinds) > 1:
        raise SnapshotError(
            f"snapshots with slices {' and '.join(str(list(kind)) for kind in sorted(kinds))} cannot be added: "
            "the slice columns changed; aggregate the older spans again"
        )
    return kinds.pop() if kinds else ()


def key_columns(fact: Fact, slice_columns: Sequence[str]) -> tuple[str, ...]:
    """Return the key of a fact's rows, in the order they are sorted by."""
    return ("t", *slice_columns, "version", *fact.keys)


def event_order(slice_columns: Sequence[str]) -> tuple[str, ...]:
    """Return the columns that single events, waiting for a label or labelled, are sorted by."""
    others = [name for name in PENDING_COLUMNS if name != "event_us"]
    return ("event_us", *others, *slice_columns)


def sort_order(columns: Sequence[str]) -> str:
    """Return the order that fact files are written in."""
    return ", ".join(f"{identifier(name)} NULLS FIRST" for name in columns)


@contextmanager
def exact_sums() -> Iterator[None]:
    """Turn a sum that leaves 64 bits into an error that says what to do."""
    try:
        yield
    except (duckdb.ConversionException, duckdb.OutOfRangeException) as error:
        raise SnapshotError(
            "a fixed-point sum left 64 bits: too many events in one snapshot, or weights far above 1; divide the "
            f"weights by their mean, or use a shorter window ({str(error).splitlines()[0]})"
        ) from error


@contextmanager
def scratch(connection: duckdb.DuckDBPyConnection) -> Iterator[Path]:
    """Yield a folder beside DuckDB's own spill files that is gone afterwards."""
    row = connection.execute("SELECT current_setting('temp_directory')").fetchone()
    parent = Path(row[0]) if row and row[0] and Path(row[0]).is_dir() else None
    with TemporaryDirectory(prefix="calslo-", dir=parent) as folder:
        yield Path(folder)
