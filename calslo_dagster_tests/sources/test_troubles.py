"""Files that are broken, unfinished or gone, and what is said of them."""

import gzip
import io
from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from calslo_dagster.errors import SourceError
from calslo_dagster.sources import open_source
from calslo_dagster.sources.base import FileFormat, Intake
from calslo_dagster_tests.sources.rows import (
    NOW,
    START,
    TEXT_FORMATS,
    as_csv,
    complaint,
    intake,
    iso,
    log_rows,
    row,
    spec,
    write,
    write_bytes,
)

GOOD = f"event_time,score\n{iso(START)},0.5\n"


def retried(found: Intake) -> str:
    """Return an error that may pass by itself."""
    assert (found.rows, found.hours, found.retry) == (0, {}, True)
    assert found.error is not None
    return found.error


def parquet_bytes() -> bytes:
    out = io.BytesIO()
    rows = pa.Table.from_pylist([{k: r[k] for k in ("event_time", "score")} for r in log_rows(2_000)])
    pq.write_table(rows, out, compression="zstd")
    return out.getvalue()


@pytest.mark.parametrize("keep", [4, 5, 100, 10_000, -1, -8])
def test_an_unfinished_parquet_file_is_read_again(
    keep: int, connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    path = write_bytes(tmp_path / "log.parquet", parquet_bytes()[:keep])

    found = retried(intake(connection, spec(path)))

    assert found == f"{path}: the Parquet footer is missing: still being written, or cut; it is read again"


def test_a_parquet_file_without_a_byte_is_an_error(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    path = write_bytes(tmp_path / "log.parquet", b"")

    assert complaint(connection, spec(path)) == (
        f"{path}: is empty, and even a Parquet file without rows has a footer; rewrite or remove it"
    )


def test_what_is_no_parquet_file_is_an_error(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    path = write_bytes(tmp_path / "log.parquet", GOOD.encode())

    assert complaint(connection, spec(path)) == f"{path}: is not a Parquet file; rewrite it, or name its format"


def test_damage_inside_a_parquet_file_is_found_by_the_check(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    """The check reads every mapped column, so that the aggregate does not fall over it later."""
    data = parquet_bytes()
    for start in (len(data) // 3, len(data) * 2 // 3):
        path = write_bytes(tmp_path / "log.parquet", data[:start] + b"\xff" * 800 + data[start + 800 :])

        assert f"{path}: the Parquet data is damaged (" in complaint(connection, spec(path))


@pytest.mark.parametrize("ending", [name for name in TEXT_FORMATS if "." in name])
def test_compressed_data_that_ends_early_is_read_again(
    ending: str, connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    """DuckDB reads what there is of a zstd file that was cut, and says nothing."""
    path = write(tmp_path / f"log.{ending}", log_rows(5_000))
    whole = path.read_bytes()
    for keep in (-1, -200, len(whole) // 2):
        path.write_bytes(whole[:keep])

        found = retried(intake(connection, spec(path)))

        assert found == (
            f"{path}: the compressed data ends early: the file is still being written, or was cut; it is read again"
        )


@pytest.mark.parametrize(
    ("ending", "kind"), [("csv.gz", "gzip"), ("jsonl.gz", "gzip"), ("csv.zst", "zstd"), ("jsonl.zst", "zstd")]
)
def test_a_file_that_is_not_compressed_as_it_says(
    ending: str, kind: str, connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    path = tmp_path / f"log.{ending}"
    path.write_bytes(GOOD.encode())

    assert complaint(connection, spec(path)) == (
        f"{path}: is not {kind} data, which its name promises; rename or rewrite it"
    )


def test_files_of_several_compressed_parts_are_read_whole(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    head, tail = GOOD.encode(), f"{iso(START)},0.75\n".encode()
    zstd = pa.Codec("zstd")
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(head) + gzip.compress(tail))
    (tmp_path / "b.csv.zst").write_bytes(zstd.compress(head).to_pybytes() + zstd.compress(tail).to_pybytes())

    assert [intake(connection, spec(tmp_path / name)).rows for name in ("a.csv.gz", "b.csv.zst")] == [2, 2]


@pytest.mark.parametrize(
    ("tail", "message"),
    [
        (f"{iso(START)}\n", "line 3 has 1 columns where the header has 2; correct or remove the line"),
        (f"{iso(START)},0.5,x\n", "line 3 has 3 columns where the header has 2; correct or remove the line"),
        (f'{iso(START)},"0.5\n', "line 3 has a quoted value that does not end; correct or remove the line"),
        (f"{iso(START)},\udcff\n", "line 3 is not UTF-8; write the file in UTF-8; correct or remove the line"),
        (f"{iso(START)},{'5' * 3_000_000}\n", "line 3 is longer than 2 MB; correct or remove the line"),
    ],
)
def test_a_broken_csv_line_is_named(
    tail: str, message: str, connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    path = write_bytes(tmp_path / "log.csv", (GOOD + tail).encode(errors="surrogateescape"))

    assert complaint(connection, spec(path)) == f"{path}: {message}"


def test_mixed_line_ends_are_refused(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    path = write_bytes(tmp_path / "log.csv", f"event_time,score\r\n{iso(START)},0.5\n{iso(START)},0.5\r\n".encode())

    assert "write one kind of line ending" in complaint(connection, spec(path))


def test_a_csv_line_that_is_being_written_is_read_again(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    path = write_bytes(tmp_path / "log.csv", f"{GOOD}{iso(START)[:10]}".encode())

    assert retried(intake(connection, spec(path))) == (
        f"{path}: line 3 has 1 columns where the header has 2; it is the last and does not end, so it is read again"
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"score": 0.5,', 'is not JSON: "{\\"score\\": 0.5,"'),
        ("hello", 'is not JSON: "hello"'),
        ("[1, 2]", 'is not a JSON object: "[1, 2]"'),
        ("5", 'is not a JSON object: "5"'),
    ],
)
@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz"])
def test_a_broken_json_line_is_named(
    *, line: str, message: str, ending: str, connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    good = f'{{"event_time": "{iso(START)}", "score": 0.5}}\n'
    path = write_bytes(tmp_path / f"log.{ending}", (good * 3 + line + "\n" + good).encode())

    assert complaint(connection, spec(path)) == f"{path}: line 4 {message}; correct or remove the line"


def test_a_json_line_that_is_being_written_is_read_again(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    good = f'{{"event_time": "{iso(START)}", "score": 0.5}}\n'
    path = write_bytes(tmp_path / "log.jsonl", (good + good[:20]).encode())

    assert "line 2 is not JSON:" in retried(intake(connection, spec(path)))


def test_a_key_that_occurs_twice_is_an_error(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    path = write_bytes(tmp_path / "log.jsonl", b'{"score": 0.5, "score": 0.6}\n')

    assert 'has duplicate key "score"' in complaint(connection, spec(path))


@pytest.mark.parametrize("name", ["log.parquet", "log.csv", "log.csv.zst", "log.jsonl"])
def test_a_file_that_vanishes_after_it_was_listed_is_looked_for_again(
    name: str, connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    path = write(tmp_path / name, [row()])
    source = open_source(spec(path))
    (unit,) = source.units()
    path.unlink()

    found = retried(source.intake(connection, unit, NOW))

    assert found == f"{path}: vanished between being listed and being read; it is looked for again"
    with pytest.raises(SourceError, match="vanished between"):
        source.relation(connection, [unit])


def test_a_file_under_a_wrong_format_is_an_error(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    path = write(tmp_path / "log.csv", [row()])

    assert 'line 1 is not JSON: "event_time,' in complaint(connection, spec(path, format=FileFormat.JSONL))
    assert "is not a Parquet file" in complaint(connection, spec(path, format=FileFormat.PARQUET))


@pytest.mark.parametrize("wrong", [duckdb.OutOfMemoryException("no room"), duckdb.InterruptException("stopped")])
def test_what_is_wrong_with_the_machine_is_not_blamed_on_the_file(wrong: Exception, tmp_path: Path) -> None:
    class Failing:
        """A connection to a machine that cannot go on."""

        def execute(self, _: str) -> None:
            raise wrong

    source = open_source(spec(write(tmp_path / "log.parquet", [row()])))
    intake_with: Callable[..., Intake] = source.intake

    with pytest.raises(type(wrong)):
        intake_with(Failing(), source.units()[0], NOW)


def test_a_source_goes_on_after_each_of_its_errors(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """An error must not leave the connection in a state in which the next unit fails, too."""
    broken = [b"", b"PAR1", b"x", GOOD.encode()]
    for i, data in enumerate(broken):
        (tmp_path / f"{i}.parquet").write_bytes(data)
    write_bytes(tmp_path / "5.csv", (GOOD + "x\n").encode())
    write_bytes(tmp_path / "6.jsonl", b"{\n")
    write_bytes(tmp_path / "7.csv", as_csv([row()]).encode())
    source = open_source(spec(tmp_path))

    found = [source.intake(connection, unit, NOW) for unit in source.units()]

    assert [i.error is None for i in found] == [False] * 6 + [True]
