"""What passed while nothing ran is gone through without waking everybody at once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from calslo_dagster.pipeline.respond_to_alerts import Answer
from calslo_dagster.store import alert_events, deliveries
from calslo_dagster_tests.pipeline.incident_room import HOUR, MINUTE, NOON, Room, room_at

POLICY = """\
  policies:
    default:
      - {notify: [log]}
      - {wait: 5m, notify: [log], at_least: critical}
      - {wait: 15m, notify: [log], at_least: critical}
      - {wait: 30m, repeat: 3}
"""


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    found = room_at(tmp_path, alerting=POLICY)
    with found.project.store:
        yield found


def steps(room: Room) -> list[str]:
    with room.project.store.read() as session:
        return [one.cause for one in deliveries.of_incident(session, room.incident.id)]


def test_three_hours_are_two_pages_and_the_waits_count_from_now(room: Room) -> None:
    room.look(NOON - HOUR)
    room.breach("intent=buy")

    room.look(NOON + 3 * HOUR)
    assert steps(room) == ["1:0", "1:1"]
    room.look(NOON + 3 * HOUR + 14 * MINUTE)
    assert steps(room) == ["1:0", "1:1"]
    room.look(NOON + 3 * HOUR + 15 * MINUTE)
    assert steps(room) == ["1:0", "1:1", "1:2"]


def test_an_acknowledgement_that_expired_meanwhile_is_one_page(room: Room) -> None:
    room.breach("intent=buy")
    room.look()
    room.answer(Answer.ACK, NOON + MINUTE, until=NOON + HOUR)
    told = steps(room)

    room.look(NOON + 9 * HOUR)

    assert steps(room) == [*told, "2:0"]


def test_what_is_acknowledged_is_given_back_not_taken_on_again(room: Room) -> None:
    room.breach("intent=buy")
    room.look()
    room.answer(Answer.ACK, NOON + MINUTE)

    with room.project.store.read() as session:
        page, ack = (one.facts for one in deliveries.of_incident(session, room.incident.id))
        assert "acked" in {record.event.kind for record in alert_events.of_incident(session, room.incident.id)}
    assert page.answers[0] == f"calslo alerts ack {room.incident.id}"
    assert ack.answers[0] == f"calslo alerts unack {room.incident.id}"


def test_a_lost_acknowledgement_is_a_page_of_its_own_in_the_facts(room: Room) -> None:
    room.breach("intent=buy")
    room.look()
    room.answer(Answer.ACK, NOON + MINUTE)
    room.answer(Answer.UNACK, NOON + 2 * MINUTE)
    room.look(NOON + 3 * MINUTE)

    with room.project.store.read() as session:
        assert [one.facts.page for one in deliveries.of_incident(session, room.incident.id)] == [1, 1, 2, 2]
