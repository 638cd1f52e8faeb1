"""A file is known by what it holds, whatever it is called and however it is packed."""

from pathlib import Path

import duckdb
import pytest

from calslo_dagster.sources.base import FileFormat, Intake, Unit
from calslo_dagster.sources.contents import begins_with, content_of, repeated, without_copies
from calslo_dagster_tests.sources.rows import ALL_FORMATS, intake, intakes, log_rows, row, spec, write, write_bytes


def held(path: Path) -> str:
    return content_of(path, {})


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_a_packed_file_holds_what_it_held(ending: str, tmp_path: Path) -> None:
    paths = [write(tmp_path / f"log.{name}", log_rows(500)) for name in (ending, f"{ending}.gz", f"{ending}.zst")]

    assert len({held(path) for path in paths}) == 1
    assert held(write(tmp_path / f"other.{ending}", log_rows(499))) != held(paths[0])


@pytest.mark.parametrize("ending", ALL_FORMATS)
def test_the_check_tells_what_the_file_holds(
    ending: str, connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    path = write(tmp_path / f"log.{ending}", [row()])

    assert intake(connection, spec(path)).content == held(path)


def test_folders_that_are_columns_are_part_of_what_a_file_holds(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    for country in ("de", "fr"):
        write(tmp_path / f"country={country}" / "log.csv", [row()])

    apart = intakes(connection, spec(tmp_path, slice_columns={"country": "country"}))
    alike = intakes(connection, spec(tmp_path))

    assert len({found.content for found in apart}) == 2
    assert len({found.content for found in alike}) == 1


@pytest.mark.parametrize("count", [1, 500])
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_a_file_that_grew_begins_as_before(count: int, ending: str, tmp_path: Path) -> None:
    before = held(write(tmp_path / "log.jsonl", log_rows(count)))

    assert begins_with(write(tmp_path / f"grown.jsonl{ending}", log_rows(count + 200)), before)
    assert not begins_with(write(tmp_path / "new.jsonl", log_rows(700)[1:]), before)


def test_nothing_is_the_beginning_of_nothing(tmp_path: Path) -> None:
    empty = held(write_bytes(tmp_path / "empty.csv", b""))

    assert not begins_with(write(tmp_path / "log.csv", [row()]), empty)
    (tmp_path / "cut.csv.gz").write_bytes(b"\x1f\x8b")
    for name in ("vanished.csv", "cut.csv.gz"):
        assert not begins_with(tmp_path / name, held(tmp_path / "log.csv"))


def test_the_first_of_several_files_with_one_content_is_the_original() -> None:
    assert repeated([("a", "x"), ("b", "y"), ("c", "x"), ("d", "x"), ("e", ""), ("f", "")]) == {"c": "a", "d": "a"}


def test_rows_of_a_copy_are_duplicates() -> None:
    def found(name: str, content: str, rows: int, error: str | None = None) -> Intake:
        unit = Unit(name, name, Path(name), FileFormat.CSV)
        return Intake(unit, rows, {0: rows}, {"bad_time": 1}, 1, 2, error=error, content=content)

    first, other, empty, broken = found("a", "x", 5), found("b", "y", 5), found("c", "x", 0), found("d", "x", 5, "cut")
    *kept, copy = without_copies([first, other, empty, broken, found("e", "x", 5)])

    assert kept == [first, other, empty, broken]
    assert (copy.rows, copy.hours, copy.rejected, copy.first_us, copy.copy_of) == (5, {}, {"duplicates": 5}, None, "a")
