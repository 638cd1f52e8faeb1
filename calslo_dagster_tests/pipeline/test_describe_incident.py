"""Incidents are listed by what needs a person most, and described with all that is known of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from calslo_dagster.alerting.model import Action
from calslo_dagster.pipeline.describe_incident import describe_incident, holder, list_incidents
from calslo_dagster.pipeline.respond_to_alerts import Answer, UnknownIncident
from calslo_dagster.pipeline.silence_alerts import add_silence
from calslo_dagster.slo.model import Verdict
from calslo_dagster_tests.pipeline.incident_room import HOUR, MINUTE, NOON, SLO, Room, room_at
from calslo_dagster_tests.pipeline.silences import a_silence

BUY, REFUND = "intent=buy", "intent=refund"


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    found = room_at(tmp_path)
    with found.project.store:
        yield found


def listed(room: Room, *, is_complete: bool = False) -> list[tuple[str, int, str]]:
    found = list_incidents(room.project, is_complete=is_complete)
    return [(one.incident.labels["slo"], one.slices, one.next_step) for one in found]


def test_the_worst_comes_first_and_what_somebody_has_comes_last(room: Room) -> None:
    room.breach(BUY, REFUND)
    room.look()
    room.answer(Answer.ACK, NOON + MINUTE)
    room.breach(BUY, slo="p99_latency")
    room.breach(BUY, slo="score_range")
    room.look(NOON + 2 * MINUTE)

    assert listed(room) == [
        ("score_range", 1, "log at 12:17 UTC unless acknowledged"),
        ("p99_latency", 1, "log at 12:17 UTC unless acknowledged"),
        ("ece_bound", 2, "starts over at 2026-03-10 20:01 UTC, when the acknowledgement expires"),
    ]


def test_the_trouble_is_older_than_its_incident(room: Room) -> None:
    room.breach(BUY)
    room.look(NOON + MINUTE)

    [line] = list_incidents(room.project)
    assert (line.since, line.incident.opened_at) == (NOON - 15 * MINUTE, NOON + MINUTE)


def test_what_is_over_is_listed_on_demand(room: Room) -> None:
    room.breach(BUY)
    room.look()
    room.breach(BUY, until=NOON + HOUR)
    room.look(NOON + HOUR)

    assert listed(room) == []
    assert listed(room, is_complete=True) == [("ece_bound", 1, "")]


def test_what_holds_it_back_is_named(room: Room) -> None:
    add_silence(room.project, a_silence(), [f"slo={SLO}"], now=NOON)
    room.breach(BUY)
    room.breach(BUY, slo="score_range")
    room.breach(BUY, slo="merged_bins")
    room.look()

    assert {name: step for name, _, step in listed(room)} == {
        "score_range": "log at 12:15 UTC unless acknowledged",
        "merged_bins": "held back by mute bad scores",
        "ece_bound": "held back by silence 1",
    }


def test_after_the_last_step_it_is_told_again(room: Room) -> None:
    room.breach(BUY)
    room.look()
    room.look(NOON + 15 * MINUTE)

    assert listed(room) == [("ece_bound", 1, "told again at 2026-03-10 16:15 UTC")]


def test_a_description_has_the_facts_the_slices_by_harm_and_the_record(room: Room) -> None:
    room.measure(BUY, Verdict.BREACHED)
    room.measure(REFUND, Verdict.MEETING)
    room.breach(BUY, REFUND)
    room.look()

    found = describe_incident(room.project, room.incident.id[:3], now=NOON + MINUTE)

    # One has events, so it does harm; of the other only how far off it was is known.
    assert [one.subject.slice for one in found.record.members] == [BUY, REFUND]
    assert (found.facts.slices, found.facts.measured, found.action) == (2, 2, Action.UPDATE)
    assert [one.event.kind for one in found.record.events] == ["opened", "escalation began", "notified", "delivered"]
    [delivery] = found.record.deliveries
    [attempt] = found.record.attempts[delivery.id]
    assert (delivery.action, attempt.result) == (Action.TRIGGER, "ok")
    assert found.record.next_step == "log at 12:15 UTC unless acknowledged"


def test_an_incident_that_is_over_is_described_as_such(room: Room) -> None:
    room.breach(BUY)
    room.look()
    room.answer(Answer.RESOLVE, NOON + MINUTE, note="test traffic")

    found = describe_incident(room.project, room.incident.id, now=NOON + HOUR)

    assert (found.action, found.record.next_step) == (Action.RESOLVE, "")
    assert found.facts.reason == "resolved by ada: test traffic"


def test_an_unknown_id_is_answered_with_the_open_ones(room: Room) -> None:
    room.breach(BUY)
    room.look()

    with pytest.raises(UnknownIncident, match=f"begins with 'zz'; open are: {room.incident.id}"):
        describe_incident(room.project, "zz", now=NOON)


@pytest.mark.parametrize(("by", "called"), [("3", "silence 3"), ("bad scores:0a1b", "mute bad scores")])
def test_what_holds_back_has_a_name(by: str, called: str) -> None:
    assert holder(by) == called
