"""Which files are found, what they are called, and what is said of those that cannot be."""

import subprocess
import sys
import tempfile
from pathlib import Path

import duckdb
import pytest

from calslo_dagster.sources.base import FileFormat, Unit
from calslo_dagster.sources.listing import format_of, hive_values, list_units
from calslo_dagster_tests.sources.rows import intakes, row, spec, write

# Root may read everything, so privileges are dropped, after the imports: Python itself may lie in root's home.
AS_NOBODY = """
import os, sys
from datetime import UTC, datetime
import duckdb
from calslo_dagster.sources.base import SourceSpec
from calslo_dagster.sources.files import FileSource
with duckdb.connect() as connection:
    if os.geteuid() == 0:
        os.setgroups([]); os.setgid(65534); os.setuid(65534)
    source = FileSource(SourceSpec(name="log", paths=tuple(sys.argv[1:])))
    for unit in source.units():
        found = source.intake(connection, unit, datetime.now(UTC))
        print(unit.name, found.rows, found.retry, found.error, sep="|")
"""


def names(*paths: Path | str, form: FileFormat | None = None) -> list[str]:
    return [unit.name for unit in list_units(spec(*paths, format=form))]


def problem(*paths: Path | str) -> str:
    (unit,) = list_units(spec(*paths))
    return unit.problem


def touch(root: Path, *parts: str) -> None:
    for part in parts:
        (root / part).parent.mkdir(parents=True, exist_ok=True)
        (root / part).touch()


def test_a_directory_is_read_with_all_below_it(tmp_path: Path) -> None:
    touch(tmp_path, "b.csv", "a.parquet", "2026/03/c.jsonl.gz", "2026/03/d.CSV.ZST", "e.ndjson", "f.pq")

    assert names(tmp_path) == ["2026/03/c.jsonl.gz", "2026/03/d.CSV.ZST", "a.parquet", "b.csv", "e.ndjson", "f.pq"]


def test_what_is_no_data_in_a_directory_is_left_alone(tmp_path: Path) -> None:
    touch(
        tmp_path,
        *("README.md", "_SUCCESS", ".hidden.csv", "a.csv.tmp", "._b.csv", "_temporary/0/c.parquet", ".git/d.csv"),
        *("e.parquet.gz", "f.csv.crc", "ok.csv"),
    )

    assert names(tmp_path) == ["ok.csv"]


def test_a_format_that_is_told_picks_the_files_of_a_directory(tmp_path: Path) -> None:
    touch(tmp_path, "a.csv", "b.parquet", "c.jsonl")

    assert names(tmp_path, form=FileFormat.CSV) == ["a.csv"]


def test_rotated_logs_are_data(tmp_path: Path) -> None:
    touch(tmp_path, "app.jsonl", "app.jsonl.1", "app.jsonl.2.gz", "app.jsonl-20260301", "app.jsonl.bak", "app.log.1")

    assert names(tmp_path) == ["app.jsonl", "app.jsonl-20260301", "app.jsonl.1", "app.jsonl.2.gz"]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.csv", ["a.csv", "b.csv"]),
        ("[a].csv", ["a.csv"]),
        ("?.csv", ["a.csv", "b.csv"]),
        ("**/*.csv", ["a.csv", "b.csv", "x/c.csv", "x/y/d.csv"]),
        ("x/**/d.csv", ["y/d.csv"]),
        ("*/c.csv", ["x/c.csv"]),
        ("x/*/*", ["y/d.csv"]),
        ("**", ["a.csv", "b.csv", "x/c.csv", "x/y/d.csv"]),
        ("*.parquet", []),
    ],
)
def test_globs(pattern: str, found: list[str], tmp_path: Path) -> None:
    """Names count from the directory before the first wildcard."""
    touch(tmp_path, "a.csv", "b.csv", "x/c.csv", "x/y/d.csv")

    assert names(tmp_path / pattern) == found


def test_a_file_found_twice_is_one_unit(tmp_path: Path) -> None:
    touch(tmp_path, "x/a.csv")
    (tmp_path / "link.csv").symlink_to(tmp_path / "x" / "a.csv")

    assert names(tmp_path / "x", tmp_path / "x" / "a.csv", tmp_path / "x" / ".." / "x" / "*.csv") == ["a.csv"]
    assert len(names(tmp_path)) == 1


def test_a_link_that_leads_back_up_does_not_end_in_a_loop(tmp_path: Path) -> None:
    touch(tmp_path, "x/a.csv")
    (tmp_path / "x" / "up").symlink_to(tmp_path)

    assert names(tmp_path) == ["x/a.csv"]


def test_names_tell_files_of_several_paths_apart(tmp_path: Path) -> None:
    touch(tmp_path, "eu/log.csv", "us/log.csv", "us/2026/log.csv")

    assert names(tmp_path / "eu", tmp_path / "us") == ["eu/log.csv", "us/2026/log.csv", "us/log.csv"]
    assert names(tmp_path / "eu" / "log.csv", tmp_path / "us") == ["eu/log.csv", "us/2026/log.csv", "us/log.csv"]


