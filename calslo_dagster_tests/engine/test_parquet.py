"""Fact files say what they are, and folders for staged rows do not outlive their use."""

from contextlib import suppress
from pathlib import Path

import pytest
from duckdb import DuckDBPyConnection

from calslo_dagster.engine.connect import connect
from calslo_dagster.engine.facts import MINUTE_US, PANE_US
from calslo_dagster.engine.parquet import Notes, identifier, literal, read_notes, scratch
from calslo_dagster.errors import SnapshotError
from calslo_dagster_tests.engine.logs import SLICES, Row, partial


def test_files_name_their_slices_and_their_resolution(connection: DuckDBPyConnection, tmp_path: Path) -> None:
    made = partial(connection, [Row(prediction_id="a")], tmp_path)

    notes = read_notes(connection, [made / "totals.parquet", made / "cells.parquet", made / "pending.parquet"])

    assert notes == [Notes(SLICES, MINUTE_US), Notes(SLICES, PANE_US), Notes(SLICES, 1)]


def test_a_file_without_notes_is_refused_by_name(connection: DuckDBPyConnection, tmp_path: Path) -> None:
    path = tmp_path / "strange.parquet"
    connection.execute(f"COPY (SELECT 1 AS t) TO '{path}' (FORMAT parquet)").fetchall()

    with pytest.raises(SnapshotError, match=r"strange\.parquet has grid None"):
        read_notes(connection, [path])


def test_names_and_texts_are_quoted() -> None:
    assert identifier('a "b"') == '"a ""b"""'
    assert literal("it's") == "'it''s'"


@pytest.mark.parametrize("fails", [False, True])
def test_scratch_folders_vanish_whatever_happens(tmp_path: Path, fails: bool) -> None:
    with connect() as connection:
        connection.execute(f"SET temp_directory = '{tmp_path}'").fetchall()
        with suppress(ZeroDivisionError), scratch(connection) as folder:
            assert folder.parent == tmp_path
            (folder / "rows").touch()
            assert 1 / (not fails)

    assert list(tmp_path.iterdir()) == []


def test_a_partial_may_lie_in_a_folder_of_any_name(connection: DuckDBPyConnection, tmp_path: Path) -> None:
    folder = tmp_path / "it's [a] *strange* place?"
    folder.mkdir()

    made = partial(connection, [Row(prediction_id="a")], folder)

    assert len(read_notes(connection, [made / "totals.parquet"])) == 1
