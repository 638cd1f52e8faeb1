"""What a span consists of: what is there, what was counted and is lost, and what cannot be told apart."""

from dataclasses import replace

import pytest

from calslo_dagster.engine.facts import HOUR_US
from calslo_dagster.engine.inputs import Input
from calslo_dagster.pipeline.compose_span import AS_IT_IS, Composition, compose, inputs_of, plain, with_lost
from calslo_dagster.pipeline.refresh_units import Units
from calslo_dagster.pipeline.spans import inputs_digest
from calslo_dagster.pipeline.trace_units import Known
from calslo_dagster.store.source_units import UnitRecord
from calslo_dagster_tests.pipeline.test_spans import FIRST, unit

SPAN = (FIRST, FIRST + 24 * HOUR_US)


def file(name: str, *hours: int, content: str = "") -> Known:
    """Return a file with five rows in each of these hours; its content is called like itself unless told."""
    found, record = unit(name, *hours)
    return found, replace(record, content=content or name)


def held(name: str, *hours: int, content: str = "", rows: int = 5) -> list[Input]:
    return [Input(FIRST + hour * HOUR_US, name, content or name, rows) for hour in hours]


def log(*there: Known, gone: tuple[Known, ...] = ()) -> Units:
    return Units(there, tuple(record for _, record in gone))


def composed(log: Units, live: list[Input], kept: list[Input] | None = None, *, is_coarse: bool = False) -> Composition:
    return compose(log, SPAN, live=live, kept=kept or [], is_coarse=is_coarse)


def read(found: Composition) -> dict[str, list[int]]:
    """Return the hours that are read of each unit."""
    return {part.unit.name: hours(part.record) for part in found.counted}


def hours(record: UnitRecord) -> list[int]:
    return [(hour - FIRST) // HOUR_US for hour in sorted(record.hours)]


def frozen(found: Composition) -> list[int]:
    return [(hour - FIRST) // HOUR_US for hour in sorted(found.freezes)]


def test_a_span_of_which_nothing_is_lost_is_what_is_there() -> None:
    found = plain(log(file("a", 0, 30), file("b", 2), file("c", 40)), SPAN)

    assert [u.name for u, _ in found.named] == ["a", "b"]
    assert inputs_of(found.counted, SPAN) == [*held("a", 0), *held("b", 2)]


def test_a_span_that_lacks_nothing_but_files_is_told_by_what_it_was() -> None:
    there, gone = file("a", 0), file("b", 0)
    log_now = log(there, gone=(gone,))

    assert composed(log_now, [*held("a", 0), *held("b", 0)]) == AS_IT_IS
    assert inputs_digest("", SPAN, with_lost(log_now, SPAN)) == inputs_digest("", SPAN, [there, gone])


def test_a_file_that_was_gone_before_it_was_counted_is_no_part_of_the_span() -> None:
    gone = (file("b", 0), file("never", 0))

    assert composed(log(file("a", 0), gone=gone), [*held("a", 0), *held("b", 0)]) == AS_IT_IS


def test_only_hours_of_the_lost_file_are_kept() -> None:
    found = composed(
        log(file("b", 0, 2), file("z", 0, 3), gone=(file("a", 0, 1),)), [*held("a", 0, 1), *held("b", 0, 2)]
    )

    assert (frozen(found), found.holds_lost, found.uncounted) == ([0, 1], False, 0)
    assert read(found) == {"b": [2], "z": [0, 3]}


def test_all_of_a_partial_with_wide_buckets_is_kept() -> None:
    found = composed(
        log(file("b", 2), file("z", 0), gone=(file("a", 0),)), [*held("a", 0), *held("b", 2)], is_coarse=True
    )

    assert frozen(found) == [0, 2]
    assert read(found) == {"z": [0]}


def test_what_is_kept_is_not_read_again_and_the_rest_is() -> None:
    there = log(file("b", 0, 2), file("z", 0), gone=(file("a", 0),))

    found = composed(there, [*held("z", 0), *held("b", 2)], [*held("a", 0), *held("b", 0)])

    assert (frozen(found), found.thaws) == ([], False)
    assert read(found) == {"b": [2], "z": [0]}


def test_a_renamed_file_is_known_by_its_content() -> None:
    found = composed(log(file("new", 0, content="b"), gone=(file("a", 0),)), [*held("a", 0), *held("b", 0)])

    assert found.holds_lost


def test_what_is_kept_thaws_when_no_file_of_it_is_gone_any_more() -> None:
    found = composed(log(file("a", 0), file("z", 0)), held("z", 0), held("a", 0))

    assert found.thaws
    assert read(found) == {"a": [0], "z": [0]}


@pytest.mark.parametrize(("name", "rows", "uncounted"), [("b", 5, 5), ("b", 9, 5), ("c", 5, 5), ("c", 9, 0)], ids=str)
def test_a_unit_that_may_be_what_was_counted_before_is_not_counted(name: str, rows: int, uncounted: int) -> None:
    """One that changed under its name, or one under another name that holds as much as one that moved."""
    gone = log(file(name, 0, content="new"), gone=(file("a", 0),))

    found = composed(gone, [*held("a", 0), *held("b", 0, content="old", rows=rows)])

    assert (found.uncounted, read(found)) == (uncounted, {} if uncounted else {name: [0]})
    assert [u.name for u, _ in found.named] == [name]


def test_another_file_is_counted_beside_one_that_changed() -> None:
    there = log(file("b", 0, content="new"), file("z", 0), gone=(file("a", 0),))

    found = composed(there, [*held("a", 0), *held("b", 0, content="old")])

    assert (found.uncounted, read(found)) == (5, {"z": [0]})
