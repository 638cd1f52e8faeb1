"""Slack gets one message per incident, edited and answered in its thread, whatever happens to it."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from slack_sdk.models.blocks import Block

from calslo_dagster.alerting.facts import Link
from calslo_dagster.alerting.model import Action, Severity
from calslo_dagster.channels import slack_blocks
from calslo_dagster.channels.base import Failure, Letter, Rejected, Retryable
from calslo_dagster.channels.secret import Secret
from calslo_dagster.channels.slack import SlackApiChannel, SlackWebhookChannel
from calslo_dagster_tests.channels.delivery import deliver
from calslo_dagster_tests.channels.letters import facts, hostile_letters, letter
from calslo_dagster_tests.peers.running import Peer
from calslo_dagster_tests.peers.slack import MESSAGE_KEYS, message_violations

TOKEN = Secret("xoxb-canary-token-0123456789")
CONVERSATION = "C0123ABCD"


def webhook(peer: Peer, *, interactive: bool = False) -> SlackWebhookChannel:
    return SlackWebhookChannel("ops", Secret(peer.slack_webhook), interactive)


def api(peer: Peer, *, interactive: bool = False) -> SlackApiChannel:
    return SlackApiChannel("ops", TOKEN, CONVERSATION, interactive, peer.slack_api)


def all_text(blocks: list[dict[str, Any]]) -> str:
    parts = [block.get("text") for block in blocks]
    parts += [one for block in blocks for one in (*block.get("fields", ()), *block.get("elements", ()))]
    return "\n".join(str(part.get("text")) for part in parts if part)


def buttons(message: dict[str, Any]) -> list[str]:
    return [one["action_id"] for block in message["blocks"] if block["type"] == "actions" for one in block["elements"]]


def test_a_webhook_gets_the_whole_story_first_and_short_news_later(peer: Peer) -> None:
    channel = webhook(peer)

    for action in (Action.TRIGGER, Action.UPDATE, Action.ACK, Action.RESOLVE):
        assert deliver(channel, letter(action)).ref == {}

    messages = peer.messages()
    sizes = [len(message["blocks"]) for message in messages]
    assert len(messages) == 4
    assert sizes[0] > 5 > max(sizes[1:])
    assert "30 windows in a row were met" in all_text(messages[3]["blocks"])


def test_a_message_carries_what_is_needed_in_the_first_seconds(peer: Peer) -> None:
    deliver(api(peer), letter())

    (message,) = peer.messages()
    told = all_text(message["blocks"])
    for needed in (
        "0.083 [0.071, 0.096]", "n = 41,280", "0.05", "at most 0.05 over 24 h", "over-confident", "3 of 14 slices",
        "2026-03-02 10:00 UTC", "production/fraud", "calibrator v12", "labels are 3 h late", "roll back", "fraud-ml",
        "Why you: policy oncall, step 1", "Next: lead in 15 min", "*Detail* too far off",
        "intent=buy,language=l0", "calslo alerts ack", "62% of the",
        "<https://example.org/runbook?slo=ece_bound&amp;x=1|Runbook>", "0123456789abcdef",
    ):  # fmt: skip
        assert needed in told
    assert message["text"] == "trigger fraud · over-confident · 0.083 &gt; 0.05"
    assert message["metadata"]["event_payload"] == {
        "incident_id": "0123456789abcdef", "episode": 1, "delivery_id": "d1"
    }  # fmt: skip


@pytest.mark.parametrize(("flaps", "said"), [(1, "came back once"), (3, "came back 3 times")])
def test_a_message_says_how_often_it_came_back(peer: Peer, flaps: int, said: str) -> None:
    deliver(api(peer), letter(known=replace(facts(), flaps=flaps, flapping="it is told once")))

    told = all_text(peer.messages()[0]["blocks"])
    assert said in told
    assert "*Flapping* it is told once" in told


def test_the_root_is_edited_and_its_thread_answered(peer: Peer) -> None:
    channel = api(peer)
    ref = deliver(channel, letter()).ref

    for action in (Action.UPDATE, Action.ACK, Action.RESOLVE):
        assert deliver(channel, letter(action, ref=ref)).ref == ref

    root, *replies = peer.messages()
    assert (root["ts"], root["edits"]) == (ref["ts"], 3)
    assert root["blocks"][0]["text"]["text"].startswith("🟢")
    assert [reply["thread_ts"] for reply in replies] == [ref["ts"]] * 3
    assert not any(reply["reply_broadcast"] for reply in replies)


def test_a_page_that_comes_again_is_shown_in_the_channel(peer: Peer) -> None:
    ref = deliver(api(peer), letter()).ref

    deliver(api(peer), letter(severity=Severity.EMERGENCY, ref=ref))

    root, reply = peer.messages()
    assert root["blocks"][0]["text"]["text"].startswith("🚨")
    assert reply["reply_broadcast"]


def test_a_digest_and_a_test_say_it_in_words(peer: Peer) -> None:
    ref = deliver(api(peer), letter()).ref

    deliver(api(peer), letter(Action.DIGEST, ref=ref))
    assert deliver(api(peer), letter(Action.TEST)).ref == {}

    root, digest, test = peer.messages()
    assert root["edits"] == 0
    assert digest["thread_ts"] == ref["ts"]
    assert "thread_ts" not in test
    assert "Roll back." in all_text(digest["blocks"])


@pytest.mark.parametrize("action", [Action.UPDATE, Action.ACK, Action.RESOLVE])
def test_when_a_person_deleted_the_root_the_letter_becomes_the_root(peer: Peer, action: Action) -> None:
    ref = deliver(api(peer), letter()).ref
    peer.forget(ref["ts"])

    found = deliver(api(peer), letter(action, ref=ref)).ref

    (root,) = peer.messages()
    assert found["ts"] == root["ts"]
    assert root["blocks"][0]["type"] == "header"


def test_without_a_root_the_first_letter_becomes_it(peer: Peer) -> None:
    ref = deliver(api(peer), letter(Action.RESOLVE)).ref

    assert ref["ts"] == peer.messages()[0]["ts"]


@pytest.mark.parametrize("make", [webhook, api])
def test_a_trigger_that_may_be_there_already_says_so(peer: Peer, make: Any) -> None:
    deliver(make(peer), letter(first_try=False))

    (message,) = peer.messages()
    assert message["text"].startswith("(possible repeat) ")
    assert "(possible repeat)" in message["blocks"][0]["text"]["text"]


def test_buttons_come_only_where_something_listens(peer: Peer) -> None:
    deliver(api(peer), letter())
    channel = api(peer, interactive=True)
    ref = deliver(channel, letter()).ref
    silent, root = peer.messages()
    assert buttons(silent) == []
    assert buttons(root) == ["calslo_ack", "calslo_silence_2h", "calslo_runbook"]

    deliver(channel, letter(Action.ACK, ref=ref))
    assert buttons(peer.messages()[1]) == ["calslo_silence_2h", "calslo_runbook"]

    deliver(channel, letter(Action.RESOLVE, ref=ref))
    assert buttons(peer.messages()[1]) == ["calslo_runbook"]


def test_when_slack_refuses_the_blocks_the_words_still_arrive(peer: Peer) -> None:
    ref = deliver(api(peer), letter()).ref
    peer.behave("okfalse:invalid_blocks", "/slack/api", times=1)
    deliver(api(peer), letter(Action.RESOLVE, ref=ref))
    peer.behave("badblocks", "/slack/services", times=1)
    deliver(webhook(peer), letter())

    root, _, posted = peer.messages()
    assert root["blocks"] == []
    assert root["text"].endswith("Roll back.")
    assert posted["text"].endswith("Roll back.")


@pytest.mark.parametrize(
    ("error", "failure", "maybe"),
    [
        ("ratelimited", Failure.RATE_LIMITED, False),
        ("rate_limited", Failure.RATE_LIMITED, False),
        ("internal_error", Failure.SERVER_ERROR, True),
        ("fatal_error", Failure.SERVER_ERROR, True),
        ("service_unavailable", Failure.SERVER_ERROR, False),
        ("request_timeout", Failure.SERVER_ERROR, False),
    ],
)
def test_transient_errors_of_slack_are_tried_again(peer: Peer, error: str, failure: Failure, maybe: bool) -> None:
    peer.behave(f"okfalse:{error}", "/slack/api")

    with pytest.raises(Retryable, match=error) as caught:
        deliver(api(peer), letter())

    assert (caught.value.failure, caught.value.may_have_arrived) == (failure, maybe)


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        ("invalid_auth", Failure.AUTH),
        ("token_revoked", Failure.AUTH),
        ("account_inactive", Failure.AUTH),
        ("channel_not_found", Failure.CLIENT),
        ("is_archived", Failure.CLIENT),
        ("not_in_channel", Failure.CLIENT),
        ("invalid_blocks", Failure.CLIENT),
        ("msg_too_long", Failure.CLIENT),
        ("something_new", Failure.CLIENT),
    ],
)
def test_lasting_errors_of_slack_need_a_person(peer: Peer, error: str, failure: Failure) -> None:
    peer.behave(f"okfalse:{error}", "/slack/api")

    with pytest.raises(Rejected, match=error) as caught:
        deliver(api(peer), letter())

    assert caught.value.failure is failure


def test_an_answer_that_is_not_slacks_is_no_success(peer: Peer) -> None:
    peer.behave("html")

    with pytest.raises(Rejected, match="no Slack webhook"):
        deliver(webhook(peer), letter())
    with pytest.raises(Retryable, match="cannot be read") as caught:
        deliver(api(peer), letter())
    assert caught.value.may_have_arrived


def test_an_answer_that_is_cut_off_leaves_it_open(peer: Peer) -> None:
    peer.behave("huge")

    for channel in (webhook(peer), api(peer)):
        with pytest.raises(Retryable) as caught:
            deliver(channel, letter())
        assert caught.value.failure is Failure.AMBIGUOUS


@pytest.mark.parametrize("make", [webhook, api])
def test_ten_thousand_slices_make_one_small_message(peer: Peer, make: Any) -> None:
    deliver(make(peer), letter(known=facts(10_000)))

    (message,) = peer.messages()
    (entry,) = peer.journal()[-1:]
    assert "… and 9,990 more" in all_text(message["blocks"])
    assert len(entry["body"]) < 12_000


def test_slacks_own_models_accept_the_blocks() -> None:
    known = replace(facts(10_000), links=(Link("Runbook", "https://example.org/runbook"),), answers=("x" * 190,) * 3)

    for action in Action:
        for block in slack_blocks.full(letter(action, known), interactive=True):
            parsed = Block.parse(block)
            assert parsed is not None
            parsed.validate_json()


@given(hostile_letters)
@settings(max_examples=150, deadline=None)
def test_no_text_whatever_leads_out_of_slacks_limits(hostile: Letter) -> None:
    for blocks in (slack_blocks.full(hostile, interactive=True), slack_blocks.short(hostile)):
        message = {"text": slack_blocks.fallback(hostile) or "-", "blocks": blocks}
        assert message_violations(message, MESSAGE_KEYS) == []
