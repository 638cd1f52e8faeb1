"""What the tests of the engine share: a connection that spills into the test's own folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from duckdb import DuckDBPyConnection

from calslo_dagster.engine.connect import EngineSettings, connect


@pytest.fixture(scope="session")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBPyConnection]:
    """Yield one connection for all tests; the engine leaves nothing behind in it."""
    with connect(EngineSettings(threads=2, temp_directory=tmp_path_factory.mktemp("spill"))) as opened:
        yield opened


@pytest.fixture(scope="session")
def single_thread(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBPyConnection]:
    """Yield a connection with one thread and little memory."""
    settings = EngineSettings(threads=1, memory_limit="200MB", temp_directory=tmp_path_factory.mktemp("spill"))
    with connect(settings) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return an empty folder for partials."""
    return tmp_path
