"""Fixtures that every test package may use: databases of the state store, each fresh for one test."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from calslo_dagster.store.session import Store


def pytest_configure() -> None:
    """Listen to interrupts, which a shell has everything ignore that it runs in the background."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest tests, so that no process is left alone with one of them in the end."""
    items.sort(key=_seconds_allowed, reverse=True)


def _seconds_allowed(item: pytest.Item) -> float:
    """Return the time-out that a test asks for, 0 for the usual one."""
    marker = item.get_closest_marker("timeout")
    return float(marker.args[0]) if marker else 0.0


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """Yield the URL of the maintenance database of a real PostgreSQL server, one server per test process."""
    from calslo_dagster_tests.postgresql_server import running_server

    with running_server() as url:
        yield url


@pytest.fixture
def postgresql_database(postgresql_url: str) -> Iterator[str]:
    """Yield the URL of an empty PostgreSQL database that is dropped after the test."""
    import psycopg

    name = f"test_{uuid4().hex}"
    with psycopg.connect(postgresql_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        yield postgresql_url.replace("/postgres?", f"/{name}?")
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of an empty database, once for SQLite and once for PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'calslo.db'}"
    url: str = request.getfixturevalue("postgresql_database")
    return url


@pytest.fixture
def store(store_url: str) -> "Iterator[Store]":
    """Yield an open state store without rows, once on SQLite and once on PostgreSQL."""
    from calslo_dagster.store.migrations import upgrade
    from calslo_dagster.store.session import open_store

    upgrade(store_url)
    with open_store(store_url) as opened:
        yield opened
