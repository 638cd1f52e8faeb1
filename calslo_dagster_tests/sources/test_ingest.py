"""Batches on disk: nothing half written is ever read, and what a crash left is completed or swept away."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from calslo_dagster.errors import IngestError
from calslo_dagster.sources.base import SourceSpec
from calslo_dagster.sources.files import FileSource
from calslo_dagster.sources.ingest import Batch, Feed, keep_batch, rows_digest

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ROWS = ({"event_time": NOW, "score": 0.5}, {"event_time": NOW, "score": 1.5, "intent": "buy"})
STEPS = 17


def batch(*, rows: Any = ROWS, at: datetime = NOW) -> Batch:
    return Batch(Feed.EVENTS, "b/1", rows, "worker", at)


def units(folder: Path) -> list[str]:
    (folder / "events").mkdir(parents=True, exist_ok=True)
    return [unit.name for unit in FileSource(SourceSpec(name="live", paths=(str(folder / "events"),))).units()]


class Crash(BaseException):
    """The process is gone: from here on nothing that it does reaches the disk."""


def crashing(patch: pytest.MonkeyPatch, step: int) -> None:
    """Have the process crash before this one of its steps on the disk."""
    left = [step]

    def dying(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                raise Crash
            return function(*given, **named)

        return call

    for owner, name in ((os, "fsync"), (Path, "hardlink_to"), (Path, "unlink"), (Path, "mkdir"), (pq, "write_table")):
        patch.setattr(owner, name, dying(getattr(owner, name)))


@pytest.mark.parametrize("step", range(STEPS))
def test_a_crash_at_any_step_leaves_the_batch_whole_or_unseen_and_sending_it_again_completes_it(
    tmp_path: Path, step: int
) -> None:
    units(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        crashing(patch, step)
        with pytest.raises(Crash):
            keep_batch(tmp_path, batch(), ("intent",))
    seen = units(tmp_path)

    assert keep_batch(tmp_path, batch(at=NOW + timedelta(days=1)), ("intent",)).rows == len(ROWS)
    [name] = units(tmp_path)
    assert seen in ([], [name])
    assert pq.read_table(tmp_path / "events" / name).num_rows == len(ROWS)


def test_the_crashes_are_tried_at_every_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    units(tmp_path)
    crashing(monkeypatch, STEPS)

    assert keep_batch(tmp_path, batch(), ("intent",)).is_new


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
