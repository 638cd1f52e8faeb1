"""A message is sent by one at a time, in order, and what a lost sender says later changes nothing."""

import random
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from calslo_dagster.alerting.breaker import Breaker, Phase, Terms
from calslo_dagster.alerting.model import Action, DeliveryStatus, Order
from calslo_dagster.alerting.rate import Rate
from calslo_dagster.store import channel_states, deliveries, delivery_attempts
from calslo_dagster.store.deliveries import Delivery
from calslo_dagster.store.delivery_attempts import LOST, Attempt
from calslo_dagster.store.delivery_claims import (
    LONGEST_ERROR,
    claim,
    finalize_dead,
    finalize_retry,
    finalize_sent,
    finalize_superseded,
    postpone,
    rate_wait,
    release,
)
from calslo_dagster.store.session import Lock, Store
from calslo_dagster_tests.store.alert_builders import MINUTE, NOW, new_delivery, order
from calslo_dagster_tests.store.crew import Crew, deliver_all

LEASE = timedelta(seconds=30)
SECOND = timedelta(seconds=1)
FIRST, SECOND_STEP, THIRD = (order(cause=f"1:{step}") for step in range(3))
# A process of its own that claims what is due and dies before it says what became of it.
CLAIM_AND_DIE = """
import os, signal, sys
from calslo_dagster.store.session import open_store
from calslo_dagster_tests.store.test_delivery_claims import claimed
assert len(claimed(open_store(sys.argv[1]), "victim")) == 1
os.kill(os.getpid(), signal.SIGKILL)
"""


def put(store: Store, *wanted: Order, **changes: Any) -> None:
    with store.write(Lock.ALERTS) as session:
        deliveries.order(session, [new_delivery(one, **changes) for one in wanted], now=NOW)


def claimed(store: Store, token: str = "a", *, now: datetime = NOW, limit: int = 10) -> list[Delivery]:
    with store.write(Lock.NONE) as session:
        return list(claim(session, token=token, now=now, lease=LEASE, limit=limit))


def sent(store: Store, held: Delivery, **ref: str) -> bool:
    with store.write(Lock.NONE) as session:
        return finalize_sent(session, held, now=NOW, ref=ref or None)


def retried(store: Store, held: Delivery, *, at: datetime = NOW, maybe: bool = False) -> bool:
    with store.write(Lock.NONE) as session:
        return finalize_retry(session, held, now=NOW, not_before=at, failure="network", maybe=maybe)


def stored(store: Store, held: Delivery) -> Delivery:
    with store.read() as session:
        found = deliveries.by_id(session, held.id)
    assert found is not None
    return found


def causes(found: list[Delivery]) -> list[str]:
    return [one.cause for one in found]


def test_what_is_claimed_is_ours_until_the_lease_ends(store: Store) -> None:
    put(store, FIRST)

    (held,) = claimed(store)

    assert (held.status, held.attempts, held.ambiguous) == (DeliveryStatus.SENDING, 1, False)
    assert (held.lease_token, held.lease_until) == ("a", NOW + LEASE)
    assert stored(store, held) == held
    assert claimed(store, "b", now=NOW + LEASE) == []


def test_a_message_is_claimed_from_its_instant_on(store: Store) -> None:
    put(store, replace(FIRST, not_before=NOW + MINUTE))

    assert claimed(store, now=NOW + MINUTE - SECOND) == []
    assert len(claimed(store, now=NOW + MINUTE)) == 1


def test_a_message_waits_for_all_before_it_until_they_are_finished(store: Store) -> None:
    put(store, FIRST, SECOND_STEP, THIRD)

    (first,) = claimed(store)
    assert claimed(store, "b") == []
    assert retried(store, first, at=NOW + MINUTE)
    assert claimed(store, "c") == []
    (first,) = claimed(store, "d", now=NOW + MINUTE)
    assert sent(store, first)
    (second,) = claimed(store, "e")
    with store.write(Lock.NONE) as session:
        assert finalize_dead(session, second, now=NOW, failure="clientError")
    (third,) = claimed(store, "f")

    assert causes([first, second, third]) == ["1:0", "1:1", "1:2"]


