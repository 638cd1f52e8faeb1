"""Silences are durable, say what they cover, and what they have held back."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from calslo_dagster.alerting.silences import SilenceError, Span
from calslo_dagster.pipeline.silence_alerts import Covered, Stage, add_silence, expire_silence, list_silences
from calslo_dagster.store import alert_events, silences
from calslo_dagster_tests.pipeline.incident_room import HOUR, MINUTE, NOON, SLO, Room, room_at
from calslo_dagster_tests.pipeline.silences import a_silence

BUY, REFUND = "intent=buy", "intent=refund"


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    found = room_at(tmp_path)
    with found.project.store:
        yield found


@pytest.fixture(params=["sqlite", "postgresql"])
def any_room(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Room]:
    """Yield a room on either database."""
    url = request.getfixturevalue("postgresql_database") if request.param == "postgresql" else ""
    found = room_at(tmp_path, store_url=url)
    with found.project.store:
        yield found


def covered(room: Room, *matchers: str, **changes: object) -> tuple[Covered, ...]:
    return add_silence(room.project, a_silence(**changes), matchers, now=NOON)[1]


def test_a_silence_has_a_number_and_is_on_record_with_its_author(any_room: Room) -> None:
    added, found = add_silence(any_room.project, a_silence(reason="deploy"), [f"slo={SLO}", "intent!=buy"], now=NOON)

    with any_room.project.store.read() as session:
        assert silences.by_id(session, added.id) == added
        [logged] = alert_events.of_incident(session, f"silence:{added.id}")
    event = logged.event
    assert (event.kind, event.actor, event.source, event.reason) == ("silence added", "ada", "cli", "deploy")
    assert event.payload["silence"] == added.to_json()
    assert found == ()


def test_what_it_covers_is_told_with_how_much_of_it(room: Room) -> None:
    room.breach(BUY, REFUND)
    room.look()

    [whole] = covered(room, f"slo={SLO}")
    [part] = covered(room, "intent=buy")
    assert (whole.slices, whole.of, whole.is_held) == (2, 2, True)
    assert (part.slices, part.of, part.is_held) == (1, 2, False)
    assert covered(room, "slo=p99_latency") == ()
    assert covered(room, f"slo={SLO}", starts_at=NOON + HOUR) == ()


def test_an_emergency_passes_unless_it_is_named(room: Room) -> None:
    room.breach("*", slo="score_range")
    room.look()

    [passes] = covered(room, "slo=score_range")
    [held] = covered(room, "slo=score_range", covers_emergency=True)
    assert (passes.passes, passes.is_held) == (True, False)
    assert held.is_held


def test_every_mistake_is_told_at_once_and_nothing_is_written(room: Room) -> None:
    with pytest.raises(SilenceError) as raised:
        add_silence(room.project, a_silence(reason=" ", zone="Europe/Berlim"), ["slo"], now=NOON)

    said = str(raised.value)
    assert "'slo' is no matcher" in said
    assert "the reason is empty" in said
    assert "write an IANA name such as Europe/Berlin" in said
    assert list_silences(room.project, now=NOON, is_complete=True) == ()


def test_the_list_has_those_that_hold_first_and_the_past_on_demand(any_room: Room) -> None:
    for changes in (
        {"starts_at": NOON + HOUR},
        {"starts_at": NOON - HOUR, "ends_at": NOON + MINUTE, "created_at": NOON - HOUR},
        {
            "rrule": "FREQ=DAILY;BYHOUR=11;BYMINUTE=0",
            "duration": 2 * HOUR,
            "ends_at": None,
            "starts_at": NOON - 2 * HOUR,
        },
    ):
        add_silence(any_room.project, a_silence(**changes), ["slo=p99_latency"], now=NOON)
    expire_silence(any_room.project, "1", by="bob", now=NOON)

    later = NOON + 2 * MINUTE
    assert [(one.silence.id, one.stage) for one in list_silences(any_room.project, now=NOON)] == [
        ("2", Stage.ACTIVE),
        ("3", Stage.ACTIVE),
    ]
    assert [(one.silence.id, one.stage) for one in list_silences(any_room.project, now=later, is_complete=True)] == [
        ("3", Stage.ACTIVE),
        ("2", Stage.ENDED),
        ("1", Stage.EXPIRED),
    ]
    [recurring] = list_silences(any_room.project, now=NOON + 3 * HOUR)
    assert (recurring.stage, recurring.span) == (Stage.WAITING, Span(NOON + 23 * HOUR, NOON + 25 * HOUR))


def test_what_it_held_back_is_listed_once_an_incident(room: Room) -> None:
    add_silence(room.project, a_silence(), [f"slo={SLO}"], now=NOON)
    room.breach(BUY)
    room.look()
    room.look(NOON + MINUTE)

    [one] = list_silences(room.project, now=NOON + 2 * MINUTE)
    assert [(held.incident_id, held.slo, held.at) for held in one.held] == [(room.incident.id, SLO, NOON)]


def test_a_page_that_was_ordered_before_the_silence_is_held_back_on_record(any_room: Room) -> None:
    """It was decided to tell; that it is not told after all is a decision too."""
    from calslo_dagster.pipeline.advance_alerts import advance_alerts

    any_room.breach(BUY)
    advance_alerts(any_room.project, now=NOON)
    add_silence(any_room.project, a_silence(), [f"slo={SLO}"], now=NOON)
    any_room.look(NOON + timedelta(seconds=1))
    any_room.look(NOON + MINUTE)

    with any_room.project.store.read() as session:
        logged = alert_events.of_incident(session, any_room.incident.id)
    [event] = [one.event for one in logged if one.event.kind == "postponed"]
    assert event.reason == "trigger to log not told: silence 1 by ada: known"
    assert (event.source, event.payload["by"]) == ("dispatcher", "1")
    [one] = list_silences(any_room.project, now=NOON + MINUTE)
    assert [held.incident_id for held in one.held] == [any_room.incident.id]


def test_expiring_ends_it_once_and_says_what_it_held_back(room: Room) -> None:
    add_silence(room.project, a_silence(), [f"slo={SLO}"], now=NOON)
    room.breach(BUY)
    room.look()

    first, was_new = expire_silence(room.project, "1", by="bob", now=NOON + MINUTE)
    _, is_new = expire_silence(room.project, "1", by="eve", now=NOON + 2 * MINUTE)

    assert (was_new, is_new) == (True, False)
    assert (first.stage, first.silence.expired_by) == (Stage.EXPIRED, "bob")
    assert [held.slo for held in first.held] == [SLO]
    assert room.look(NOON + 2 * MINUTE) == 1
    with room.project.store.read() as session:
        said = [one.event.kind for one in alert_events.of_incident(session, "silence:1")]
    assert said == ["silence added", "silence expired"]


@pytest.mark.parametrize("unknown", ["7", "x", ""])
def test_an_unknown_number_is_answered_with_those_there_are(room: Room, unknown: str) -> None:
    add_silence(room.project, a_silence(), [f"slo={SLO}"], now=NOON)

    with pytest.raises(SilenceError, match="those that hold or will are: 1"):
        expire_silence(room.project, unknown, by="bob", now=NOON)
