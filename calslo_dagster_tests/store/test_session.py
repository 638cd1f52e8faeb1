"""Opening a store says what is wrong and what to do; readers see one state, writers come one at a time."""

import subprocess
import sys
import threading
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from calslo_dagster.errors import StoreError
from calslo_dagster.store import measurements, session, watermarks
from calslo_dagster.store.migrations import upgrade
from calslo_dagster.store.schema import VERSION_TABLE
from calslo_dagster.store.session import Lock, Store, engine_for, normalized, open_store, redacted
from calslo_dagster.store.watermarks import Watermark
from calslo_dagster_tests.store.builders import DAY, NEXT_DAY, day_of_measurements, measurement

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
# A process of its own that replaces a day, says so before it commits, and then waits to be killed.
REPLACE_AND_WAIT = """
import sys, time
from calslo_dagster.store import measurements
from calslo_dagster.store.session import open_store
from calslo_dagster_tests.store.builders import DAY, NEXT_DAY, measurement
with open_store(sys.argv[1]).write() as session:
    measurements.replace(session, "ece_bound", [measurement(value=0.9)], start=DAY, end=NEXT_DAY)
    print("replaced", flush=True)
    time.sleep(600)
"""


def put(store: Store, source: str) -> None:
    with store.write() as writing:
        watermarks.put(writing, Watermark(source, NOW, NOW))


def sources(store: Store) -> list[str]:
    with store.read() as reading:
        return [row.source for row in watermarks.every(reading)]


@pytest.mark.parametrize(
    ("given", "driver"),
    [
        ("postgresql://u@h/d", "postgresql+psycopg"),
        ("postgres://u@h/d", "postgresql+psycopg"),
        ("postgresql+psycopg2://u@h/d", "postgresql+psycopg"),
        ("sqlite:///a.db", "sqlite+pysqlite"),
    ],
)
def test_the_driver_is_ours_whichever_the_url_names(given: str, driver: str) -> None:
    assert normalized(given).drivername == driver


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("mysql://u:secret@h/d", "a store lives in SQLite or PostgreSQL, not in mysql"),
        ("sqlite://", "the store needs a file"),
        ("sqlite:///:memory:", "the store needs a file"),
        ("secret", "the store's URL cannot be read"),
        ("postgresql://u:secret@h:port/d", "the store's URL cannot be read"),
    ],
)
def test_a_url_that_cannot_be_a_store_is_refused_without_telling_secrets(url: str, complaint: str) -> None:
    with pytest.raises(StoreError, match=complaint) as refused:
        open_store(url)

    assert "secret" not in str(refused.value)


def test_passwords_are_hidden_wherever_the_url_keeps_them() -> None:
    url = normalized("postgresql://u:secret1@h/d?sslpassword=secret2&password=secret3&connect_timeout=3")

    assert redacted(url) == "postgresql://u:***@h/d?connect_timeout=3"


def test_a_server_that_does_not_answer_is_named_without_its_password() -> None:
    url = f"postgresql://u:{'ter'.join(('se', 'ces'))}@127.0.0.1:1/d"

    with pytest.raises(StoreError, match=r"postgresql://u:\*\*\*@127.0.0.1:1/d: cannot be reached: ") as refused:
        open_store(url)

    assert "seterces" not in "".join(traceback.format_exception(refused.value))


def test_a_missing_file_is_not_created(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r'there is no such file; run "calslo db upgrade"'):
        open_store(f"sqlite:///{tmp_path / 'none.db'}")

    assert list(tmp_path.iterdir()) == []


def test_a_database_without_tables_names_the_way_out(store_url: str) -> None:
    engine = engine_for(store_url)
    engine.connect().close()
    engine.dispose()

    with pytest.raises(StoreError, match=r'holds no calslo tables; run "calslo db upgrade"'):
        open_store(store_url)


@pytest.mark.parametrize(
    ("revision", "complaint"),
    [
        ("0000", r'schema 0000 is behind \d+; run "calslo db upgrade"'),
        ("9999", r'schema 9999 is newer than \d+, .* run "pip install --upgrade calslo_dagster"'),
    ],
)
def test_a_schema_of_another_version_names_the_way_out(store_url: str, revision: str, complaint: str) -> None:
    upgrade(store_url)
    engine = engine_for(store_url)
    with session.writing(engine).begin() as connection:
        connection.execute(sa.text(f"UPDATE {VERSION_TABLE} SET version_num = '{revision}'"))
    engine.dispose()

    with pytest.raises(StoreError, match=complaint):
        open_store(store_url)


def test_a_table_that_is_gone_is_an_error_of_the_store(store: Store) -> None:
    with store.write() as writing:
        writing.execute(sa.text("DROP TABLE watermarks"))

    with pytest.raises(StoreError, match='run "calslo db upgrade"'):
        sources(store)


def test_a_file_that_is_no_database_is_an_error_of_the_store(tmp_path: Path) -> None:
    path = tmp_path / "calslo.db"
    path.write_text("no database at all, but long enough to be looked at" * 100)

    with pytest.raises(StoreError, match="file is not a database"):
        open_store(f"sqlite:///{path}")


def test_a_block_that_raises_writes_nothing(store: Store) -> None:
    def fail() -> None:
        with store.write() as writing:
            watermarks.put(writing, Watermark("log", NOW, NOW))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()

    assert sources(store) == []


