"""Rows of a database as temporary Parquet files, each value as text, so that one reading serves files and tables."""

import hashlib
import json
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from calslo_dagster.sources.base import Unit

_BATCH: Final = 20_000
_KEPT: Final = 48


class Scratch:
    """A folder of extracts, newest last; it goes when the source goes."""

    def __init__(self, parent: Path | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="calslo-extract-", dir=parent))
        self._used: dict[Path, None] = {}
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)

    def path(self, unit: Unit) -> Path:
        """Return where the extract of this state of the unit belongs, and remember that it is in use."""
        digest = hashlib.sha256(f"{unit.name}:{unit.fingerprint}".encode()).hexdigest()[:32]
        path = self.folder / f"{digest}.parquet"
        self._used.pop(path, None)
        self._used[path] = None
        return path

    def sweep(self, needed: int) -> None:
        """Remove the extracts that were used longest ago, beyond those that are needed now."""
        for path in list(self._used)[: -max(_KEPT, needed)]:
            path.unlink(missing_ok=True)
            del self._used[path]


def write_extract(connection: sa.Connection, select: sa.Select[Any], path: Path) -> None:
    """Stream the rows of the select into a Parquet file of text columns; the file is there whole or not at all."""
    result = connection.execution_options(stream_results=True, yield_per=_BATCH).execute(select)
    schema = pa.schema([(column.name, pa.string()) for column in select.selected_columns])
    unfinished = path.with_suffix(".tmp")
    with pq.ParquetWriter(str(unfinished), schema, compression="zstd") as writer:
        for batch in _batches(result, schema):
            writer.write_batch(batch)
    unfinished.replace(path)


def as_text(value: object) -> str | None:
    """Return a value as the text from which it is read again without loss."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    return json.dumps(value) if isinstance(value, dict | list) else str(value)


def text_column(values: Sequence[object]) -> pa.Array:
    """Return the values as a text column; by the column where all are of one plain type, which is four times faster."""
    kinds = set(map(type, values)) - {type(None)}
    if kinds <= {str}:
        return pa.array(values, pa.string())
    if kinds == {float}:
        # Arrow writes the shortest text that is read as the same number again, as `repr` does.
        return pa.array(values, pa.float64()).cast(pa.string())
    return pa.array([as_text(value) for value in values], pa.string())


def _batches(result: sa.CursorResult[Any], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for rows in result.partitions():
        yield pa.record_batch([text_column(column) for column in zip(*rows, strict=True)], schema)
