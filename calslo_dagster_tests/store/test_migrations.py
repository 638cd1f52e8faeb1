"""The migrations build the tables that the code expects, from any state, and all or nothing."""

import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from calslo_dagster.errors import StoreError
from calslo_dagster.store import escalations, incidents, migrations
from calslo_dagster.store.migrations import check, current, upgrade
from calslo_dagster.store.schema import REVISION, VERSION_TABLE, metadata
from calslo_dagster.store.session import engine_for, open_store, writing


def execute(url: str, statement: str) -> None:
    engine = engine_for(url)
    with writing(engine).begin() as connection:
        connection.execute(sa.text(statement))
    engine.dispose()


def tables(url: str) -> set[str]:
    engine = engine_for(url)
    with engine.connect() as connection:
        found = set(sa.inspect(connection).get_table_names())
    engine.dispose()
    return found


def test_the_migrations_build_what_the_code_expects(store_url: str) -> None:
    assert upgrade(store_url) == REVISION

    assert check(store_url) == ()
    assert tables(store_url) == {*metadata.tables, VERSION_TABLE}


def test_the_revision_that_the_code_names_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))

    assert ScriptDirectory.from_config(config).get_heads() == [REVISION]


def upgrade_to(url: str, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    engine = engine_for(url)
    with writing(engine).begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()


def test_a_store_of_the_first_version_is_upgraded_with_what_it_holds(store_url: str) -> None:
    upgrade_to(store_url, "0001")
    execute(store_url, "INSERT INTO watermarks (source) VALUES ('log')")
    assert current(store_url) == "0001"
    assert "alerts" not in tables(store_url)

    assert upgrade(store_url) == REVISION

    assert check(store_url) == ()
    assert tables(store_url) == {*metadata.tables, VERSION_TABLE}
    with open_store(store_url) as store, store.read() as session:
        assert session.scalar(sa.text("SELECT source FROM watermarks")) == "log"


def test_what_is_open_while_the_store_is_upgraded_goes_on(store_url: str) -> None:
    upgrade_to(store_url, "0002")
    execute(
        store_url,
        "INSERT INTO incidents (id, group_key, episode, labels, state, severity, peak_severity, opened_at, members, "
        "flaps, reason) VALUES ('i', 'g', 1, '{}', 'acked', 'warning', 'critical', '2026-03-02 12:00:00', 1, 0, '')",
    )
    execute(
        store_url,
        "INSERT INTO escalations (incident_id, policy, round, step, repeats, state) "
        """VALUES ('i', '{"name": "default", "steps": []}', 2, 1, 0, 'acked')""",
    )

    upgrade(store_url)

    with open_store(store_url) as store, store.read() as session:
        course = escalations.of(session, ["i"])["i"]
        assert (course.round, course.owed, course.pages) == (2, None, 1)
        assert incidents.by_ids(session, ["i"])["i"].acked_severity is None


def test_upgrading_again_changes_nothing(store_url: str) -> None:
    upgrade(store_url)
    execute(store_url, "INSERT INTO watermarks (source) VALUES ('log')")

    assert upgrade(store_url) == REVISION

    with open_store(store_url) as store, store.read() as session:
        assert session.scalar(sa.text("SELECT source FROM watermarks")) == "log"


def test_a_store_that_does_not_exist_has_no_revision_and_is_not_created(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'none.db'}"

    assert current(url) is None
    assert check(url) == (f"revision none, not {REVISION}",)
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_a_new_store_is_made(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a b' / '100%' / 'calslo.db'}"

    upgrade(url)

    assert current(url) == REVISION


def test_check_names_what_was_changed_by_hand_and_leaves_other_tables_alone(store_url: str) -> None:
    upgrade(store_url)
    execute(store_url, "CREATE TABLE somebody_elses (n INTEGER)")
    assert check(store_url) == ()

    execute(store_url, "ALTER TABLE breaches ADD COLUMN by_hand INTEGER")
    execute(store_url, "DROP TABLE drift")

    found = " ".join(check(store_url))
    assert "by_hand" in found
    assert "add_table" in found
    assert "somebody_elses" not in found


def test_check_names_the_triggers_without_which_the_audit_log_could_be_changed(store_url: str) -> None:
    upgrade(store_url)
    is_sqlite = store_url.startswith("sqlite")
    name = "alert_events_no_delete" if is_sqlite else "alert_events_no_truncate"
    execute(store_url, f"DROP TRIGGER {name}{'' if is_sqlite else ' ON alert_events'}")

    assert check(store_url) == (f"trigger {name} is missing or off, so that the audit log can be changed",)


def test_check_names_a_trigger_that_is_turned_off(postgresql_database: str) -> None:
    upgrade(postgresql_database)
    execute(postgresql_database, "ALTER TABLE alert_events DISABLE TRIGGER alert_events_no_change")

    [found] = check(postgresql_database)
    assert found.startswith("trigger alert_events_no_change is missing or off")


def test_an_upgrade_that_fails_leaves_nothing_behind(store_url: str) -> None:
    execute(store_url, "CREATE TABLE deliveries (n INTEGER)")

    with pytest.raises(StoreError, match="deliveries"):
        upgrade(store_url)

    assert current(store_url) is None
    assert tables(store_url) == {"deliveries"}


def test_a_store_of_a_newer_version_is_not_touched(store_url: str) -> None:
    upgrade(store_url)
    execute(store_url, f"UPDATE {VERSION_TABLE} SET version_num = '9999'")

    with pytest.raises(StoreError, match="a newer version of calslo_dagster wrote this store"):
        upgrade(store_url)


def test_processes_that_upgrade_at_the_same_time_do_it_once(store_url: str) -> None:
    code = "import sys; from calslo_dagster.store.migrations import upgrade; upgrade(sys.argv[1])"
    processes = [
        subprocess.Popen([sys.executable, "-c", code, store_url], stderr=subprocess.PIPE, text=True) for _ in range(3)
    ]

    ended = [(process.communicate()[1], process.returncode) for process in processes]

    assert ended == [("", 0)] * 3
    assert check(store_url) == ()