def test_messages_of_other_incidents_and_channels_do_not_wait(store: Store) -> None:
    put(store, FIRST, order("other"), order(channel="mail"), SECOND_STEP)

    found = claimed(store)

    assert sorted((one.incident_id, one.channel) for one in found) == [
        ("incident", "mail"),
        ("incident", "slack"),
        ("other", "slack"),
    ]


def test_the_urgent_and_then_the_oldest_go_first_and_each_channel_has_its_own_limit(store: Store) -> None:
    put(store, order("late", not_before=NOW), order("mail", channel="mail"))
    put(store, order("early", not_before=NOW - MINUTE))
    put(store, order("urgent"), priority=3)

    rounds = [claimed(store, token, limit=2) for token in "abc"]

    assert [[one.incident_id for one in found] for found in rounds] == [["mail", "urgent", "early"], ["late"], []]


def test_excluded_channels_are_left_alone(store: Store) -> None:
    put(store, FIRST, order(channel="mail"))

    with store.write(Lock.NONE) as session:
        found = claim(session, token="a", now=NOW, lease=LEASE, limit=5, exclude=["slack", "other"])

    assert [one.channel for one in found] == ["mail"]


def test_what_is_too_late_is_not_claimed(store: Store) -> None:
    put(store, FIRST, expires_at=NOW + MINUTE)

    assert claimed(store, now=NOW + MINUTE) == []
    assert len(claimed(store, now=NOW + MINUTE - SECOND)) == 1


def test_a_lost_message_comes_back_as_one_that_may_have_arrived(store: Store) -> None:
    put(store, FIRST, SECOND_STEP)
    (lost,) = claimed(store)

    (again,) = claimed(store, "b", now=NOW + LEASE + SECOND)

    assert (again.id, again.attempts, again.ambiguous) == (lost.id, 2, True)
    assert stored(store, lost) == again
    with store.read() as session:
        (attempt,) = delivery_attempts.of_deliveries(session, [lost.id])
    assert attempt == Attempt(lost.id, 1, "a", None, NOW + LEASE + SECOND, LOST)


def test_what_a_zombie_says_changes_nothing(store: Store) -> None:
    put(store, FIRST)
    (zombie,) = claimed(store)
    (held,) = claimed(store, "b", now=NOW + MINUTE)

    with store.write(Lock.NONE) as session:
        said = [
            finalize_sent(session, zombie, now=NOW),
            finalize_retry(session, zombie, now=NOW, not_before=NOW + MINUTE, failure="network"),
            finalize_dead(session, zombie, now=NOW, failure="clientError"),
            finalize_superseded(session, zombie, now=NOW, reason="acked"),
            postpone(session, zombie, now=NOW, until=NOW + MINUTE, reason="silenced"),
            release(session, zombie, now=NOW),
        ]

    assert said == [False] * 6
    assert stored(store, held) == held
    assert sent(store, held)
    assert not sent(store, held)
    with store.read() as session:
        attempts = delivery_attempts.of_deliveries(session, [held.id])
    assert [(one.worker, one.result) for one in attempts] == [("a", LOST), ("b", "ok")]


def test_a_lease_that_is_over_is_still_ours_until_somebody_takes_it(store: Store) -> None:
    put(store, FIRST)
    (held,) = claimed(store)

    assert claimed(store, "b", now=NOW + LEASE) == []
    assert sent(store, held)


def test_a_killed_sender_loses_its_message_to_the_next(store: Store, store_url: str) -> None:
    put(store, FIRST)

    ended = subprocess.run([sys.executable, "-c", CLAIM_AND_DIE, store_url], check=False)

    assert ended.returncode == -signal.SIGKILL
    assert claimed(store, now=NOW + LEASE) == []
    (again,) = claimed(store, now=NOW + LEASE + SECOND)
    assert again.ambiguous


