"""All processes agree on what a channel may be given: breaker, rate and pauses."""

from dataclasses import replace

import pytest

from calslo_dagster.alerting.backoff import Backoff
from calslo_dagster.alerting.breaker import Breaker, Phase, Terms
from calslo_dagster.alerting.rate import Rate
from calslo_dagster.store import channel_states, deliveries
from calslo_dagster.store.channel_states import ChannelState
from calslo_dagster.store.session import Lock, Store
from calslo_dagster_tests.store.alert_builders import MINUTE, NOW, new_delivery, order
from calslo_dagster_tests.store.crew import SIZE, Crew, claim_once, count_failures, probe, take_tokens

TERMS = Terms(failures=2, rest=Backoff(MINUTE, 4 * MINUTE))
SECOND = MINUTE / 60


@pytest.fixture
def slack(store: Store) -> Store:
    with store.write(Lock.NONE) as session:
        channel_states.ensure(session, ["slack", "mail", "slack"])
    return store


def state(store: Store, name: str = "slack") -> ChannelState:
    with store.read() as session:
        found = channel_states.by_name(session, name)
    assert found is not None
    return found


def fail(store: Store, times: int = 1, token: str = "a") -> Breaker:
    with store.write(Lock.NONE) as session:
        found = [channel_states.failed(session, "slack", token=token, now=NOW, terms=TERMS) for _ in range(times)]
    return found[-1]


def test_a_new_channel_works_without_limit(slack: Store) -> None:
    with slack.read() as session:
        mail, other = channel_states.every(session)
        assert channel_states.by_name(session, "none") is None

    assert (mail.name, other.name) == ("mail", "slack")
    assert (mail.breaker, mail.rate, mail.paused_until) == (Breaker(), Rate(), None)


def test_a_rate_is_kept_and_changed_and_makes_the_channel_known(slack: Store) -> None:
    with slack.write(Lock.NONE) as session:
        channel_states.set_rate(session, "pager", Rate(SECOND / 2, 5))
        channel_states.set_rate(session, "slack", Rate(SECOND, 3))
        channel_states.set_rate(session, "slack", Rate(SECOND, 4))

    assert (state(slack).rate, state(slack, "pager").rate) == (Rate(SECOND, 4), Rate(SECOND / 2, 5))


def test_failures_in_a_row_open_the_breaker_and_a_success_closes_it(slack: Store) -> None:
    opened = fail(slack, 2)

    assert opened == state(slack).breaker == Breaker(Phase.OPEN, 2, 1, NOW + MINUTE)
    with slack.write(Lock.NONE) as session:
        channel_states.succeeded(session, "slack", now=NOW + 2 * MINUTE)
    found = state(slack)
    assert (found.breaker, found.ok_at, found.failed_at) == (Breaker(), NOW + 2 * MINUTE, NOW)


def test_the_word_of_the_last_failure_is_kept(slack: Store) -> None:
    with slack.write(Lock.NONE) as session:
        channel_states.failed(session, "slack", token="a", now=NOW, terms=TERMS, failure="network")

    assert (state(slack).failure, state(slack).breaker.failures) == ("network", 1)


def test_one_may_probe_after_the_rest_and_nobody_else_until_the_probe_is_overdue(slack: Store) -> None:
    fail(slack, 2)

    def may(token: str, minutes: float) -> bool:
        with slack.write(Lock.NONE) as session:
            return channel_states.probe(session, "slack", token=token, now=NOW + minutes * MINUTE, hold=MINUTE)

    assert [may("a", 0.9), may("a", 1), may("b", 1), may("b", 1.9), may("b", 2), may("c", 2)] == [
        *(False, True, False),
        *(False, True, False),
    ]
    assert state(slack).breaker == Breaker(Phase.HALF_OPEN, 2, 1, NOW + MINUTE, "b", NOW + 3 * MINUTE)


def test_a_probe_that_cannot_be_made_is_left_to_the_next(slack: Store) -> None:
    fail(slack, 2)
    with slack.write(Lock.NONE) as session:
        assert channel_states.probe(session, "slack", token="a", now=NOW + MINUTE, hold=MINUTE)
        channel_states.abandon(session, "slack", token="stranger", now=NOW + MINUTE)
        assert not channel_states.probe(session, "slack", token="b", now=NOW + MINUTE, hold=MINUTE)
        channel_states.abandon(session, "slack", token="a", now=NOW + MINUTE)
        assert channel_states.probe(session, "slack", token="b", now=NOW + MINUTE, hold=MINUTE)


