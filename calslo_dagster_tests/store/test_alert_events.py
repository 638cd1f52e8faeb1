"""The audit log is only ever added to, and whatever is changed in it behind our back is found."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from calslo_dagster.store import alert_events
from calslo_dagster.store.alert_events import FIRST, Verification
from calslo_dagster.store.schema import alert_events as log
from calslo_dagster.store.session import Lock, Store
from calslo_dagster_tests.store.alert_builders import MINUTE, NOW, event
from calslo_dagster_tests.store.crew import SIZE, Crew, append_events

EVENTS = [event(), event("other", kind="acked", actor="ann", at=NOW + MINUTE, payload={}), event(reason="third")]
# Written down once: a log that exists has to verify for ever.
FIRST_HASH = "9b9ba025708ab046"


@pytest.fixture
def filled(store: Store) -> Store:
    with store.write(Lock.ALERTS) as session:
        alert_events.append(session, EVENTS[:2])
    with store.write(Lock.ALERTS) as session:
        alert_events.append(session, EVENTS[2:])
    return store


@pytest.fixture
def unguarded(filled: Store) -> Store:
    """Return the store as somebody leaves it who can do anything in the database."""
    with filled.write() as session:
        if filled.engine.dialect.name == "postgresql":
            session.execute(sa.text("ALTER TABLE alert_events DISABLE TRIGGER USER"))
        else:
            for name in ("update", "delete", "replace"):
                session.execute(sa.text(f"DROP TRIGGER alert_events_no_{name}"))
    return filled


def test_events_come_back_in_the_order_in_which_they_were_written(filled: Store) -> None:
    with filled.read() as session:
        logged = alert_events.of_incident(session, "incident")
        assert [one.event for one in logged] == [EVENTS[0], EVENTS[2]]
        assert [one.id for one in logged] == [1, 3]
        assert [one.event for one in alert_events.between(session, start=NOW, end=NOW + MINUTE)] == EVENTS[::2]
        assert alert_events.head(session) == logged[-1].hash
        assert alert_events.last_at(session, "other") == NOW + MINUTE
        assert alert_events.last_at(session, "nobody") is None


def test_a_log_that_nobody_touched_is_sound(filled: Store) -> None:
    with filled.read() as session:
        head = alert_events.head(session)

        assert alert_events.verify(session) == Verification(3, head)
        assert alert_events.verify(session, expected=head) == Verification(3, head)


def test_an_empty_log_is_sound_until_it_is_known_to_have_had_lines(store: Store) -> None:
    with store.write() as session:
        assert alert_events.append(session, []) == ()
        assert alert_events.head(session) == FIRST
        assert alert_events.verify(session) == alert_events.verify(session, expected=FIRST) == Verification(0, FIRST)
        assert alert_events.verify(session, expected="a" * 64).broken_id == 1


def test_the_same_events_have_the_same_hashes_on_both_databases_and_in_every_zone(filled: Store) -> None:
    berlin = timezone(timedelta(hours=1))
    with filled.write(Lock.ALERTS) as session:
        (logged,) = alert_events.append(session, [replace(EVENTS[0], at=NOW.astimezone(berlin))])

        assert alert_events.verify(session).broken_id is None
        (first, *_) = alert_events.of_incident(session, "incident")
    assert first.hash.startswith(FIRST_HASH)
    assert logged.hash != first.hash


def test_what_a_log_once_ended_with_stays_in_it(filled: Store) -> None:
    with filled.write(Lock.ALERTS) as session:
        before = alert_events.head(session)
        alert_events.append(session, [event()])

        assert alert_events.verify(session, expected=before).broken_id is None


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE alert_events SET reason = 'nothing happened'",
        "UPDATE alert_events SET hash = hash",
        "DELETE FROM alert_events WHERE id = 3",
        "DELETE FROM alert_events",
    ],
)
def test_the_database_refuses_to_change_or_delete_events(filled: Store, statement: str) -> None:
    with pytest.raises(IntegrityError, match="alert_events is only ever added to"), filled.write() as session:
        session.execute(sa.text(statement))

    with filled.read() as session:
        assert alert_events.verify(session).events == 3


def test_the_database_refuses_to_empty_or_replace_events(filled: Store) -> None:
    replaced = "INSERT OR REPLACE INTO alert_events SELECT * FROM alert_events WHERE id = 1"
    statement = "TRUNCATE alert_events" if filled.engine.dialect.name == "postgresql" else replaced

    with pytest.raises(IntegrityError, match="alert_events is only ever added to"), filled.write() as session:
        session.execute(sa.text(statement))


def flipped(value: Any, bits: int) -> Iterator[Any]:
    """Yield the value with one byte changed, for each of its bytes; a time or number is moved by one."""
    if isinstance(value, datetime):
        yield value + timedelta(microseconds=1)
        yield value - timedelta(microseconds=1)
    elif isinstance(value, int):
        yield value + 10
    else:
        data = value if isinstance(value, bytes) else value.encode()
        for place in range(len(data)):
            yield data[:place] + bytes([data[place] ^ bits]) + data[place + 1 :]


def tampered(session: Session, column: str, bits: int) -> Iterator[Verification]:
    """Yield what verifying finds for each change of one byte of the column of the second event."""
    is_sqlite = session.connection().dialect.name == "sqlite"
    chosen = sa.cast(log.c[column], sa.LargeBinary) if is_sqlite and column != "id" else log.c[column]
    value = session.scalar(sa.select(chosen).where(log.c.id == 2))
    placed = "CAST(:value AS TEXT)" if is_sqlite and column != "id" else ":value"
    for other in flipped(value, bits):
        bound = other if is_sqlite or not isinstance(other, bytes) else other.decode()
        with session.begin_nested() as attempt:
            session.execute(sa.text(f"UPDATE alert_events SET {column} = {placed} WHERE id = 2"), {"value": bound})
            yield alert_events.verify(session)
            attempt.rollback()


@pytest.mark.parametrize("column", [column.name for column in log.c])
def test_a_flipped_byte_is_found_in_every_column(unguarded: Store, column: str) -> None:
    """The lowest bit turns what is ASCII into other ASCII; on SQLite the highest makes it no text at all."""
    is_sqlite = unguarded.engine.dialect.name == "sqlite"
    with unguarded.write() as session:
        for bits in (1, 0x20, 0x80) if is_sqlite else (1,):
            found = list(tampered(session, column, bits))

            assert found
            assert {one.broken_id for one in found} == {2}
            assert {one.events for one in found} == {1}
        assert alert_events.verify(session).broken_id is None


def test_a_number_written_otherwise_is_found(unguarded: Store) -> None:
    """What means the same is not the same: 1e-09 and 1E-09."""
    with unguarded.write(Lock.ALERTS) as session:
        alert_events.append(session, [event(payload={"p": 1e-9})])
        session.execute(sa.text("UPDATE alert_events SET payload = replace(payload, '1e-09', '1E-09') WHERE id = 4"))

        assert alert_events.verify(session).broken_id == 4


@pytest.mark.parametrize(("gone", "broken"), [(1, 1), (2, 2)])
def test_a_removed_event_is_found(unguarded: Store, gone: int, broken: int) -> None:
    with unguarded.write() as session:
        session.execute(sa.delete(log).where(log.c.id == gone))

        found = alert_events.verify(session)

    assert found.broken_id == broken
    assert found.reason == f"line {gone} is missing, line {gone + 1} follows"


def test_a_removed_event_is_found_even_if_the_others_move_up(unguarded: Store) -> None:
    with unguarded.write() as session:
        session.execute(sa.delete(log).where(log.c.id == 2))
        session.execute(sa.update(log).where(log.c.id == 3).values(id=2))

        assert alert_events.verify(session).broken_id == 2


def test_an_event_that_was_put_in_is_found(unguarded: Store) -> None:
    with unguarded.write() as session:
        session.execute(sa.update(log).where(log.c.id == 3).values(id=4))
        copied = sa.select(sa.literal(3), *[column for column in log.c if column.name != "id"]).where(log.c.id == 2)
        session.execute(sa.insert(log).from_select([column.name for column in log.c], copied))

        assert alert_events.verify(session).broken_id == 3


def test_a_tail_that_was_cut_off_is_found_by_who_kept_its_hash(unguarded: Store) -> None:
    with unguarded.write() as session:
        head = alert_events.head(session)
        session.execute(sa.delete(log).where(log.c.id == 3))

        assert alert_events.verify(session).broken_id is None
        found = alert_events.verify(session, expected=head)

    assert (found.broken_id, found.events) == (3, 2)
    assert head in found.reason


def test_a_log_that_was_written_anew_is_found_by_who_kept_its_hash(unguarded: Store) -> None:
    with unguarded.write(Lock.ALERTS) as session:
        head = alert_events.head(session)
        session.execute(sa.delete(log))
        alert_events.append(session, [*EVENTS[:2], event(reason="nothing happened")])

        assert alert_events.verify(session).broken_id is None
        assert alert_events.verify(session, expected=head).broken_id == 4


def test_a_transaction_that_fails_leaves_no_gap(filled: Store) -> None:
    def fail() -> None:
        with filled.write(Lock.ALERTS) as session:
            alert_events.append(session, [event()])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with filled.write(Lock.ALERTS) as session:
        (logged,) = alert_events.append(session, [event()])

    assert logged.id == 4


def test_many_events_are_verified_in_pages(store: Store) -> None:
    found = [event(reason=str(number)) for number in range(2_500)]
    with store.write(Lock.ALERTS) as session:
        alert_events.append(session, found)

    with store.read() as session:
        assert alert_events.verify(session).events == 2_500


def test_four_processes_that_write_at_once_make_one_chain(store: Store, store_url: str, crew: Crew) -> None:
    counts = crew.together(append_events, store_url, 15)

    with store.read() as session:
        found = alert_events.verify(session)
        written = [one.event.reason for one in alert_events.of_incident(session, "incident")]
    assert (found.broken_id, found.events) == (None, sum(counts))
    assert len(set(written)) == SIZE * 30
    for number in range(SIZE):
        mine = [reason for reason in written if reason.startswith(f"{number}.")]
        assert mine == [f"{number}.{turn}.{part}" for turn in range(15) for part in range(2)]
