"""PagerDuty gets one incident per episode, and every event keeps to its limits."""

import json
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given, settings

from calslo_dagster.alerting.model import Action, Severity
from calslo_dagster.channels.base import Failure, Letter, Rejected
from calslo_dagster.channels.http import encoded
from calslo_dagster.channels.pagerduty import PagerDutyChannel, Region, described
from calslo_dagster.channels.secret import Secret
from calslo_dagster_tests.channels.delivery import deliver
from calslo_dagster_tests.channels.letters import DEDUP_KEY, facts, hostile_letters, letter
from calslo_dagster_tests.peers.pagerduty import event_violations
from calslo_dagster_tests.peers.running import ROUTING_KEY, Peer


def channel(peer: Peer) -> PagerDutyChannel:
    return PagerDutyChannel("pager", Secret(ROUTING_KEY), base_url=peer.pagerduty)


def last_event(peer: Peer) -> dict[str, object]:
    event: dict[str, object] = json.loads(peer.journal()[-1]["body"])
    return event


def test_an_incident_is_opened_acknowledged_and_resolved_under_one_key(peer: Peer) -> None:
    states = []
    for action in (Action.TRIGGER, Action.ACK, Action.UPDATE, Action.RESOLVE):
        assert deliver(channel(peer), letter(action)).ref["dedup_key"] == DEDUP_KEY
        states += [incident["state"] for incident in peer.incidents()]

    assert states == ["open", "acknowledged", "acknowledged", "resolved"]
    assert peer.dropped() == []


def test_the_same_page_twice_is_one_incident(peer: Peer) -> None:
    deliver(channel(peer), letter())
    deliver(channel(peer), letter(first_try=False, severity=Severity.EMERGENCY))

    (incident,) = peer.incidents()
    assert incident["severity"] == "critical"


def paged(peer: Peer, action: Action, page: int, ref: Mapping[str, str], *, first_try: bool = True) -> dict[str, str]:
    """Send a letter from when people have to be woken for the so-many-th time; return what is known then."""
    told = letter(action, known=replace(facts(), page=page), ref=ref, first_try=first_try)
    return dict(ref) | dict(deliver(channel(peer), told).ref)


def test_what_is_told_anew_wakes_although_somebody_has_acknowledged_and_takes_the_place_of_it(peer: Peer) -> None:
    ref = paged(peer, Action.TRIGGER, 1, {})
    ref = paged(peer, Action.ACK, 1, ref)
    ref = paged(peer, Action.UPDATE, 2, ref)
    assert [one["state"] for one in peer.incidents()] == ["acknowledged"]

    ref = paged(peer, Action.TRIGGER, 2, ref)
    ref = paged(peer, Action.TRIGGER, 2, ref, first_try=False)

    assert [one["state"] for one in peer.incidents()] == ["resolved", "open"]
    ref = paged(peer, Action.ACK, 2, ref)
    assert [one["state"] for one in peer.incidents()] == ["resolved", "acknowledged"]
    paged(peer, Action.RESOLVE, 2, ref)
    assert [one["state"] for one in peer.incidents()] == ["resolved", "resolved"]


def test_a_page_that_may_have_arrived_is_not_left_open_by_the_next(peer: Peer) -> None:
    """Nobody has heard of the second page that it was taken, so nothing is known of it when the third goes out."""
    ref = paged(peer, Action.TRIGGER, 1, {})
    paged(peer, Action.TRIGGER, 2, ref)

    paged(peer, Action.TRIGGER, 3, ref)

    assert [one["state"] for one in peer.incidents()] == ["resolved", "resolved", "open"]


def test_an_event_carries_what_is_needed(peer: Peer) -> None:
    deliver(channel(peer), letter())

    event = last_event(peer)
    payload = event["payload"]
    assert isinstance(payload, dict)
    assert event["client_url"] == "https://example.org/runbook?slo=ece_bound&x=1"
    assert payload["source"] == "production/fraud"
    assert payload["timestamp"] == "2026-03-02T10:05:00+00:00"
    details = payload["custom_details"]
    assert details["estimate"] == "0.083 [0.071, 0.096], n = 41,280"
    assert details["limit"] == "0.05"
    assert details["detail"] == "too far off"
    assert details["first_action"] == "roll back to the calibrator before v12"
    assert [one["slice"] for one in details["worst_slices"]] == [f"intent=buy,language=l{n}" for n in range(3)]


@pytest.mark.parametrize(
    ("severity", "word"),
    [
        (Severity.INFO, "info"),
        (Severity.WARNING, "warning"),
        (Severity.CRITICAL, "error"),
        (Severity.EMERGENCY, "critical"),
    ],
)
def test_severities_are_translated(peer: Peer, severity: Severity, word: str) -> None:
    deliver(channel(peer), letter(severity=severity))

    assert peer.incidents()[0]["severity"] == word


def test_a_digest_says_nothing_that_pagerduty_does_not_know(peer: Peer) -> None:
    before = len(peer.journal())

    receipt = deliver(channel(peer), letter(Action.DIGEST, ref={"dedup_key": DEDUP_KEY}))

    assert len(peer.journal()) == before
    assert receipt.ref == {"dedup_key": DEDUP_KEY}


def test_a_test_leaves_nothing_open(peer: Peer) -> None:
    deliver(channel(peer), letter(Action.TEST))

    (incident,) = peer.incidents()
    assert (incident["state"], incident["severity"]) == ("resolved", "info")


def test_a_wrong_key_is_rejected_with_what_pagerduty_says_of_it(running_peers: Peer) -> None:
    wrong = PagerDutyChannel("pager", Secret("short-routing-key"), base_url=running_peers.pagerduty)

    with pytest.raises(Rejected, match="'routing_key' must be 32") as caught:
        deliver(wrong, letter())

    assert caught.value.failure is Failure.CLIENT
    assert "short-routing-key" not in str(caught.value)


def test_each_region_has_its_host() -> None:
    assert Region.US.host == "https://events.pagerduty.com"
    assert Region.EU.host == "https://events.eu.pagerduty.com"


def test_ten_thousand_slices_make_one_small_event(peer: Peer) -> None:
    deliver(channel(peer), letter(known=facts(10_000)))

    entry = peer.journal()[-1]
    assert len(peer.incidents()) == 1
    assert json.loads(entry["body"])["payload"]["custom_details"]["slices"] == 10_000
    assert len(entry["body"]) < 6_000


@given(hostile_letters)
@settings(max_examples=150, deadline=None)
def test_no_text_whatever_leads_out_of_pagerdutys_limits(hostile: Letter) -> None:
    event = {"routing_key": ROUTING_KEY, "event_action": "trigger", "dedup_key": DEDUP_KEY, **described(hostile)}
    body = encoded(event)

    assert len(body) < 64 * 1024
    assert event_violations(json.loads(body), len(body)) == []
