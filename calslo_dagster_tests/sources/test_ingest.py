"""Batches on disk: nothing half written is ever read, and what a crash left is completed or swept away."""

import multiprocessing
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from calslo_dagster.errors import IngestError
from calslo_dagster.sources import ingest
from calslo_dagster.sources.base import SourceSpec
from calslo_dagster.sources.files import FileSource
from calslo_dagster.sources.ingest import Batch, Feed, keep_batch, rows_digest

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ROWS = ({"event_time": NOW, "score": 0.5}, {"event_time": NOW, "score": 1.5, "intent": "buy"})
STEPS = 18


def batch(*, rows: Any = ROWS, at: datetime = NOW) -> Batch:
    return Batch(Feed.EVENTS, "b/1", rows, "worker", at)


def units(folder: Path) -> list[str]:
    (folder / "events").mkdir(parents=True, exist_ok=True)
    return [unit.name for unit in FileSource(SourceSpec(name="live", paths=(str(folder / "events"),))).units()]


def _dying(folder: Path, step: int) -> None:
    """Keep the batch, and end at once, as a crash does, before the given one of its steps on the disk."""
    left = step

    def counted(function: Any) -> Any:
        def call(*given: Any, **named: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                os._exit(9)
            return function(*given, **named)

        return call

    os.fsync = counted(os.fsync)
    Path.hardlink_to = counted(Path.hardlink_to)  # type: ignore[method-assign]  # this process ends here
    Path.unlink = counted(Path.unlink)  # type: ignore[method-assign]  # this process ends here
    ingest.pq.write_table = counted(ingest.pq.write_table)
    keep_batch(folder, batch(), ("intent",))
    os._exit(0)


def test_a_crash_at_any_step_leaves_the_batch_whole_or_unseen_and_sending_it_again_completes_it(tmp_path: Path) -> None:
    codes = []
    for step in range(STEPS):
        folder = tmp_path / str(step)
        process = multiprocessing.get_context("fork").Process(target=_dying, args=(folder, step))
        process.start()
        process.join()
        codes.append(process.exitcode)
        seen = units(folder)

        kept = keep_batch(folder, batch(at=NOW + timedelta(days=1)), ("intent",))
        assert kept.rows == len(ROWS)
        [name] = units(folder)
        assert seen in ([], [name])
        assert (folder / "events" / name).stat().st_size == kept_size(folder)
    assert codes[0] == 9
    assert codes[-1] == 0


def kept_size(folder: Path) -> int:
    [path] = (folder / "batches" / "events").rglob("*.parquet")
    return path.stat().st_size


def test_what_crashes_left_is_swept_away_once_nobody_can_be_writing_it(tmp_path: Path) -> None:
    writing = tmp_path / "batches" / ".writing"
    writing.mkdir(parents=True)
    for name, age in (("old", 4_000), ("new", 0)):
        (writing / name).write_bytes(b"half")
        at = (writing / name).stat().st_mtime - age
        os.utime(writing / name, (at, at))

    keep_batch(tmp_path, batch(), ())
    assert [path.name for path in writing.iterdir()] == ["new"]


def test_an_id_stands_for_one_content(tmp_path: Path) -> None:
    first = keep_batch(tmp_path, batch(), ("intent",))

    assert first.is_new
    assert not keep_batch(tmp_path, batch(rows=[{**row, "label": None} for row in ROWS]), ()).is_new
    with pytest.raises(IngestError, match="sent by worker at 2026-03-01"):
        keep_batch(tmp_path, batch(rows=ROWS[:1]), ("intent",))
    assert rows_digest(ROWS) == first.digest != rows_digest(ROWS[::-1])
