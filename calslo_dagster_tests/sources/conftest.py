"""A DuckDB connection as the engine opens it, and databases for tables: each test finds them empty."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
import sqlalchemy as sa

from calslo_dagster.engine.connect import connect


@pytest.fixture(scope="session")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield one connection for all tests: no error may leave it in a state that shows in the next test."""
    with connect() as opened:
        yield opened


@pytest.fixture
def postgresql_tables(postgresql_url: str) -> Iterator[str]:
    """Yield the URL of a PostgreSQL database whose tables go after the test; cheaper than a database for each."""
    yield postgresql_url
    with sa.create_engine(postgresql_url, poolclass=sa.NullPool).begin() as cleaning:
        for name in ("public", "serving"):
            cleaning.execute(sa.text(f"DROP SCHEMA IF EXISTS {name} CASCADE"))
        cleaning.execute(sa.text("CREATE SCHEMA public"))


@pytest.fixture(params=["sqlite", "postgresql"])
def table_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of an empty database, once for SQLite and once for PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'serving.db'}"
    url: str = request.getfixturevalue("postgresql_tables")
    return url