def test_what_became_of_each_attempt_is_on_record(store: Store) -> None:
    put(store, FIRST, order("dies"))
    first, dies = claimed(store)
    with store.write(Lock.NONE) as session:
        finalize_retry(
            session,
            first,
            now=NOW,
            not_before=NOW + MINUTE,
            failure="rateLimited",
            error="429 " + "x" * 600,
            retry_after=MINUTE,
            started_at=NOW - SECOND,
        )
        finalize_dead(session, dies, now=NOW, failure="authError", error="401", maybe=True)
    waiting = stored(store, first)
    (first,) = claimed(store, "b", now=NOW + MINUTE)
    sent(store, first, ts="17.1")

    assert (waiting.status, waiting.not_before, waiting.failure) == (
        DeliveryStatus.PENDING,
        NOW + MINUTE,
        "rateLimited",
    )
    assert (waiting.lease_token, waiting.lease_until, len(waiting.outcome or "")) == (None, None, LONGEST_ERROR)
    dead = stored(store, dies)
    assert (dead.status, dead.failure, dead.outcome, dead.ambiguous, dead.ended_at) == (
        DeliveryStatus.DEAD,
        "authError",
        "401",
        True,
        NOW,
    )
    done = stored(store, first)
    assert (done.status, done.ref, done.failure, done.ambiguous) == (DeliveryStatus.SENT, {"ts": "17.1"}, None, False)
    with store.read() as session:
        one, two = delivery_attempts.of_deliveries(session, [first.id])
    assert (one.n, one.result, one.retry_after, one.started_at) == (1, "rateLimited", MINUTE, NOW - SECOND)
    assert (two.n, two.worker, two.result) == (2, "b", "ok")


def test_an_attempt_that_may_have_arrived_marks_the_message_for_good(store: Store) -> None:
    put(store, FIRST)
    (held,) = claimed(store)
    retried(store, held, maybe=True)
    (held,) = claimed(store, "b")
    retried(store, held)
    (held,) = claimed(store, "c")

    assert (held.ambiguous, held.attempts) == (True, 3)


def test_a_message_knows_what_its_channel_returned_for_earlier_ones(store: Store) -> None:
    put(store, FIRST, SECOND_STEP, THIRD, order("other"), order(channel="mail"))
    for held in claimed(store):
        sent(store, held, ts=f"{held.incident_id}-{held.channel}", root="1")
    (second,) = claimed(store, "b")
    sent(store, second, ts="later")

    (third,) = claimed(store, "c")

    assert second.known_ref == {"ts": "incident-slack", "root": "1"}
    assert third.known_ref == {"ts": "later", "root": "1"}


def test_a_message_that_is_not_sent_after_all_has_had_no_attempt(store: Store) -> None:
    put(store, FIRST, order("quiet"), order("old"))
    first, quiet, old = claimed(store)
    with store.write(Lock.NONE) as session:
        assert release(session, first, now=NOW)
        assert postpone(session, quiet, now=NOW, until=NOW + 60 * MINUTE, reason="silence 3")
        assert finalize_superseded(session, old, now=NOW, reason="ann has acknowledged")

    assert stored(store, first) == replace(
        first, status=DeliveryStatus.PENDING, attempts=0, lease_token=None, lease_until=None
    )
    waits, gone = stored(store, quiet), stored(store, old)
    assert (waits.status, waits.not_before, waits.due_at, waits.outcome) == (
        DeliveryStatus.PENDING,
        NOW + 60 * MINUTE,
        NOW + 60 * MINUTE,
        "silence 3",
    )
    assert (gone.status, gone.outcome, gone.attempts) == (DeliveryStatus.SUPERSEDED, "ann has acknowledged", 0)
    assert causes(claimed(store, "b")) == ["1:0"]


