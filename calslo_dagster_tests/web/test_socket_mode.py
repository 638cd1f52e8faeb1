"""Slack's buttons come over a socket that we open: acknowledged at once, done once, in the name of who pressed."""

import json
import logging
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from calslo_dagster.alerting.model import IncidentState
from calslo_dagster.channels.slack_blocks import ACK, SILENCE
from calslo_dagster.errors import SettingsError
from calslo_dagster.pipeline.project import Project
from calslo_dagster.store import silences
from calslo_dagster.store.session import Lock
from calslo_dagster.web.socket_mode import Pace, listening
from calslo_dagster_tests.peers.running import Peer, running_peer
from calslo_dagster_tests.peers.socket_mode import APP_TOKEN, PATIENCE_SECONDS
from calslo_dagster_tests.web.standing import NOW, incident_of, record_of, with_incident

OPEN = "/slack/api/apps.connections.open"
QUICK = Pace(pause_seconds=0.05, ping_seconds=0.5)


@pytest.fixture(scope="module")
def started() -> Iterator[Peer]:
    with running_peer() as peer:
        yield peer


@pytest.fixture
def peer(started: Peer) -> Peer:
    started.start_over()
    return started


def answered_by(folder: Path, api_url: str, token: str = APP_TOKEN) -> Project:
    """Return a project with an incident, whose Slack channel has an app token."""
    channel = f"{{kind: slack, webhook_url: 'file:hook', app_token: 'file:app', api_url: '{api_url}'}}"
    secrets = {"hook": "http://127.0.0.1:9/hook", "app": token}
    return with_incident(folder, f"channels:\n  chat: {channel}\n", secrets)


@pytest.fixture
def project(tmp_path: Path, peer: Peer) -> Iterator[Project]:
    found = answered_by(tmp_path, peer.slack_api)
    with found.store:
        yield found


def envelope(name: str, payload: Any, kind: str = "interactive") -> dict[str, Any]:
    return {"type": kind, "envelope_id": name, "payload": payload, "accepts_response_payload": False}


def button(project: Project, action: str, name: str = "e1") -> dict[str, Any]:
    """Return what Slack sends when somebody presses a button of a message."""
    value = json.dumps({"incident_id": incident_of(project).id, "episode": 1, "nonce": "n"})
    user = {"id": "U0ADA", "username": "ada", "name": "ada", "team_id": "T0CANARY"}
    pressed = {"type": "button", "action_id": action, "value": value, "block_id": "answers"}
    return envelope(name, {"type": "block_actions", "user": user, "actions": [pressed]})


def test_a_button_acknowledges_once_in_the_name_of_who_pressed_it(project: Project, peer: Peer) -> None:
    with listening(project, lambda: NOW) as count:
        peer.socket("await", opened=1)
        took = [peer.socket("send", message=button(project, ACK, name))["seconds"] for name in ("e1", "e2")]

    assert count == 1
    assert max(took) < PATIENCE_SECONDS
    assert incident_of(project).acked_by == "ada"
    assert [(event.actor, event.source) for event in record_of(project, "acked")] == [("ada", "slack")]
    assert peer.call("state")["socket"]["violations"] == []


def test_slack_is_answered_before_the_work_is_done(project: Project, peer: Peer) -> None:
    """A store that is busy for longer than Slack's patience delays the deed, not the answer."""
    with listening(project, lambda: NOW):
        peer.socket("await", opened=1)
        with project.store.write(Lock.ALERTS):
            took = peer.socket("send", message=button(project, SILENCE))["seconds"]

    assert took < PATIENCE_SECONDS
    with project.store.read() as session:
        assert [one.author for one in silences.active_candidates(session, NOW)] == ["ada"]


@pytest.mark.parametrize("told", [{"do": "disconnect", "reason": "refresh_requested"}, {"do": "drop"}])
def test_a_connection_that_ends_is_followed_by_another(project: Project, peer: Peer, told: dict[str, str]) -> None:
    with listening(project, lambda: NOW, pace=QUICK):
        peer.socket("await", opened=1)
        peer.socket(**told)
        seen = peer.socket("await", opened=2)
        peer.socket("send", message=button(project, ACK))

    assert (seen["issued"], seen["violations"]) == (2, [])
    assert incident_of(project).acked_by == "ada"


def test_what_means_nothing_here_is_acknowledged_and_forgotten(project: Project, peer: Peer) -> None:
    before = len(record_of(project, "opened"))
    unknown = [
        envelope("1", {"type": "event_callback", "event": {"type": "app_mention"}}, "events_api"),
        envelope("2", {"command": "/calslo", "text": "ack"}, "slash_commands"),
        envelope("3", {"type": "view_submission", "user": {"id": "U0ADA"}, "view": {}}),
        envelope("4", {"type": "block_actions", "actions": [{"action_id": "other.app", "value": "no json"}]}),
        envelope("5", {"type": "block_actions", "actions": [{"action_id": ACK, "value": "{}"}]}),
        envelope("6", {}, "of_next_year"),
    ]
    with listening(project, lambda: NOW):
        peer.socket("await", opened=1)
        took = [peer.socket("send", message=one)["seconds"] for one in unknown]

    assert max(took) < PATIENCE_SECONDS
    assert incident_of(project).state is IncidentState.FIRING
    assert (len(record_of(project, "opened")), record_of(project, "acked")) == (before, [])


@pytest.mark.parametrize("token", ["xapp-1-A0WRONGAPP-999-feedfacefeedface", "xoxb-0000-feedfacefeedface"])
def test_a_token_that_slack_refuses_is_one_error_without_it(
    tmp_path: Path, peer: Peer, token: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    project = answered_by(tmp_path, peer.slack_api, token)

    with project.store, pytest.raises(SettingsError) as caught, listening(project, lambda: NOW):
        raise AssertionError("it listens")

    assert str(caught.value).startswith("channels.chat.app_token: Slack refuses it (")
    assert token not in f"{caught.value!r} {caplog.text}"
    assert caplog.text.count("refuses") == 0


def test_a_slack_that_is_down_at_first_is_asked_again(
    project: Project, peer: Peer, caplog: pytest.LogCaptureFixture
) -> None:
    peer.behave("503", OPEN, times=2)

    with listening(project, lambda: NOW, pace=QUICK):
        peer.socket("await", opened=1)
        peer.socket("send", message=button(project, ACK))

    assert incident_of(project).acked_by == "ada"
    assert "channel chat: Slack's buttons wait" in caplog.text
    assert APP_TOKEN not in caplog.text


def test_a_slack_that_cannot_be_reached_keeps_nobody_from_answering_otherwise(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        project = answered_by(tmp_path, f"http://127.0.0.1:{taken.getsockname()[1]}")
        with project.store, listening(project, lambda: NOW) as count:
            assert count == 1

    assert "it is out of reach" in caplog.text
