"""Apprise is loaded late, bounded from outside, and never believed to say more than it does."""

import json
import sys

import pytest

from calslo_dagster.alerting.model import Action
from calslo_dagster.channels.apprise import AppriseChannel
from calslo_dagster.channels.base import Failure, Rejected, Retryable
from calslo_dagster.channels.secret import Secret
from calslo_dagster_tests.channels.delivery import deliver
from calslo_dagster_tests.channels.letters import letter
from calslo_dagster_tests.peers.running import Peer

# Loading its services trips these.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:apprise.*")


def address(peer: Peer) -> Secret:
    return Secret(peer.webhook.replace("http://", "json://user:canaryApprisePassword@"))


def test_title_and_text_arrive(peer: Peer) -> None:
    receipt = deliver(AppriseChannel("tail", address(peer)), letter(Action.RESOLVE))

    body = json.loads(peer.journal()[-1]["body"])
    assert (body["title"], body["message"]) == (
        "resolve fraud · over-confident · 0.083 > 0.05",
        "Since 10:00 UTC.\nRoll back.",
    )
    assert body["type"] == "success"
    assert receipt.ref == {}


def test_a_trigger_that_may_be_there_already_says_so(peer: Peer) -> None:
    deliver(AppriseChannel("tail", address(peer)), letter(first_try=False))

    assert json.loads(peer.journal()[-1]["body"])["title"].startswith("(possible repeat) ")


@pytest.mark.parametrize("mode", ["404", "429", "500"])
def test_every_failure_may_pass_and_may_have_delivered(peer: Peer, mode: str) -> None:
    peer.behave(mode)

    with pytest.raises(Retryable) as caught:
        deliver(AppriseChannel("tail", address(peer)), letter())

    assert (caught.value.failure, caught.value.may_have_arrived) == (Failure.AMBIGUOUS, True)


def test_an_attempt_ends_in_its_own_time(peer: Peer) -> None:
    peer.behave("drip")

    with pytest.raises(Retryable, match=r"within 0\.5 s") as caught:
        deliver(AppriseChannel("tail", address(peer), timeout_seconds=0.5), letter())

    assert (caught.value.failure, caught.value.may_have_arrived) == (Failure.DEADLINE, True)


def test_an_unknown_address_needs_a_person() -> None:
    with pytest.raises(Rejected, match="knows no such address"):
        deliver(AppriseChannel("tail", Secret("nonsense://canaryUnknownService")), letter())


def test_without_the_library_the_way_to_install_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)

    with pytest.raises(Rejected, match=r'pip install "calslo_dagster\[apprise\]"'):
        deliver(AppriseChannel("tail", Secret("json://localhost")), letter())
