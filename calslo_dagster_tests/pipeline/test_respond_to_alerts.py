"""What people write is put on record as it is, or refused in one sentence; no database gets to complain of it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from calslo_dagster.channels.slack_blocks import ACK, SILENCE
from calslo_dagster.errors import CalsloError, UnfitTextError
from calslo_dagster.pipeline.respond_to_alerts import Answer, Response, incident_of, respond
from calslo_dagster.pipeline.send_test import send_test
from calslo_dagster.pipeline.silence_alerts import add_silence, expire_silence, list_silences
from calslo_dagster.store import alert_events
from calslo_dagster.web.answers import press
from calslo_dagster_tests.cli.running import run
from calslo_dagster_tests.pipeline.incident_room import NOON, Room, room_at
from calslo_dagster_tests.pipeline.silences import a_silence

UNFIT = {"nul": "a\0b", "half": "a\ud800b"}
WAYS: dict[str, Callable[[Room, str], object]] = {
    "incident": lambda room, text: room_response(room, incident_id=text),
    "author": lambda room, text: room_response(room, by=text),
    "note": lambda room, text: room_response(room, note=text),
    "key": lambda room, text: incident_of(room.project, text),
    "reason": lambda room, text: add_silence(room.project, a_silence(reason=text), ["slo=a"], now=NOON),
    "ticket": lambda room, text: add_silence(room.project, a_silence(ticket=text), ["slo=a"], now=NOON),
    "author of a silence": lambda room, text: add_silence(room.project, a_silence(author=text), ["slo=a"], now=NOON),
    "matcher": lambda room, text: add_silence(room.project, a_silence(), [f"slo={text}"], now=NOON),
    "silence": lambda room, text: expire_silence(room.project, text, by="ada", now=NOON),
    "who ends a silence": lambda room, text: expire_silence(room.project, "1", by=text, now=NOON),
    "who tests": lambda room, text: send_test(room.project, "log", by=text),
}


def room_response(room: Room, **changes: Any) -> str:
    wanted = replace(Response(Answer.ACK, room.incident.id, "ada", "cli"), **changes)
    return respond(room.project, wanted, now=NOON)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def room(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    """Yield a room with an open incident, on either database, which refused answers leave as it is."""
    url = request.getfixturevalue("database") if request.param == "postgresql" else ""
    found = room_at(tmp_path_factory.mktemp("room"), store_url=url)
    found.breach("intent=buy")
    with found.project.store:
        found.look()
        yield found


@pytest.fixture(scope="module")
def database(postgresql_url: str) -> Iterator[str]:
    import psycopg

    with psycopg.connect(postgresql_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("CREATE DATABASE unfit")
        yield postgresql_url.replace("/postgres?", "/unfit?")
        connection.execute("DROP DATABASE unfit WITH (FORCE)")


@pytest.mark.parametrize("text", UNFIT.values(), ids=UNFIT)
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_text_that_no_database_keeps_is_refused_with_its_place(
    room: Room, way: Callable[[Room, str], object], text: str
) -> None:
    with pytest.raises(CalsloError, match=r"cannot be stored: it has the character U\+(0000|D800)") as raised:
        way(room, text)

    assert len(str(raised.value).splitlines()) == 1
    assert str(raised.value).isprintable()
    with room.project.store.read() as session:
        assert alert_events.verify(session).broken_id is None
    assert list_silences(room.project, now=NOON, is_complete=True) == ()


@pytest.mark.parametrize("text", UNFIT.values(), ids=UNFIT)
@pytest.mark.parametrize("action", [ACK, SILENCE])
def test_a_button_works_whatever_its_person_is_called(
    tmp_path: Path, postgresql_database: str, action: str, text: str
) -> None:
    found = room_at(tmp_path, store_url=postgresql_database)
    found.breach("intent=buy")
    with found.project.store:
        found.look()
        value = f'{{"incident_id": "{found.incident.id}"}}'
        payload = {"user": {"username": text}, "actions": [{"action_id": action, "value": value}]}
        assert "cannot be stored" not in press(found.project, payload, NOON)
        with found.project.store.read() as session:
            actors = {one.event.actor for one in alert_events.between(session, start=NOON, end=NOON.replace(year=9999))}
    assert {r"a\x00b", r"a\ud800b"} & actors


@pytest.mark.parametrize("value", ['{"incident_id": "a\\u0000"}', '{"incident_id": "a\\ud800"}', "\ud800"])
def test_a_button_about_nonsense_is_answered(room: Room, value: str) -> None:
    assert press(room.project, {"actions": [{"action_id": ACK, "value": value}]}, NOON)


def test_the_command_line_says_it_in_one_line_and_exits_as_for_any_mistake(tmp_path: Path) -> None:
    found = room_at(tmp_path)
    found.breach("intent=buy")
    with found.project.store:
        found.look()
        place = ("--config", found.file, "--author", "ada")
        done = run("alerts", "ack", found.incident.id, "--note", "a\0b", *place)
        other = run("silence", "add", "slo=a", "--for", "2h", "--reason", "a\ud800b", *place)

    assert (done.exit_code, other.exit_code) == (2, 2)
    assert r"the note 'a\x00b' cannot be stored" in done.output
    assert r"the reason 'a\ud800b' cannot be stored" in other.output


def test_an_unfit_text_is_an_error_of_its_own(room: Room) -> None:
    with pytest.raises(UnfitTextError):
        room_response(room, note=UNFIT["nul"])