def test_a_failed_probe_makes_the_rest_longer_and_a_stranger_does_not(slack: Store) -> None:
    fail(slack, 2)
    with slack.write(Lock.NONE) as session:
        channel_states.probe(session, "slack", token="probe", now=NOW + MINUTE, hold=MINUTE)

    assert fail(slack, token="stranger").phase is Phase.HALF_OPEN
    assert fail(slack, token="probe") == Breaker(Phase.OPEN, 4, 2, NOW + 2 * MINUTE)


def test_a_pause_is_only_ever_made_longer(slack: Store) -> None:
    with slack.write(Lock.NONE) as session:
        for minutes in (2, 5, 3):
            channel_states.pause(session, "slack", until=NOW + minutes * MINUTE)

    assert state(slack).paused_until == NOW + 5 * MINUTE


def test_tokens_are_taken_in_bursts_and_then_evenly(slack: Store) -> None:
    with slack.write(Lock.NONE) as session:
        channel_states.set_rate(session, "slack", Rate(SECOND, 3))

        def take(seconds: float, count: int = 1) -> bool:
            return channel_states.take(session, "slack", now=NOW + seconds * SECOND, count=count)

        assert [take(0, 4), take(0, 2), take(0, 2), take(0), take(0)] == [False, True, False, True, False]
        assert [take(0.9), take(1), take(1), take(1.5)] == [False, True, False, False]
        assert [take(60, 3), take(60)] == [True, False]
    assert state(slack).next_at == NOW + 63 * SECOND


def test_a_channel_without_a_rate_gives_every_token(slack: Store) -> None:
    with slack.write(Lock.NONE) as session:
        assert [channel_states.take(session, "slack", now=NOW, count=100) for _ in range(3)] == [True] * 3


def test_of_four_processes_one_probes(slack: Store, store_url: str, crew: Crew) -> None:
    fail(slack, 2)

    rounds = [crew.together(probe, store_url, NOW + (1 + number) * MINUTE) for number in range(5)]

    assert [sum(allowed) for allowed in rounds] == [1] * 5


def test_of_four_processes_one_claims_one_message_of_a_channel_that_has_rested(
    slack: Store, store_url: str, crew: Crew
) -> None:
    with slack.write(Lock.ALERTS) as session:
        wanted = [new_delivery(order(f"incident-{number}")) for number in range(9)]
        deliveries.order(session, wanted, now=NOW)
    fail(slack, 2)

    claimed = [crew.together(claim_once, store_url, NOW + number * MINUTE) for number in (0.5, 1, 1.1, 1.2)]

    assert [sum(counts) for counts in claimed] == [0, 1, 0, 0]


def test_four_processes_together_keep_to_the_rate(slack: Store, store_url: str, crew: Crew) -> None:
    with slack.write(Lock.NONE) as session:
        channel_states.set_rate(session, "slack", Rate(SECOND, 7))

    assert sum(crew.together(take_tokens, store_url, NOW, 6)) == 7
    assert sum(crew.together(take_tokens, store_url, NOW + 3 * SECOND, 6)) == 3


def test_four_processes_together_claim_no_more_than_the_rate(slack: Store, store_url: str, crew: Crew) -> None:
    wanted = [new_delivery(order(f"incident-{number}")) for number in range(50)]
    with slack.write(Lock.ALERTS) as session:
        channel_states.set_rate(session, "slack", Rate(SECOND, 6))
        deliveries.order(session, wanted, now=NOW)

    claimed = [sum(crew.together(claim_once, store_url, NOW + 6 * turn * SECOND)) for turn in range(4)]

    assert max(claimed) <= 6
    assert min(claimed) >= 5


def test_no_failure_is_lost_among_four_processes(slack: Store, store_url: str, crew: Crew) -> None:
    crew.together(count_failures, store_url, 10)

    assert state(slack).breaker == replace(Breaker(), failures=10 * SIZE)
