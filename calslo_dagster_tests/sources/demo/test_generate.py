"""The files of the demo: the same bytes whoever writes them, whenever and in whatever order."""

import json
from dataclasses import fields
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from calslo_dagster.slo.model import Manifest
from calslo_dagster.slo.windows import DAY
from calslo_dagster.sources.demo.generate import (
    events_path,
    labels_path,
    refresh,
    write_hours,
    write_labels,
    write_manifests,
)
from calslo_dagster.sources.demo.manifests import demo_manifests
from calslo_dagster.sources.demo.script import HOUR, IncidentKind, Script
from calslo_dagster.sources.demo.traffic import simulate

MINUTE = timedelta(minutes=1)


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_hours_have_the_same_bytes_in_any_order_and_chunking(tmp_path: Path, small: Script) -> None:
    start = small.spec.start + 90 * HOUR
    together, apart = tmp_path / "together", tmp_path / "apart"
    write_hours(together, small, start, start + 12 * HOUR)
    simulate.cache_clear()
    for chunk in ((7, 12), (0, 2), (2, 7)):
        write_hours(apart, small, start + chunk[0] * HOUR, start + chunk[1] * HOUR)

    assert len(contents(together)) == 12
    assert contents(apart) == contents(together)


def test_writing_again_changes_no_byte_and_leaves_no_scratch_file(tmp_path: Path, small: Script) -> None:
    start = small.spec.start
    for _ in range(2):
        paths = [
            *write_hours(tmp_path, small, start, start + 3 * HOUR),
            *write_labels(tmp_path, small, start, start + DAY),
        ]
        paths.append(write_manifests(tmp_path, small))
    before = contents(tmp_path)
    write_hours(tmp_path, small, start, start + 3 * HOUR)

    assert contents(tmp_path) == before
    assert sorted(before) == sorted(str(path.relative_to(tmp_path)) for path in paths)


def test_labels_have_the_same_bytes_in_any_order(tmp_path: Path, small: Script) -> None:
    start = small.spec.start
    forwards, backwards = tmp_path / "forwards", tmp_path / "backwards"
    write_labels(forwards, small, start, start + 3 * DAY)
    for day in (2, 1, 0):
        write_labels(backwards, small, start + day * DAY, start + (day + 1) * DAY)

    assert len(contents(forwards)) == 3
    assert contents(backwards) == contents(forwards)


def test_a_label_file_is_held_back_until_its_delivery(tmp_path: Path, small: Script) -> None:
    (late,) = small.of_kind(IncidentKind.LATE_LABELS)
    day = small.span(late).start
    written = write_labels(tmp_path, small, day - DAY, day + 2 * DAY, delivered_by=day + 2 * DAY + HOUR)

    assert written == (labels_path(tmp_path, day - DAY), labels_path(tmp_path, day + DAY))
    assert labels_path(tmp_path, day) in write_labels(tmp_path, small, day, day + DAY)


@pytest.mark.parametrize("start", [timedelta(minutes=1), timedelta(seconds=1)])
def test_a_start_inside_an_hour_is_refused(tmp_path: Path, small: Script, start: timedelta) -> None:
    with pytest.raises(ValueError, match="whole hours and days"):
        write_hours(tmp_path, small, small.spec.start + start, small.spec.end)


def test_labels_start_at_midnight(tmp_path: Path, small: Script) -> None:
    with pytest.raises(ValueError, match="whole hours and days"):
        write_labels(tmp_path, small, small.spec.start + HOUR, small.spec.end)


def test_manifests_hold_every_field(tmp_path: Path, small: Script) -> None:
    written = json.loads(write_manifests(tmp_path, small).read_text(encoding="utf-8"))["manifests"]

    for found, manifest in zip(written, demo_manifests(small), strict=True):
        assert list(found) == [f.name for f in fields(Manifest)]
        assert datetime.fromisoformat(found.pop("fitted_at")) == manifest.fitted_at
        assert all(found[name] == json.loads(json.dumps(getattr(manifest, name))) for name in found)


def test_an_hour_without_data_is_a_file_with_late_rows_only(tmp_path: Path, small: Script) -> None:
    (outage,) = small.of_kind(IncidentKind.OUTAGE)
    start = small.span(outage).start
    (path,) = write_hours(tmp_path, small, start, start + HOUR)

    assert all(row["event_time"] < start for row in pq.read_table(path).to_pylist())


def test_refresh_catches_up_and_then_only_touches_the_hour_that_goes_on(tmp_path: Path, small: Script) -> None:
    now = small.spec.start + 5 * HOUR + timedelta(minutes=20, seconds=31)
    first = refresh(tmp_path, small, now)
    old = contents(tmp_path)
    second = refresh(tmp_path, small, now + MINUTE)
    changed = {name for name, data in contents(tmp_path).items() if old.get(name) != data}

    assert len(first) == 7
    assert second == (events_path(tmp_path, now),)
    assert changed == {str(events_path(tmp_path, now).relative_to(tmp_path))}


def test_a_partial_hour_holds_whole_minutes_only(tmp_path: Path, small: Script) -> None:
    minute = small.spec.end + timedelta(minutes=20)
    write_hours(tmp_path, small, small.spec.start, small.spec.end)
    refresh(tmp_path, small, minute + timedelta(seconds=59))
    times = pq.read_table(events_path(tmp_path, minute))["event_time"].to_pylist()

    assert minute - MINUTE <= max(times) < minute


def test_refresh_completes_the_hour_it_left_partial_even_after_a_long_pause(tmp_path: Path, small: Script) -> None:
    live, straight = tmp_path / "live", tmp_path / "straight"
    start = small.spec.start
    for minutes in (10, 55, 60 * 27 + 1):
        refresh(live, small, start + minutes * MINUTE)
    write_hours(straight, small, start, start + 27 * HOUR)
    write_labels(straight, small, start, start + DAY)
    write_manifests(straight, small)
    events_path(live, start + 27 * HOUR).unlink()

    assert contents(live) == contents(straight)


def test_refresh_restores_a_missing_file_and_trusts_the_others(tmp_path: Path, small: Script) -> None:
    now = small.spec.start + 6 * HOUR
    refresh(tmp_path, small, now)
    lost, kept = events_path(tmp_path, small.spec.start + 2 * HOUR), events_path(tmp_path, small.spec.start)
    before = lost.read_bytes()
    lost.unlink()
    kept.write_bytes(b"not ours to judge")

    assert refresh(tmp_path, small, now) == (lost,)
    assert lost.read_bytes() == before
    assert kept.read_bytes() == b"not ours to judge"


def test_refresh_delivers_label_files_on_time(tmp_path: Path, small: Script) -> None:
    midnight = small.spec.start + DAY
    refresh(tmp_path, small, midnight + timedelta(minutes=29))
    assert not labels_path(tmp_path, small.spec.start).exists()

    refresh(tmp_path, small, midnight + timedelta(minutes=30))
    assert labels_path(tmp_path, small.spec.start).exists()
    assert not labels_path(tmp_path, midnight).exists()


def test_the_default_demo_is_written_whole(tmp_path: Path, script: Script) -> None:
    paths = write_hours(tmp_path, script, script.spec.start, script.spec.end)

    assert len(paths) == 14 * 24
    assert sum(pq.read_metadata(path).num_rows for path in paths) > 1_200_000
