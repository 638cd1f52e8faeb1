"""What a partial was made of is known again, and adds up as its facts do."""

from pathlib import Path

from duckdb import DuckDBPyConnection

from calslo_dagster.engine.facts import HOUR_US
from calslo_dagster.engine.inputs import Input, merge_inputs, read_inputs, write_inputs
from calslo_dagster.engine.merge import merge_facts
from calslo_dagster_tests.engine.logs import DAY, Row, contents, partial

FIRST = Input(DAY, "a.csv", "10:x", 5)
SECOND = Input(DAY + HOUR_US, "b\n'ü.csv", "20:y", 7)


def test_inputs_are_read_as_they_were_written_whatever_their_order(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder, found in ((one, [FIRST, SECOND]), (two, [SECOND, FIRST, SECOND])):
        folder.mkdir()
        write_inputs(folder, found)

    assert read_inputs(one) == (FIRST, SECOND)
    assert contents(one) == contents(two)


def test_no_inputs_are_something_else_than_unknown_ones(tmp_path: Path) -> None:
    assert read_inputs(tmp_path) is None
    write_inputs(tmp_path, [])

    assert read_inputs(tmp_path) == ()


def test_merged_partials_are_made_of_the_inputs_of_all(connection: DuckDBPyConnection, tmp_path: Path) -> None:
    parts = [partial(connection, [Row()], tmp_path) for _ in range(2)]
    for part, one in zip(parts, (SECOND, FIRST), strict=True):
        write_inputs(part, [one])

    merge_facts(connection, parts, tmp_path / "merged")

    assert read_inputs(tmp_path / "merged") == (FIRST, SECOND)


def test_parts_without_inputs_leave_none(tmp_path: Path) -> None:
    merge_inputs([tmp_path / "a", tmp_path / "b"], tmp_path)

    assert read_inputs(tmp_path) is None