def test_a_log_that_is_moved_as_a_whole_stays_the_same(tmp_path: Path) -> None:
    write(tmp_path / "old" / "x" / "a.csv", [row()])
    before = list_units(spec(tmp_path / "old"))
    (tmp_path / "old").rename(tmp_path / "new")

    after = list_units(spec(tmp_path / "new"))

    assert [(u.name, u.fingerprint) for u in before] == [(u.name, u.fingerprint) for u in after]


def test_a_fingerprint_is_name_size_and_time_of_change(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", [row()])
    stat = path.stat()

    assert list_units(spec(path)) == [Unit("a.csv", f"a.csv:{stat.st_size}:{stat.st_mtime_ns}", path, FileFormat.CSV)]


def test_relative_paths_and_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "x/a.csv")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))

    assert names("x") == names("./x/*.csv") == names("~/x") == ["a.csv"]


def test_a_path_that_does_not_exist_is_one_error(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "log.csv"

    assert problem(path) == f'{path}: does not exist; correct "paths", or create it'
    assert (
        problem(tmp_path / "nowhere" / "*.csv") == f'{tmp_path}/nowhere: does not exist; correct "paths", or create it'
    )


def test_a_name_without_a_format_needs_one_in_the_settings(tmp_path: Path) -> None:
    touch(tmp_path, "log.txt")

    told = f'{tmp_path}/log.txt: the name does not tell the format; set "format" to parquet, csv or jsonl'
    assert problem(tmp_path / "log.txt") == problem(tmp_path / "*.txt") == told
    assert names(tmp_path / "log.txt", form=FileFormat.CSV) == ["log.txt"]


def test_a_problem_is_the_error_of_its_unit_and_the_others_go_on(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    write(tmp_path / "a.csv", [row()])

    found = intakes(connection, spec(tmp_path / "a.csv", tmp_path / "b.csv"))

    assert [(i.rows, "does not exist" in (i.error or "")) for i in found] == [(1, False), (0, True)]


def test_a_directory_without_permission_is_one_error_and_the_others_go_on(tmp_path: Path) -> None:
    _open_up(tmp_path)
    write(tmp_path / "open" / "a.csv", [row()])
    write(tmp_path / "shut" / "b.csv", [row()])
    write(tmp_path / "shut" / "c.csv", [row()])
    write(tmp_path / "locked.csv", [row()]).chmod(0)
    (tmp_path / "shut").chmod(0)

    try:
        found = _as_nobody(tmp_path)
    finally:
        (tmp_path / "shut").chmod(0o755)

    denied = "permission denied; let the user that runs calslo read it (a directory: list and enter it)"
    assert found == [
        f"locked.csv|0|False|{tmp_path}/locked.csv: {denied}",
        "open/a.csv|1|False|None",
        f"shut|0|False|{tmp_path}/shut: {denied}",
    ]


def test_a_path_inside_a_directory_without_permission_is_one_error(tmp_path: Path) -> None:
    _open_up(tmp_path)
    write(tmp_path / "shut" / "b.csv", [row()])
    (tmp_path / "shut").chmod(0)

    try:
        found = _as_nobody(tmp_path / "shut" / "b.csv", tmp_path / "shut" / "*.csv")
    finally:
        (tmp_path / "shut").chmod(0o755)

    assert [line.split(": ")[1].split(";")[0] for line in found] == ["permission denied"] * len(found)
    assert found


def _open_up(folder: Path) -> None:
    """Let everybody enter the folders above, which pytest keeps to their owner."""
    shared = Path(tempfile.gettempdir()).resolve()
    for parent in [folder, *folder.parents]:
        if parent != shared and parent.resolve().is_relative_to(shared):
            parent.chmod(0o755)


def _as_nobody(*paths: Path) -> list[str]:
    command = [sys.executable, "-c", AS_NOBODY, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("a.parquet", FileFormat.PARQUET),
        ("a.csv.gz", FileFormat.CSV),
        ("a.json", FileFormat.JSONL),
        ("a.jsonl.zst", FileFormat.JSONL),
        ("a.parquet.gz", None),
        ("a", None),
        ("csv", None),
        ("a.jsonl.1", FileFormat.JSONL),
        ("a.jsonl.12.gz", FileFormat.JSONL),
        ("a.csv-20260301", FileFormat.CSV),
        ("a.csv-2026030112.zst", FileFormat.CSV),
        ("a.csv-1772323200", FileFormat.CSV),
        ("a.json.2026-03-01", FileFormat.JSONL),
        ("a.jsonl.2026-03-01_12-30", FileFormat.JSONL),
        ("a.2026-03-01.jsonl", FileFormat.JSONL),
        ("a.parquet.1", None),
        ("a.csv.1234", None),
        ("a.1", None),
        ("a.csv.old", None),
    ],
)
def test_the_format_goes_by_the_ending(name: str, form: FileFormat | None) -> None:
    assert format_of(Path(name)) is form


def test_hive_values_are_those_of_the_nearest_directories() -> None:
    assert hive_values(Path("/a=0/x/a=1/b=c=d/=e/f%3D=g%2Fh/i=j.csv")) == {"a": "1", "b": "c=d", "f=": "g/h"}