def test_a_paused_channel_is_left_alone_until_the_pause_ends(store: Store) -> None:
    put(store, FIRST, order(channel="mail"))
    with store.write(Lock.NONE) as session:
        channel_states.pause(session, "slack", until=NOW + LEASE)

    assert [one.channel for one in claimed(store)] == ["mail"]
    assert [one.channel for one in claimed(store, "b", now=NOW + LEASE)] == ["slack"]


def test_a_channel_gives_no_more_than_its_rate(store: Store) -> None:
    put(store, *(order(f"incident-{number}") for number in range(9)))
    with store.write(Lock.NONE) as session:
        channel_states.set_rate(session, "slack", Rate(SECOND, 3))

    counts = [len(claimed(store, f"{t}", now=NOW + t * SECOND, limit=2)) for t in (0, 0, 0, 0.5, 1, 3)]

    assert counts == [2, 1, 0, 0, 1, 2]


def test_of_a_channel_that_rested_one_message_tries_for_all(store: Store) -> None:
    put(store, *(order(f"incident-{number}") for number in range(4)))
    terms = Terms(failures=1)
    (held, *_) = claimed(store, limit=1)
    with store.write(Lock.NONE) as session:
        breaker = channel_states.failed(session, "slack", token="a", now=NOW, terms=terms)
        finalize_retry(session, held, now=NOW, not_before=NOW, failure="network")
    rested = breaker.open_until or NOW

    assert claimed(store, "b", now=rested - SECOND) == []
    (probe,) = claimed(store, "c", now=rested)
    assert claimed(store, "d", now=rested) == []
    with store.write(Lock.NONE) as session:
        finalize_sent(session, probe, now=rested)
        channel_states.succeeded(session, "slack", now=rested)
    assert len(claimed(store, "e", now=rested)) == 3


@pytest.mark.parametrize("give_back", [release, finalize_superseded])
def test_a_probe_that_is_not_sent_is_left_to_the_next(store: Store, give_back: Any) -> None:
    put(store, FIRST, order("other"))
    with store.write(Lock.NONE) as session:
        channel_states.failed(session, "slack", token="x", now=NOW - 60 * MINUTE, terms=Terms(failures=1))
    (probe,) = claimed(store)
    because = {"reason": "acked"} if give_back is finalize_superseded else {}

    with store.write(Lock.NONE) as session:
        assert give_back(session, probe, now=NOW, **because)

    assert len(claimed(store, "b")) == 1
    with store.read() as session:
        state = channel_states.by_name(session, "slack")
    assert state is not None
    assert state.breaker == Breaker(Phase.HALF_OPEN, 1, 1, NOW - 60 * MINUTE + 30 * SECOND, "b", NOW + LEASE)


def test_what_is_being_taken_back_is_not_claimed(store: Store) -> None:
    put(store, FIRST)
    found: list[Delivery] = []
    thread = threading.Thread(target=lambda: found.extend(claimed(store)))

    with store.write(Lock.ALERTS) as session:
        (gone,) = deliveries.supersede_waiting(session, "incident", reason="resolved", now=NOW)
        thread.start()
        time.sleep(0.2)
    thread.join()

    assert found == []
    assert stored(store, gone) == gone


