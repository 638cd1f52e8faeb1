"""Fixtures of the store's tests."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from calslo_dagster.store.migrations import upgrade
from calslo_dagster.store.session import Store, open_store
from calslo_dagster_tests.store.crew import Crew

TEMPLATE = "calslo_template"


@pytest.fixture(scope="session")
def crew() -> Iterator[Crew]:
    """Yield four processes that do something at the same moment; they start once, since that takes longest."""
    with Crew() as started:
        yield started


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store without rows, to be copied: the migrations take longer than most tests."""
    path = tmp_path_factory.mktemp("template") / "calslo.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgresql_template(postgresql_url: str) -> str:
    """Return the name of a database that holds a store without rows, to be copied."""
    execute(postgresql_url, f"CREATE DATABASE {TEMPLATE}")
    upgrade(postgresql_url.replace("/postgres?", f"/{TEMPLATE}?"))
    return TEMPLATE


@pytest.fixture
def store(request: pytest.FixtureRequest, store_url: str) -> Iterator[Store]:
    """Yield an open state store without rows, once on SQLite and once on PostgreSQL."""
    name = sa.make_url(store_url).database or ""
    if store_url.startswith("sqlite"):
        shutil.copy(request.getfixturevalue("sqlite_template"), name)
    else:
        template = request.getfixturevalue("postgresql_template")
        server = request.getfixturevalue("postgresql_url")
        execute(server, f"DROP DATABASE {name}", f"CREATE DATABASE {name} TEMPLATE {template}")
    with open_store(store_url) as opened:
        yield opened


def execute(url: str, *statements: str) -> None:
    """Run the statements on the server, each for itself."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())
