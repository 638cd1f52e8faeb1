"""Batches of rows that programs send: each is kept once, whole, as a Parquet file that its id names.

A batch is written under a name of its own, forced to disk, and then linked to `batches/<hash of its id>`. Only one
writer can do that, so this link decides which content the id stands for. The file is linked once more to where the
reader of the source looks, under the time at which it came: label batches build on those before them by name, so one
that comes last has the least to compute again. A crash leaves a file that nobody reads, or a batch that is decided and
not yet shown, which sending it again completes.
"""

import json
import os
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from calslo_dagster.errors import IngestError
from calslo_dagster.sources.base import micros

if TYPE_CHECKING:
    import pyarrow as pa

_NOTE: Final = b"calslo.batch"
# A writer takes far less than this, so what is older was left by a crash.
_ABANDONED_SECONDS: Final = 3_600.0


class Feed(StrEnum):
    """What the rows of a batch are; the folder of their files."""

    EVENTS = "events"
    LABELS = "labels"


_NUMBERS: Final = ("score", "label", "weight", "latency_us", "clamp_alpha")
_FLAGS: Final = ("clamped",)
_TIMES: Final = ("event_time", "label_time")
_COLUMNS: Final[Mapping[Feed, Sequence[str]]] = {
    Feed.EVENTS: (
        *("event_time", "score", "label", "prediction_id", "weight", "latency_us"),
        *("clamped", "clamp_alpha", "calibrator_version", "mask_id"),
    ),
    Feed.LABELS: ("prediction_id", "label", "label_time", "event_time"),
}


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows that came together, by canonical column; a column that is absent from a row is null there.

    by: whose token it was; at: when they came.
    """

    feed: Feed
    id: str
    rows: Sequence[Mapping[str, Any]]
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Kept:
    """A batch that is on disk; is_new: by this request; digest: the SHA-256 of its rows; by, at: who sent it, when."""

    is_new: bool
    rows: int
    digest: str
    by: str
    at: datetime


def keep_batch(folder: Path, batch: Batch, slice_columns: Sequence[str]) -> Kept:
    """Keep the batch below the folder of its source, unless it is there; IngestError if its id has other content.

    When this returns, the batch is on disk and the source's reader finds it. OSError: it may not be; doing it again is
    safe.
    """
    import pyarrow.parquet as pq  # noqa: PLC0415 - whoever never gets a batch needs none of it

    digest = rows_digest(batch.rows)
    decided = folder / "batches" / batch.feed / _hash(batch.id)[:2] / f"{_hash(batch.id)}.parquet"
    is_new = not decided.exists() and _decide(folder, decided, batch, digest=digest, slice_columns=slice_columns)
    note = json.loads(pq.read_schema(decided).metadata[_NOTE])
    if note["digest"] != digest:
        raise IngestError(
            f"batch {batch.id!r} of {note['rows']} {batch.feed} was sent by {note['by']} at {note['at']} with other "
            "content, which is kept; send other rows under another batch_id"
        )
    # Even if it is there: whoever put it there may not have forced it to disk yet.
    _link(decided, folder / batch.feed / note["name"])
    return Kept(is_new, note["rows"], digest, note["by"], datetime.fromisoformat(note["at"]))


def rows_digest(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return the SHA-256 of the rows in their order; a null is the same as a column that is absent."""
    whole = sha256()
    for row in rows:
        told = {name: _plain(value) for name, value in row.items() if value is not None}
        whole.update(json.dumps(told, sort_keys=True).encode() + b"\n")
    return whole.hexdigest()


def _plain(value: Any) -> Any:
    return micros(value) if isinstance(value, datetime) else value


def _hash(batch_id: str) -> str:
    return sha256(batch_id.encode()).hexdigest()


def _decide(folder: Path, decided: Path, batch: Batch, *, digest: str, slice_columns: Sequence[str]) -> bool:
    """Have the id stand for this content; return False if another request was first."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - whoever never gets a batch needs none of it

    writing = folder / "batches" / ".writing"
    _make(writing)
    _sweep(writing)
    at = batch.at.astimezone(UTC)
    name = f"{at:%Y-%m-%d}/{at:%H%M%S-%f}-{_hash(batch.id)[:16]}.parquet"
    note = {"id": batch.id, "digest": digest, "rows": len(batch.rows), "by": batch.by, "at": at.isoformat()}
    table = _table(batch, slice_columns).replace_schema_metadata({_NOTE: json.dumps(note | {"name": name})})
    written = writing / uuid.uuid4().hex
    try:
        with written.open("wb") as file:
            pq.write_table(table, file)
            file.flush()
            os.fsync(file.fileno())
        return _link(written, decided)
    finally:
        written.unlink(missing_ok=True)


def _table(batch: Batch, slice_columns: Sequence[str]) -> "pa.Table":
    import pyarrow as pa  # noqa: PLC0415 - whoever never gets a batch needs none of it

    # A label is a number, because one that is neither 0 nor 1 is kept and counted as a bad label.
    types = dict.fromkeys(_NUMBERS, pa.float64()) | dict.fromkeys(_FLAGS, pa.bool_())
    types |= dict.fromkeys(_TIMES, pa.timestamp("us", tz="UTC"))
    names = (*_COLUMNS[batch.feed], *(slice_columns if batch.feed is Feed.EVENTS else ()))
    return pa.table(
        {name: pa.array([row.get(name) for row in batch.rows], types.get(name, pa.string())) for name in names}
    )


def _link(written: Path, path: Path) -> bool:
    """Give the file this name too, whole and for good; return False if the name is taken."""
    _make(path.parent)
    try:
        path.hardlink_to(written)
    except FileExistsError:
        is_ours = False
    else:
        is_ours = True
    _sync(path.parent)
    return is_ours


def _make(folder: Path) -> None:
    """Make the folder so that it is there after a crash."""
    if folder.exists():
        return
    _make(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync(folder.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sweep(writing: Path) -> None:
    """Remove what crashes left."""
    for path in writing.iterdir():
        try:
            if path.stat().st_mtime < time.time() - _ABANDONED_SECONDS:
                path.unlink()
        except FileNotFoundError:
            continue
