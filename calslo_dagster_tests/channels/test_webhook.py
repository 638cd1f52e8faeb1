"""A webhook's body keeps to its schema, and a receiver can tell it from a forged one."""

import json
from datetime import timedelta
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings

from calslo_dagster.alerting.facts import Facts
from calslo_dagster.alerting.model import Action
from calslo_dagster.channels.base import Letter
from calslo_dagster.channels.http import encoded
from calslo_dagster.channels.secret import Secret
from calslo_dagster.channels.webhook import SCHEMA, WebhookChannel, document, verify
from calslo_dagster_tests.channels.delivery import deliver
from calslo_dagster_tests.channels.letters import AT, facts, hostile_letters, letter
from calslo_dagster_tests.peers.running import Peer

OLD, NEW = Secret("canary-signing-old-0123"), Secret("canary-signing-new-4567")


def received(peer: Peer, *secrets: Secret, sent: Letter | None = None) -> tuple[dict[str, str], bytes]:
    deliver(WebhookChannel("hook", Secret(peer.webhook), secrets, now=lambda: AT), sent or letter())
    entry: dict[str, Any] = peer.journal()[-1]
    return entry["headers"], entry["body"].encode()


@pytest.mark.parametrize("action", list(Action))
def test_every_action_keeps_to_the_schema(peer: Peer, action: Action) -> None:
    _, body = received(peer, sent=letter(action))

    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(body))


def test_the_facts_can_be_read_back(peer: Peer) -> None:
    _, body = received(peer)

    assert Facts.from_json(json.loads(body)["facts"]) == facts()


def test_every_attempt_has_the_same_key_so_a_receiver_acts_once(peer: Peer) -> None:
    received(peer)
    received(peer, sent=letter(first_try=False))
    received(peer, sent=letter(key="d2"))

    assert peer.received() == {"d1": 2, "d2": 1}


def test_a_receiver_accepts_either_secret_while_one_replaces_the_other(peer: Peer) -> None:
    headers, body = received(peer, OLD, NEW)

    assert headers["x-calslo-signature"].count("v1=") == 2
    for accepted in ([OLD], [NEW], [OLD, NEW]):
        assert verify(headers, body, accepted, now=AT)


def test_a_forged_message_is_not_accepted(peer: Peer) -> None:
    headers, body = received(peer, OLD)

    assert not verify(headers, body + b" ", [OLD], now=AT)
    assert not verify(headers, body, [NEW], now=AT)
    assert not verify(headers, body, [], now=AT)
    assert not verify({**headers, "x-calslo-timestamp": str(int(AT.timestamp()) + 1)}, body, [OLD], now=AT)
    for broken in ("", "soon", "-5", "1" * 30, "١٢٣"):
        assert not verify({**headers, "x-calslo-timestamp": broken}, body, [OLD], now=AT)


def test_a_message_that_is_sent_again_by_a_stranger_is_too_old(peer: Peer) -> None:
    headers, body = received(peer, OLD)

    assert verify(headers, body, [OLD], now=AT + timedelta(minutes=5))
    assert not verify(headers, body, [OLD], now=AT + timedelta(minutes=5, seconds=1))
    assert not verify(headers, body, [OLD], now=AT - timedelta(minutes=6))


def test_without_a_secret_nothing_is_signed(peer: Peer) -> None:
    headers, _ = received(peer)

    assert "x-calslo-signature" not in headers


def test_an_authorization_is_sent_as_it_is(peer: Peer) -> None:
    deliver(WebhookChannel("hook", Secret(peer.webhook), authorization=Secret("Bearer canary-receiver")), letter())

    assert peer.journal()[-1]["headers"]["authorization"] == "Bearer canary-receiver"


def test_ten_thousand_slices_are_ten_in_the_body(peer: Peer) -> None:
    _, body = received(peer, sent=letter(known=facts(10_000)))

    told = json.loads(body)["facts"]
    assert (len(told["worst"]), told["slices"]) == (10, 10_000)


@given(hostile_letters)
@settings(max_examples=50, deadline=None)
def test_any_facts_make_valid_json(hostile: Letter) -> None:
    assert json.loads(encoded(document(hostile)))["version"] == 1
