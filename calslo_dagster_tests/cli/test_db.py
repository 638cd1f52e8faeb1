"""`calslo db upgrade` creates the state store wherever the settings say, and tells what it did without secrets."""

from pathlib import Path

import pytest

from calslo_dagster.store.migrations import check
from calslo_dagster.store.schema import REVISION
from calslo_dagster_tests.cli.running import run, spawn


def test_an_empty_store_is_created_and_then_up_to_date(store_url: str) -> None:
    first = run("db", "upgrade", CALSLO_STORE_URL=store_url)
    second = run("db", "upgrade", CALSLO_STORE_URL=store_url)

    assert (first.exit_code, first.stdout) == (0, f"schema empty -> {REVISION}\n")
    assert (second.exit_code, second.stdout) == (0, f"schema {REVISION}, up to date\n")
    assert first.stderr == second.stderr == ""
    assert check(store_url) == ()


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg2"])
def test_a_url_of_postgresql_may_name_any_driver(postgresql_database: str, scheme: str) -> None:
    done = run("db", "upgrade", CALSLO_STORE_URL=postgresql_database.replace("postgresql+psycopg", scheme))

    assert done.exit_code == 0, done.stderr


def test_a_process_upgrades_the_default_store_in_the_home(tmp_path: Path) -> None:
    done = spawn("db", "upgrade", CALSLO_HOME=str(tmp_path / "home"))

    assert (done.returncode, done.stderr) == (0, "")
    assert check(f"sqlite:///{tmp_path / 'home' / 'calslo.db'}") == ()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://u:hunter2@127.0.0.1:1/x?connect_timeout=2", "postgresql://u:***@127.0.0.1:1/x"),
        ("mysql://u:hunter2@db/x", "a store lives in SQLite or PostgreSQL, not in mysql"),
        ("nonsense hunter2", "the store's URL cannot be read"),
    ],
)
def test_a_store_that_cannot_be_reached_is_told_without_its_password(url: str, says: str) -> None:
    done = run("db", "upgrade", CALSLO_STORE_URL=url)

    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr.startswith("calslo: ")
    assert says in done.stderr
    assert "hunter2" not in done.output
    assert "Traceback" not in done.output


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "calslo.db").write_text("something else\n" * 100)

    done = run("db", "upgrade", CALSLO_STORE_URL=f"sqlite:///{tmp_path / 'calslo.db'}")

    assert done.exit_code == 2
    assert "file is not a database" in done.stderr


def test_db_alone_shows_its_commands() -> None:
    assert "upgrade" in run("db").output