def test_four_processes_deliver_everything_once_and_in_order(store: Store, store_url: str, crew: Crew) -> None:
    wanted = [
        order(f"incident-{number}", channel, cause=str(step))
        for number in range(5)
        for channel in ("slack", "mail", "pager")
        for step in range(3)
    ]
    put(store, *wanted)

    reports = [one for report in crew.together(deliver_all, store_url, NOW) for one in report]

    with store.read() as session:
        found = {one.id: one for number in range(5) for one in deliveries.of_incident(session, f"incident-{number}")}
    assert sorted(number for number, *_ in reports) == sorted(found)
    assert all(was_ours for *_, was_ours in reports)
    assert {one.attempts for one in found.values()} == {1}
    lines = defaultdict[tuple[str, str], list[tuple[int, int, int]]](list)
    for number, began, ended, _ in reports:
        one = found[number]
        lines[one.incident_id, one.channel].append((one.seq, began, ended))
    for line in lines.values():
        (_, _, first_end), (_, second, second_end), (_, third, _) = sorted(line)
        assert first_end <= second
        assert second_end <= third


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_happens_messages_stay_in_order_and_end(store: Store, seed: int) -> None:
    """Senders claim, forget, fail, take back and come back as zombies, in any order; then all is delivered."""
    draw = random.Random(seed)
    now, held, arrived, count = NOW, list[Delivery](), list[Delivery](), 0

    def said(one: Delivery) -> None:
        with store.write(Lock.NONE) as session:
            match draw.randrange(5):
                case 0 | 1:
                    if finalize_sent(session, one, now=now):
                        arrived.append(one)
                case 2:
                    maybe, later = draw.random() < 0.5, now + draw.random() * LEASE
                    finalize_retry(session, one, now=now, not_before=later, failure="network", maybe=maybe)
                case 3:
                    release(session, one, now=now)
                case _:
                    finalize_dead(session, one, now=now, failure="clientError")

    for turn in range(120):
        now += draw.random() * LEASE / 2
        match draw.randrange(4):
            case 0:
                count += 1
                put(store, order(f"i{draw.randrange(2)}", draw.choice("ab"), cause=str(count), not_before=now))
            case 1 | 2:
                held += claimed(store, str(turn), now=now, limit=draw.randint(1, 3))
            case _ if held:
                said(held[draw.randrange(len(held))])
        with store.read() as session:
            in_flight = [one for n in range(2) for one in deliveries.of_incident(session, f"i{n}")]
        flying = [(o.incident_id, o.channel) for o in in_flight if o.status is DeliveryStatus.SENDING]
        assert len(flying) == len(set(flying))
    for turn in range(count):
        now += 2 * LEASE
        last = claimed(store, f"last {turn}", now=now)
        with store.write(Lock.NONE) as session:
            assert all(finalize_sent(session, one, now=now) for one in last)
        arrived += last

    with store.read() as session:
        assert deliveries.backlog(session) == ()
    assert len({one.id for one in arrived}) == len(arrived)
    for pair in {(one.incident_id, one.channel) for one in arrived}:
        seqs = [one.seq for one in arrived if (one.incident_id, one.channel) == pair]
        assert seqs == sorted(seqs)


def test_a_resolve_never_overtakes_its_trigger(store: Store) -> None:
    put(store, FIRST, order(action=Action.RESOLVE, cause="resolve"))
    (trigger,) = claimed(store)
    retried(store, trigger, at=NOW + 10 * MINUTE)

    assert claimed(store, "b", now=NOW + 9 * MINUTE) == []
    (trigger,) = claimed(store, "c", now=NOW + 10 * MINUTE)
    assert trigger.action is Action.TRIGGER


def test_only_a_rate_is_waited_for(store: Store) -> None:
    put(store, FIRST, order("other"))

    def wait(at: datetime = NOW, asked: datetime | None = None) -> timedelta:
        with store.read() as session:
            return rate_wait(session, "slack", now=at, asked=asked or at)

    with store.write(Lock.NONE) as session:
        channel_states.set_rate(session, "slack", Rate(MINUTE))
    assert wait() == timedelta(0)
    (held,) = claimed(store)
    assert (wait(), wait(NOW + 50 * SECOND)) == (MINUTE, 10 * SECOND)
    # It kept the message when that was asked for, and no longer does when the wait is.
    assert wait(NOW + 61 * SECOND, asked=NOW + 59 * SECOND) == SECOND
    assert wait(NOW + 61 * SECOND) == timedelta(0)
    with store.write(Lock.NONE) as session:
        channel_states.pause(session, "slack", until=NOW + 30 * SECOND)
    assert (wait(), wait(NOW + 50 * SECOND)) == (timedelta(0), 10 * SECOND)
    with store.write(Lock.NONE) as session:
        channel_states.failed(session, "slack", token=held.lease_token or "", now=NOW, terms=Terms())
    assert wait(NOW + 50 * SECOND) == timedelta(0)
