"""Where the content of a file went that is no longer under its name."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from calslo_dagster.engine.facts import HOUR_US
from calslo_dagster.pipeline.trace_units import Known, Traced, is_emptied, trace_units
from calslo_dagster.sources.base import FileFormat, Unit
from calslo_dagster.sources.contents import content_of
from calslo_dagster.store.source_units import Role, UnitRecord
from calslo_dagster_tests.logs import LATER

NOTHING = Traced((), ())


def known(path: Path, times: Sequence[int], *, form: FileFormat = FileFormat.JSONL, role: Role = Role.EVENTS) -> Known:
    """Write a file with an event at each of these microseconds, and return it as a look finds it."""
    path.write_text("".join(f'{{"t": {at}}}\n' for at in times))
    state = f"{path.name}:{path.stat().st_size}:{hash(tuple(times))}"
    hours = {at // HOUR_US * HOUR_US: 0 for at in times}
    record = UnitRecord(
        source="log",
        role=role,
        unit=path.name,
        fingerprint=state,
        rows=len(times),
        first_us=min(times, default=None),
        last_us=max(times, default=None),
        hours={hour: sum(at // HOUR_US * HOUR_US == hour for at in times) for hour in hours},
        rejected={},
        error=None,
        retry=False,
        seen_at=LATER,
        content=content_of(path, {}),
    )
    return Unit(path.name, state, path, form), record


def traced(before: Sequence[Known], now: Sequence[Known]) -> Traced:
    old = {record.fingerprint for _, record in before}
    fresh = {unit.name for unit, record in now if record.fingerprint not in old}
    return trace_units([record for _, record in before], now, fresh)


def apart(known: Known) -> Traced:
    return Traced((), (replace(known[1], unit=known[1].apart),))


def test_what_is_as_it_was_needs_no_tracing(tmp_path: Path) -> None:
    one = known(tmp_path / "a.jsonl", [1, 2])

    assert traced([one], [one]) == NOTHING


def test_a_file_that_is_gone_is_lost_under_its_own_name(tmp_path: Path) -> None:
    assert traced([known(tmp_path / "a.jsonl", [1, 2])], []) == NOTHING


@pytest.mark.parametrize("times", [[1, 2], [1, 2, 3]], ids=["as it was", "grown"])
def test_a_file_under_another_name_has_moved(tmp_path: Path, times: list[int]) -> None:
    before = known(tmp_path / "a.jsonl", [1, 2])

    assert traced([before], [known(tmp_path / "b.jsonl", times)]) == Traced(("a.jsonl",), ())


@pytest.mark.parametrize("times", [[1, 3], [1], [0, 1, 2]], ids=["other", "less", "not from the beginning"])
def test_a_file_that_holds_something_else_is_another_one(tmp_path: Path, times: list[int]) -> None:
    assert traced([known(tmp_path / "a.jsonl", [1, 2])], [known(tmp_path / "b.jsonl", times)]) == NOTHING


def test_a_parquet_file_does_not_grow(tmp_path: Path) -> None:
    before = known(tmp_path / "a.pq", [1, 2], form=FileFormat.PARQUET)

    assert traced([before], [known(tmp_path / "b.pq", [1, 2, 3], form=FileFormat.PARQUET)]) == NOTHING


def test_a_file_without_rows_leaves_nothing_behind(tmp_path: Path) -> None:
    assert traced([known(tmp_path / "a.jsonl", [])], []) == Traced(("a.jsonl",), ())


def test_a_log_that_grows_is_the_same_log(tmp_path: Path) -> None:
    before = known(tmp_path / "a.jsonl", [1, 2])

    assert traced([before], [known(tmp_path / "a.jsonl", [1, 2, 3])]) == NOTHING


@pytest.mark.parametrize(
    ("times", "form", "is_lost"),
    [
        ([3, 4], FileFormat.JSONL, True),
        ([2, 4], FileFormat.JSONL, False),
        ([1], FileFormat.JSONL, False),
        ([3, 4], FileFormat.PARQUET, False),
    ],
    ids=["later", "overlapping", "cut", "Parquet"],
)
def test_a_log_that_begins_anew_after_its_end_loses_what_it_held(
    tmp_path: Path, times: list[int], form: FileFormat, is_lost: bool
) -> None:
    before = known(tmp_path / "a.jsonl", [1, 2], form=form)

    found = traced([before], [known(tmp_path / "a.jsonl", times, form=form)])

    assert found == (apart(before) if is_lost else NOTHING)


@pytest.mark.parametrize(
    ("name", "is_lost"),
    [("a.jsonl.1", True), ("a-20260307.jsonl", True), ("a.jsonl.bak", False), ("b.jsonl", False), ("a.csv", False)],
)
def test_a_log_beside_it_that_is_not_read_tells_that_it_was_rotated(tmp_path: Path, name: str, is_lost: bool) -> None:
    before = known(tmp_path / "a.jsonl", [1, 3])
    (tmp_path / "a.jsonl").rename(tmp_path / name)

    found = traced([before], [known(tmp_path / "a.jsonl", [2, 4])])

    assert found == (apart(before) if is_lost else NOTHING)


def test_logs_that_move_up_by_one_lose_the_oldest(tmp_path: Path) -> None:
    times = {"a.jsonl": [7, 9], "a.jsonl.1": [4, 8], "a.jsonl.2": [1, 5]}
    before = [known(tmp_path / name, held) for name, held in times.items()]
    now = [known(tmp_path / name, held) for name, held in zip(times, ([6, 10], [7, 9, 11], [4, 8]), strict=True)]

    assert traced(before, now) == apart(before[2])


def test_of_two_copies_that_go_together_one_is_remembered(tmp_path: Path) -> None:
    before = [known(tmp_path / name, [1, 2]) for name in ("a.jsonl", "b.jsonl")]

    assert traced(before, []) == Traced(("b.jsonl",), ())
    assert traced(before, before[1:]) == Traced(("a.jsonl",), ())


def test_labels_that_were_given_twice_stay_given_when_one_file_goes(tmp_path: Path) -> None:
    before = [known(tmp_path / name, [1, 2], role=Role.LABELS) for name in ("a.jsonl", "b.jsonl")]

    assert traced(before, before[1:]) == traced(before, []) == NOTHING
    assert traced(before[:1], [known(tmp_path / "c.jsonl", [1, 2], role=Role.LABELS)]) == Traced(("a.jsonl",), ())


def test_what_cannot_be_read_now_is_not_taken_for_something_else(tmp_path: Path) -> None:
    unit, record = known(tmp_path / "a.jsonl", [1, 2])
    torn = replace(record, error="cut", retry=True)

    assert traced([(unit, record)], [(unit, torn)]) == NOTHING


def test_a_log_cut_back_to_nothing_is_emptied_and_an_empty_parquet_file_is_not(tmp_path: Path) -> None:
    (unit, held), (_, empty) = known(tmp_path / "a.jsonl", [1]), known(tmp_path / "a.jsonl", [])

    assert is_emptied(unit, empty, held)
    assert not is_emptied(unit, empty, None)
    assert not is_emptied(unit, empty, empty)
    assert not is_emptied(unit, replace(empty, error="cut"), held)
    assert not is_emptied(replace(unit, format=FileFormat.PARQUET), empty, held)
