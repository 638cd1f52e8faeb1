"""However a service fails, its channel says in time what happened, and never says a secret."""

import logging
from collections.abc import Iterator
from datetime import timedelta

import pytest

from calslo_dagster.channels.base import Failure, Receipt, Rejected, Retryable
from calslo_dagster_tests.channels.rehearsal import CANARIES, MODES, NOBODY, Rehearsal, rehearse
from calslo_dagster_tests.peers.running import Peer, running_peer

HTTP_CHANNELS = ("slack_webhook", "slack_api", "pagerduty", "webhook", "alertmanager")
RETRYABLE = {
    "429": (Failure.RATE_LIMITED, False),
    "429huge": (Failure.RATE_LIMITED, False),
    "429date": (Failure.RATE_LIMITED, False),
    "500": (Failure.SERVER_ERROR, True),
    "502": (Failure.SERVER_ERROR, True),
    "503": (Failure.SERVER_ERROR, False),
    "close": (Failure.AMBIGUOUS, True),
    "reset": (Failure.AMBIGUOUS, True),
    "garbage": (Failure.AMBIGUOUS, True),
    "hang": (Failure.AMBIGUOUS, True),
    "drip": (Failure.DEADLINE, True),
    "refused": (Failure.NETWORK, False),
    "nameless": (Failure.NETWORK, False),
}
REJECTED = {
    "400": Failure.CLIENT,
    "401": Failure.AUTH,
    "403": Failure.AUTH,
    "404": Failure.CLIENT,
    "redirect": Failure.CLIENT,
}
# Loading Apprise's services trips these.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:apprise.*")


@pytest.fixture(scope="module")
def stage() -> Iterator[Peer]:
    with running_peer() as peer:
        yield peer


@pytest.fixture(scope="module")
def rehearsal(stage: Peer) -> Rehearsal:
    return rehearse(stage)


@pytest.mark.parametrize("channel", HTTP_CHANNELS)
@pytest.mark.parametrize("mode", list(RETRYABLE))
def test_what_may_pass_is_retryable(rehearsal: Rehearsal, mode: str, channel: str) -> None:
    outcome = rehearsal.outcomes[mode, channel]

    assert isinstance(outcome, Retryable)
    assert (outcome.failure, outcome.may_have_arrived) == RETRYABLE[mode]


@pytest.mark.parametrize("channel", HTTP_CHANNELS)
@pytest.mark.parametrize("mode", list(REJECTED))
def test_what_will_not_pass_is_rejected(rehearsal: Rehearsal, mode: str, channel: str) -> None:
    outcome = rehearsal.outcomes[mode, channel]

    assert isinstance(outcome, Rejected)
    assert outcome.failure is REJECTED[mode]


@pytest.mark.parametrize("channel", HTTP_CHANNELS)
def test_the_pause_that_a_service_asks_for_is_passed_on(rehearsal: Rehearsal, channel: str) -> None:
    pauses = []
    for mode in ("429", "429huge", "429date"):
        outcome = rehearsal.outcomes[mode, channel]
        assert isinstance(outcome, Retryable)
        pauses.append(outcome.retry_after)

    assert pauses[:2] == [timedelta(seconds=3), timedelta(hours=1)]
    assert pauses[2] is not None
    assert timedelta(seconds=2) <= pauses[2] <= timedelta(seconds=4)


@pytest.mark.parametrize("channel", ["pagerduty", "webhook", "alertmanager"])
@pytest.mark.parametrize("mode", ["html", "huge"])
def test_where_the_status_says_all_the_body_does_not_matter(rehearsal: Rehearsal, mode: str, channel: str) -> None:
    assert isinstance(rehearsal.outcomes[mode, channel], Receipt)


@pytest.mark.parametrize("mode", [*RETRYABLE, *REJECTED])
def test_apprise_never_knows_why(rehearsal: Rehearsal, mode: str) -> None:
    outcome = rehearsal.outcomes[mode, "apprise"]

    assert isinstance(outcome, Retryable)
    assert outcome.failure in (Failure.AMBIGUOUS, Failure.DEADLINE)
    assert outcome.may_have_arrived


def test_nothing_takes_longer_than_its_deadline(rehearsal: Rehearsal) -> None:
    assert set(rehearsal.seconds) == {*MODES, *NOBODY}
    assert max(rehearsal.seconds.values()) < 9.5


def test_no_secret_is_said_anywhere(rehearsal: Rehearsal) -> None:
    said = rehearsal.said.getvalue()

    assert {canary: said.count(canary) for canary in CANARIES} == dict.fromkeys(CANARIES, 0)


def test_the_secrets_did_go_over_the_wire_and_came_back(rehearsal: Rehearsal, stage: Peer) -> None:
    """Else the test above would find nothing because there was nothing to find."""
    assert rehearsal.outcomes
    wire = stage.journal_file.read_text(encoding="utf-8")
    signing, sent_in_clear = CANARIES[6], [one for one in CANARIES if one not in (CANARIES[6], CANARIES[8])]

    assert [one for one in sent_in_clear if one not in wire] == []
    assert signing not in wire
    assert "refused ***" in rehearsal.said.getvalue()


def test_the_logs_were_as_talkative_as_they_could_be(rehearsal: Rehearsal) -> None:
    said = rehearsal.said.getvalue()

    assert "asyncio" in said
    assert "httpcore2" not in {line.split(".")[0] for line in said.splitlines()}
    assert logging.getLogger("httpx2").level == logging.WARNING