def test_a_read_session_cannot_write_and_the_next_write_session_can(store: Store) -> None:
    with pytest.raises(StoreError, match=r"readonly|read-only"), store.read() as reading:
        watermarks.put(reading, Watermark("log", NOW, NOW))

    put(store, "log")

    assert sources(store) == ["log"]


def test_a_read_session_sees_one_state_from_its_first_query_to_its_last(store: Store) -> None:
    with store.read() as reading:
        assert watermarks.every(reading) == ()
        put(store, "log")
        assert watermarks.every(reading) == ()

    assert sources(store) == ["log"]


def test_a_second_writer_waits_for_the_first(store: Store) -> None:
    order: list[str] = []

    def second() -> None:
        with store.write():
            order.append("second begins")

    with store.write():
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.3)
        order.append("first ends")
    thread.join()

    assert order == ["first ends", "second begins"]


def begins_beside(store: Store, first: Lock, second: Lock, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Return whether a session under the second lock begins while one under the first goes on."""
    monkeypatch.setattr(session, "BUSY_SECONDS", 0.2)
    with open_store(store.engine.url.render_as_string(hide_password=False)) as other, store.write(first):
        try:
            with other.write(second):
                return True
        except StoreError:
            return False


@pytest.mark.parametrize(
    ("first", "second", "may"),
    [
        (Lock.STATE, Lock.STATE, False),
        (Lock.ALERTS, Lock.ALERTS, False),
        (Lock.STATE, Lock.ALERTS, True),
        (Lock.ALERTS, Lock.STATE, True),
        (Lock.STATE, Lock.NONE, True),
        (Lock.ALERTS, Lock.NONE, True),
        (Lock.NONE, Lock.ALERTS, True),
        (Lock.NONE, Lock.NONE, True),
    ],
)
def test_writers_wait_for_those_of_their_own_lock_and_on_sqlite_for_all(
    store: Store, monkeypatch: pytest.MonkeyPatch, first: Lock, second: Lock, *, may: bool
) -> None:
    is_sqlite = store.engine.dialect.name == "sqlite"

    assert begins_beside(store, first, second, monkeypatch) is (may and not is_sqlite)


def test_what_alerting_writes_is_on_disk_at_once_and_measuring_stays_fast(tmp_path: Path) -> None:
    """1 is NORMAL, which may lose the last transactions when the power fails; 2 is FULL, which does not."""
    url = f"sqlite:///{tmp_path / 'calslo.db'}"
    upgrade(url)

    with open_store(url) as store:
        found = []
        for lock in (Lock.STATE, Lock.ALERTS, Lock.NONE, Lock.STATE):
            with store.write(lock) as writing:
                found.append(writing.scalar(sa.text("PRAGMA synchronous")))
                watermarks.put(writing, Watermark(lock, NOW, NOW))

    assert found == [1, 2, 2, 1]


def test_a_writer_that_waits_too_long_is_told_why(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "BUSY_SECONDS", 0.2)
    upgrade(store_url)

    with open_store(store_url) as first, open_store(store_url) as second, first.write():  # noqa: SIM117
        with pytest.raises(StoreError, match=r"busy for 0.2 s, another process is writing"), second.write():
            pass


def test_readers_never_wait_for_a_writer_and_see_whole_partitions(store: Store) -> None:
    """Each round replaces the day by as many rows of another value; a mixture of two rounds would show."""
    rounds, seen = 12, []
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            with store.read() as reading:
                rows = measurements.between(reading, "ece_bound", start=DAY, end=NEXT_DAY)
            seen.append((len(rows), len({row.value for row in rows})))

    readers = [threading.Thread(target=look) for _ in range(3)]
    for reader in readers:
        reader.start()
    for value in range(rounds):
        rows = [measurement(row.window_end, slice=row.slice, value=float(value)) for row in day_of_measurements()]
        with store.write() as writing:
            measurements.replace(writing, "ece_bound", rows, start=DAY, end=NEXT_DAY)
    stop.set()
    for reader in readers:
        reader.join()

    assert set(seen) <= {(0, 0), (192, 1)}
    assert (192, 1) in seen


def test_a_writer_killed_in_the_middle_leaves_the_old_rows(store: Store, store_url: str) -> None:
    rows = day_of_measurements()
    with store.write() as writing:
        measurements.replace(writing, "ece_bound", rows, start=DAY, end=NEXT_DAY)
    victim = subprocess.Popen([sys.executable, "-c", REPLACE_AND_WAIT, store_url], stdout=subprocess.PIPE)
    assert victim.stdout is not None
    assert victim.stdout.readline() == b"replaced\n"

    victim.kill()
    victim.communicate()

    with store.read() as reading:
        kept = measurements.between(reading, "ece_bound", start=DAY, end=NEXT_DAY)
    assert kept == tuple(sorted(rows, key=lambda row: (row.window_end, row.slice)))
    put(store, "the next writer is not blocked")


def test_sqlite_keeps_a_log_ahead_of_the_file_and_checks_references(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'calslo.db'}"
    upgrade(url)

    with open_store(url) as store, store.read() as reading:
        found = [reading.scalar(sa.text(f"PRAGMA {name}")) for name in ("journal_mode", "foreign_keys", "busy_timeout")]

    assert found == ["wal", 1, 30_000]
