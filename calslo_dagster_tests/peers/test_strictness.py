"""The peers are as strict as the services: what those refuse is refused here, and told in the journal."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from calslo_dagster_tests.peers.running import ROUTING_KEY, Peer, running_peer

TRIGGER: dict[str, Any] = {
    "routing_key": ROUTING_KEY,
    "event_action": "trigger",
    "dedup_key": "k",
    "payload": {"summary": "s", "source": "x", "severity": "error"},
}
TEXT = {"type": "mrkdwn", "text": "x"}


@pytest.fixture(scope="module")
def started() -> Iterator[Peer]:
    with running_peer() as peer:
        yield peer


@pytest.fixture
def peer(started: Peer) -> Peer:
    started.start_over()
    return started


def post(url: str, value: Any, **headers: str) -> tuple[int, str]:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    request = urllib.request.Request(url, body, {"content-type": "application/json", **headers})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def event(**changes: Any) -> dict[str, Any]:
    return {**TRIGGER, **changes}


def payload(**changes: Any) -> dict[str, Any]:
    return event(payload={**TRIGGER["payload"], **changes})


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        (event(routing_key="short"), "routing_key"),
        (event(event_action="open"), "event_action"),
        (event(dedup_key="k" * 256), "longer than 255"),
        (event(event_action="resolve", dedup_key=None), "missing"),
        (event(note="x"), "unknown keys"),
        (event(links=[{"text": "no href"}]), "href"),
        (event(images=[{"src": "http://plain"}]), "https"),
        (event(payload=None), "payload"),
        (payload(summary=""), "summary"),
        (payload(summary="s" * 1025), "1024"),
        (payload(source=None), "source"),
        (payload(severity="fatal"), "severity"),
        (payload(timestamp="2026-03-02 10:00"), "timestamp"),
        (payload(custom_details="text"), "custom_details"),
        (payload(custom_details={"x": "y" * 600_000}), "larger"),
    ],
)
def test_pagerduty_refuses_what_breaks_a_rule(peer: Peer, wrong: dict[str, Any], rule: str) -> None:
    status, answer = post(f"{peer.pagerduty}/v2/enqueue", wrong)

    assert status == 400
    assert rule in answer
    assert rule in " ".join(peer.journal()[-1]["violations"])
    assert peer.incidents() == []


def test_pagerduty_drops_what_has_no_open_incident_and_opens_a_new_one_after_a_resolve(peer: Peer) -> None:
    for action in ("resolve", "acknowledge", "trigger", "trigger", "resolve", "resolve", "trigger"):
        assert post(f"{peer.pagerduty}/v2/enqueue", event(event_action=action))[0] == 202

    assert [incident["state"] for incident in peer.incidents()] == ["resolved", "open"]
    assert [one["event_action"] for one in peer.dropped()] == ["resolve", "acknowledge", "resolve"]


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"text": "x" * 40_001},
        {"text": "<!channel>"},
        {"text": "a & b"},
        {"text": "`cut"},
        {"text": "x", "colour": "red"},
        {"text": "x", "blocks": [{"type": "divider"}] * 51},
        {"text": "x", "blocks": [{"type": "marquee"}]},
        {"text": "x", "blocks": [{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}]},
        {"text": "x", "blocks": [{"type": "header", "text": TEXT}]},
        {"text": "x", "blocks": [{"type": "section"}]},
        {"text": "x", "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3001}}]},
        {"text": "x", "blocks": [{"type": "section", "fields": [TEXT] * 11}]},
        {"text": "x", "blocks": [{"type": "section", "fields": [{"type": "mrkdwn", "text": "x" * 2001}]}]},
        {"text": "x", "blocks": [{"type": "context", "elements": []}]},
        {"text": "x", "blocks": [{"type": "actions", "elements": []}]},
        {
            "text": "x",
            "blocks": [
                {
                    "type": "actions",
                    "elements": [
                        {"type": "button", "action_id": "a", "text": {"type": "plain_text", "text": "x" * 76}}
                    ],
                }
            ],
        },
        {"text": "x", "blocks": [{"type": "divider", "block_id": "b"}] * 2},
        {"text": "x", "blocks": [{"type": "divider", "block_id": "b" * 256}]},
    ],
)
def test_slack_refuses_what_breaks_a_rule(peer: Peer, wrong: dict[str, Any]) -> None:
    assert post(peer.slack_webhook, wrong)[0] == 400
    token = {"authorization": "Bearer xoxb-1"}
    said = post(f"{peer.slack_api}/chat.postMessage", {"channel": "C12345678", **wrong}, **token)

    assert json.loads(said[1])["ok"] is False
    assert all(entry["violations"] for entry in peer.journal()[-2:])
    assert peer.messages() == []


@pytest.mark.parametrize(
    ("method", "message", "error"),
    [
        ("chat.delete", {}, "unknown_method"),
        ("chat.postMessage", {"channel": "#general", "text": "x"}, "channel_not_found"),
        ("chat.update", {"channel": "C12345678", "text": "x", "ts": "1.2"}, "message_not_found"),
        ("chat.postMessage", {"channel": "C12345678", "text": "x", "thread_ts": "1"}, "thread_not_found"),
    ],
)
def test_slack_answers_as_its_methods_do(peer: Peer, method: str, message: dict[str, str], error: str) -> None:
    status, said = post(f"{peer.slack_api}/{method}", message, authorization="Bearer xoxb-1")

    assert (status, json.loads(said)) == (200, {"ok": False, "error": error})


def test_slack_knows_bot_tokens_only(peer: Peer) -> None:
    url = f"{peer.slack_api}/chat.postMessage"

    assert json.loads(post(url, {})[1])["error"] == "not_authed"
    assert json.loads(post(url, {}, authorization="Bearer xoxp-1")[1])["error"] == "invalid_auth"


def test_a_receiver_wants_json(peer: Peer) -> None:
    assert post(peer.webhook, b"not json")[0] == 400
    assert post(peer.webhook, {}, **{"content-type": "text/plain"})[0] == 400
    assert peer.received() == {}


def test_a_mode_holds_for_its_path_and_so_many_times(peer: Peer) -> None:
    peer.behave("503", "/webhook", times=2)

    assert [post(peer.webhook, {})[0] for _ in range(3)] == [503, 503, 200]
    assert post(f"{peer.pagerduty}/v2/enqueue", TRIGGER)[0] == 202


def test_an_unknown_mode_is_refused(peer: Peer) -> None:
    with pytest.raises(urllib.error.HTTPError, match="400") as caught:
        peer.behave("gremlins")
    caught.value.close()


def test_the_journal_outlives_the_peers(tmp_path: Any) -> None:
    file = tmp_path / "journal.jsonl"
    with running_peer(file) as peer:
        post(peer.webhook, {"n": 1})
        peer.behave("reset")
        with pytest.raises((urllib.error.URLError, ConnectionError)):
            post(peer.webhook, {"n": 2})

    entries = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert [(entry["mode"], entry["taken"]) for entry in entries] == [("ok", True), ("reset", True)]
    with pytest.raises((urllib.error.URLError, ConnectionError)):
        post(peer.webhook, {})
