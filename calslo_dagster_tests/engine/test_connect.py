"""A connection has the settings that results depend on, whatever the machine says."""

import math
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from duckdb import DuckDBPyConnection

from calslo_dagster.engine.connect import EngineSettings, connect
from calslo_dagster.engine.facts import CELLS
from calslo_dagster_tests.engine.logs import contents, partial, traffic


def setting(connection: DuckDBPyConnection, name: str) -> str:
    (value,) = connection.execute("SELECT current_setting(?)::VARCHAR", [name]).fetchall()[0]
    return str(value)


def test_settings_are_those_that_were_asked_for(tmp_path: Path) -> None:
    spill = tmp_path / "not" / "there" / "yet"

    with connect(EngineSettings(threads=3, memory_limit="123MiB", temp_directory=spill)) as connection:
        found = {name: setting(connection, name) for name in ("threads", "memory_limit", "temp_directory", "TimeZone")}
        order = setting(connection, "preserve_insertion_order")

    assert found == {"threads": "3", "memory_limit": "123.0 MiB", "temp_directory": str(spill), "TimeZone": "UTC"}
    assert order == "false"
    assert spill.is_dir()


def test_defaults_work_without_any_settings() -> None:
    with connect() as connection:
        assert setting(connection, "TimeZone") == "UTC"


def test_no_thread_is_refused() -> None:
    with pytest.raises(ValueError, match="threads must be at least 1"):
        EngineSettings(threads=0)


def test_nan_is_found_where_parquet_statistics_hide_it(connection: DuckDBPyConnection, tmp_path: Path) -> None:
    """PyArrow leaves NaN out of minimum and maximum, from which an optimizer may conclude that there is none."""
    path = tmp_path / "scores.parquet"
    pq.write_table(pa.table({"score": [0.5, math.nan]}), path)

    found = connection.execute(
        f"SELECT isnan(s) FROM (SELECT CASE WHEN score = 0 THEN 0.0 ELSE score END AS s FROM '{path}')"
    ).fetchall()

    assert found == [(False,), (True,)]


def test_facts_that_do_not_fit_in_memory_spill_and_are_the_same(connection: DuckDBPyConnection, tmp_path: Path) -> None:
    log = traffic(3_000, seed=4)
    with connect(EngineSettings(threads=2, memory_limit="60MB", temp_directory=tmp_path / "spill")) as small:
        squeezed = partial(small, log, tmp_path)

    assert contents(squeezed) == contents(partial(connection, log, tmp_path))
    assert (squeezed / f"{CELLS.name}.parquet").exists()
