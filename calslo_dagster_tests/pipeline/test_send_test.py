"""A test goes the way of a page, to one channel, and says how it was taken."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from calslo_dagster.alerting.breaker import Phase, Terms
from calslo_dagster.alerting.model import DeliveryStatus
from calslo_dagster.errors import SettingsError
from calslo_dagster.pipeline.deliver_outbox import utc_now
from calslo_dagster.pipeline.open_channels import LOG
from calslo_dagster.pipeline.send_test import Trial, send_test
from calslo_dagster.store import alert_events, channel_states, deliveries, troubles
from calslo_dagster.store.session import Lock
from calslo_dagster_tests.peers.running import ROUTING_KEY, Peer, running_peer
from calslo_dagster_tests.pipeline.incident_room import Room, room_at

CHANNELS = """\
  chat: {{kind: slack, webhook_url: "file:slack"}}
  bot: {{kind: slack, token: "file:token", channel: C0123ABCD, api_url: "{peer.slack_api}"}}
  pager: {{kind: pagerduty, routing_key: "file:key", events_url: "{peer.pagerduty}"}}
  hook: {{kind: webhook, url: "file:hook", secrets: ["file:token"]}}
  locked: {{kind: webhook, url: "env:NOWHERE"}}
"""
TOKEN = "xoxb-canary-token-9876543210"


@pytest.fixture(scope="module")
def running() -> Iterator[Peer]:
    with running_peer() as found:
        yield found


@pytest.fixture
def peer(running: Peer) -> Peer:
    running.start_over()
    return running


@pytest.fixture
def room(tmp_path: Path, peer: Peer) -> Iterator[Room]:
    """Yield a room with a channel of each kind at the strict peers."""
    secrets = {"slack": peer.slack_webhook, "token": TOKEN, "key": ROUTING_KEY, "hook": peer.webhook}
    for name, secret in secrets.items():
        (tmp_path / name).write_text(secret)
    found = room_at(tmp_path, channels=CHANNELS.format(peer=peer))
    with found.project.store:
        yield found


def tried(room: Room, channel: str, *, patience: float = 20) -> Trial:
    return send_test(room.project, channel, by="ada", patience=timedelta(seconds=patience))


def status(room: Room, trial: Trial) -> DeliveryStatus:
    with room.project.store.read() as session:
        [one] = deliveries.of_incident(session, trial.incident_id)
    return one.status


@pytest.mark.parametrize("channel", ["log", "chat", "bot", "pager", "hook"])
def test_a_test_arrives_at_strict_peers(room: Room, peer: Peer, channel: str) -> None:
    trial = tried(room, channel)

    assert (trial.has_arrived, trial.failure, trial.maybe) == (True, "", False)
    assert trial.incident_id.startswith("test:")
    assert peer.violations() == []
    assert status(room, trial) is DeliveryStatus.SENT


def test_it_says_that_it_is_a_test_and_looks_like_a_page(room: Room, peer: Peer) -> None:
    tried(room, "chat")

    [message] = peer.messages()
    said = str(message)
    assert "TEST INFO example" in said
    assert "This is a test: nothing is wrong, and nobody has to act." in said
    assert "a test by ada" in said


def test_no_incident_stays_open_at_pagerduty(room: Room, peer: Peer) -> None:
    tried(room, "pager")

    assert [one["state"] for one in peer.incidents()] == ["resolved"]


@pytest.mark.parametrize(
    ("mode", "failure", "maybe"),
    [
        ("500", "serverError", True),
        ("429", "rateLimited", False),
        ("403", "authError", False),
        ("404", "clientError", False),
        ("reset", "ambiguous", True),
    ],
)
def test_what_went_wrong_has_a_word_and_nothing_arrives_later(
    room: Room, peer: Peer, *, mode: str, failure: str, maybe: bool
) -> None:
    peer.behave(mode, "/webhook")

    trial = tried(room, "hook")

    assert (trial.has_arrived, trial.failure, trial.maybe) == (False, failure, maybe)
    assert trial.said
    assert "canaryPathOfReceiver42" not in trial.said
    assert status(room, trial) in (DeliveryStatus.SUPERSEDED, DeliveryStatus.DEAD)


def test_a_failed_test_raises_no_alert_and_an_unset_secret_is_named(room: Room) -> None:
    trial = tried(room, "locked")

    assert trial.failure == "authError"
    assert "env:NOWHERE" in trial.said
    with room.project.store.read() as session:
        assert troubles.open_ones(session) == ()


def test_a_channel_that_rests_is_tried_at_once_and_works_again(room: Room) -> None:
    terms = Terms(failures=1)
    with room.project.store.write(Lock.NONE) as session:
        channel_states.ensure(session, ["hook"])
        channel_states.failed(session, "hook", token="t", now=utc_now(), terms=terms)
        state = channel_states.by_name(session, "hook")
    assert state is not None
    assert state.breaker.phase is Phase.OPEN

    assert tried(room, "hook").has_arrived

    with room.project.store.read() as session:
        state = channel_states.by_name(session, "hook")
    assert state is not None
    assert state.breaker.phase is Phase.CLOSED


def test_a_pause_that_the_other_side_asked_for_is_kept(room: Room, peer: Peer) -> None:
    with room.project.store.write(Lock.NONE) as session:
        channel_states.ensure(session, ["hook"])
        channel_states.pause(session, "hook", until=utc_now() + timedelta(minutes=5))

    trial = tried(room, "hook")

    assert (trial.has_arrived, trial.failure) == (False, "")
    assert trial.said.startswith("the other side asked us to wait until ")
    assert peer.received() == {}
    assert status(room, trial) is DeliveryStatus.SUPERSEDED


def test_other_channels_are_left_alone(room: Room, peer: Peer) -> None:
    """Whoever tries one channel does not want to wait for what hangs in another."""
    peer.behave("hang", "/slack")
    room.breach("intent=buy", since=utc_now())
    from calslo_dagster.pipeline.advance_alerts import advance_alerts

    advance_alerts(room.project, now=utc_now())

    assert tried(room, LOG).took < timedelta(seconds=5)


def test_it_is_on_record(room: Room) -> None:
    trial = tried(room, LOG)

    with room.project.store.read() as session:
        events = [one.event for one in alert_events.of_incident(session, trial.incident_id)]
    assert [(one.kind, one.actor, one.source) for one in events] == [
        ("test ordered", "ada", "cli"),
        ("tested", "ada", "cli"),
    ]
    assert events[1].reason == "log: arrived"


def test_an_unknown_channel_is_answered_with_the_nearest(room: Room) -> None:
    with pytest.raises(SettingsError, match="no channel is named 'pagr'; did you mean 'pager'"):
        tried(room, "pagr")
