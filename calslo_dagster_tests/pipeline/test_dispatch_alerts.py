"""A round outside Dagster does all that its sensors do about alerts."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from calslo_dagster.errors import StoreError
from calslo_dagster.pipeline.advance_alerts import advance_alerts
from calslo_dagster.pipeline.deliver_outbox import Tally
from calslo_dagster.pipeline.dispatch_alerts import WATCHED_EVERY, Round, dispatch_alerts
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.watch_ourselves import WATCHDOG
from calslo_dagster.store import deliveries, evaluations, heartbeats, troubles
from calslo_dagster_tests.pipeline.incident_room import HOUR, MINUTE, NOON, Room, room_at


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    found = room_at(tmp_path)
    with found.project.store:
        yield found


def dispatch(room: Room, *, after: timedelta = timedelta(0)) -> Round:
    return dispatch_alerts(room.project, clock=lambda: NOON + after)


def watched(project: Project) -> dict[str, object]:
    with project.store.read() as session:
        return {one.component: one.last_at for one in heartbeats.every(session)}


def test_what_is_wrong_is_decided_and_sent_in_one_round(room: Room) -> None:
    room.breach("intent=buy")

    assert str(dispatch(room)) == "1 messages ordered; 1 sent"
    assert dispatch(room).is_quiet


def test_a_standstill_of_the_evaluation_is_noticed_without_dagster(room: Room) -> None:
    with room.project.store.write() as session:
        evaluations.put(session, "ece_bound", {NOON: "d"}, at=NOON - HOUR)

    for n in range(7):
        dispatch(room, after=n * MINUTE)

    with room.project.store.read() as session:
        assert [one.component for one in troubles.open_ones(session)] == ["evaluation"]


def test_it_watches_as_often_as_it_must_and_not_more(room: Room) -> None:
    dispatch(room)
    dispatch(room, after=WATCHED_EVERY / 2)
    assert watched(room.project)[WATCHDOG] == NOON

    dispatch(room, after=WATCHED_EVERY)
    assert watched(room.project)[WATCHDOG] == NOON + WATCHED_EVERY


def test_what_was_ordered_goes_out_even_if_nothing_can_be_decided(room: Room) -> None:
    room.breach("intent=buy")
    advance_alerts(room.project, now=NOON)
    with room.project.store.engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA query_only = OFF")
        connection.exec_driver_sql("ALTER TABLE breaches RENAME TO elsewhere")

    with pytest.raises(StoreError, match="no such table: breaches"):
        dispatch(room)

    with room.project.store.read() as session:
        [one] = deliveries.of_incident(session, room.incident.id)
    assert one.status == "sent"


def test_what_was_ordered_goes_out_even_if_we_cannot_be_watched(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    room.breach("intent=buy")
    advance_alerts(room.project, now=NOON)
    with room.project.store.engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA query_only = OFF")
        connection.exec_driver_sql("ALTER TABLE evaluations RENAME TO elsewhere")
        connection.exec_driver_sql("ALTER TABLE breaches RENAME TO nowhere")

    with pytest.raises(StoreError, match="no such table: evaluations"):
        dispatch(room, after=HOUR)

    with room.project.store.read() as session:
        [one] = deliveries.of_incident(session, room.incident.id)
    assert one.status == "sent"
    assert "deciding failed too: " in caplog.text


def test_whoever_is_told_to_stop_claims_nothing_more(room: Room) -> None:
    room.breach("intent=buy")

    done = dispatch_alerts(room.project, clock=lambda: NOON, stop=lambda: True)

    assert done == Round(1, Tally(), ())
    assert not done.is_quiet
