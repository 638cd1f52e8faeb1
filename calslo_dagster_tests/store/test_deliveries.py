"""The outbox: what is ordered is sent once, in order, and can be accounted for."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from calslo_dagster.alerting.model import Action, DeliveryStatus, IncidentState, Order, Told
from calslo_dagster.store import deliveries, delivery_attempts, incidents
from calslo_dagster.store.deliveries import Backlog, Delivery
from calslo_dagster.store.delivery_attempts import Attempt
from calslo_dagster.store.delivery_claims import claim, finalize_dead, finalize_retry, finalize_sent
from calslo_dagster.store.session import Lock, Store
from calslo_dagster_tests.store.alert_builders import MINUTE, NOW, facts, incident, new_delivery, order
from calslo_dagster_tests.store.crew import SIZE, Crew, order_messages

LEASE = timedelta(seconds=30)
FIRST = order(cause="1:0")
SECOND = order(cause="1:1", not_before=NOW + MINUTE)
MAIL = order(channel="mail")


def put(store: Store, *wanted: Order, now: datetime = NOW) -> list[str]:
    with store.write(Lock.ALERTS) as session:
        new = deliveries.order(session, map(new_delivery, wanted), now=now)
    return [one.order.cause for one in new]


def claimed(store: Store, token: str = "a", now: datetime = NOW) -> tuple[Delivery, ...]:
    with store.write(Lock.NONE) as session:
        return claim(session, token=token, now=now, lease=LEASE, limit=10)


def all_of(store: Store, incident_id: str = "incident") -> tuple[Delivery, ...]:
    with store.read() as session:
        return deliveries.of_incident(session, incident_id)


def test_an_order_comes_back_with_its_place_and_what_it_may_say(store: Store) -> None:
    wanted = new_delivery(FIRST, priority=2, expires_at=NOW + MINUTE)
    with store.write(Lock.ALERTS) as session:
        assert deliveries.order(session, [wanted], now=NOW - MINUTE) == (wanted,)

    (found,) = all_of(store)
    assert found == Delivery(
        id=found.id,
        incident_id="incident",
        channel="slack",
        seq=1,
        action=Action.TRIGGER,
        cause="1:0",
        reason=FIRST.reason,
        idem_key=wanted.idem_key,
        dedup_key="calslo-incident",
        facts=facts(),
        status=DeliveryStatus.PENDING,
        priority=2,
        ordered_at=NOW - MINUTE,
        due_at=NOW,
        not_before=NOW,
        attempts=0,
        ambiguous=False,
        expires_at=NOW + MINUTE,
    )
    with store.read() as session:
        assert deliveries.by_id(session, found.id) == found
        assert deliveries.by_id(session, found.id + 1) is None


def test_each_channel_of_each_incident_counts_for_itself(store: Store) -> None:
    put(store, FIRST, MAIL, SECOND, order("other"))
    put(store, order(cause="2:0"), order("other", cause="2:0"))

    assert [(one.channel, one.seq) for one in all_of(store)] == [("slack", 1), ("mail", 1), ("slack", 2), ("slack", 3)]
    assert [one.seq for one in all_of(store, "other")] == [1, 2]


def test_the_same_decision_is_ordered_once(store: Store) -> None:
    resolve = replace(FIRST, action=Action.RESOLVE)

    assert put(store, FIRST, FIRST, SECOND) == ["1:0", "1:1"]
    assert put(store, FIRST, SECOND, order(cause="1:2"), resolve) == ["1:2", "1:0"]
    assert put(store, FIRST, resolve) == []
    assert put(store) == []
    assert [one.seq for one in all_of(store)] == [1, 2, 3, 4]


def test_four_processes_that_order_at_once_give_out_each_place_once(store: Store, store_url: str, crew: Crew) -> None:
    new = crew.together(order_messages, store_url, 8)

    found = all_of(store)
    assert [one.seq for one in found] == list(range(1, 8 * SIZE + 8 + 1))
    causes = [cause for one in new for cause in one]
    assert sorted(causes) == sorted(one.cause for one in found)


def test_what_waits_is_superseded_and_what_is_in_flight_is_not(store: Store) -> None:
    put(store, FIRST, MAIL, SECOND, order("other"))
    with store.write(Lock.NONE) as session:
        (in_flight,) = claim(session, token="a", now=NOW, lease=LEASE, limit=1, exclude=["mail"])[:1]

    with store.write(Lock.ALERTS) as session:
        gone = deliveries.supersede_waiting(session, "incident", reason="ann has acknowledged", now=NOW + MINUTE)

    assert in_flight.channel == "slack"
    assert [(one.channel, one.seq) for one in gone] == [("mail", 1), ("slack", 2)]
    assert all_of(store)[1:] == gone
    assert {(one.status, one.outcome, one.ended_at) for one in gone} == {
        (DeliveryStatus.SUPERSEDED, "ann has acknowledged", NOW + MINUTE)
    }
    assert [one.status for one in all_of(store, "other")] == [DeliveryStatus.PENDING]


def test_only_the_named_actions_and_earlier_places_are_superseded(store: Store) -> None:
    put(store, FIRST, replace(SECOND, action=Action.UPDATE), order(cause="1:2"), order(cause="1:3"))

    with store.write(Lock.ALERTS) as session:
        gone = deliveries.supersede_waiting(
            session, "incident", reason="old", now=NOW, actions=[Action.TRIGGER], before_seq=4
        )
        assert deliveries.supersede_waiting(session, "incident", reason="old", now=NOW, actions=[]) == ()

    assert [one.seq for one in gone] == [1, 3]


def test_what_is_too_late_is_given_up_and_a_lost_one_may_have_arrived(store: Store) -> None:
    with store.write(Lock.ALERTS) as session:
        wanted = [new_delivery(one, expires_at=NOW + MINUTE) for one in (FIRST, MAIL)]
        deliveries.order(session, [*wanted, new_delivery(order("other"))], now=NOW)
    with store.write(Lock.NONE) as session:
        claim(session, token="a", now=NOW, lease=2 * MINUTE, limit=10, exclude=["mail"])

    with store.write(Lock.NONE) as session:
        assert deliveries.expire(session, now=NOW) == ()
        (mail,) = deliveries.expire(session, now=NOW + MINUTE)
        (slack,) = deliveries.expire(session, now=NOW + 3 * MINUTE)
        assert deliveries.dead_since(session, NOW + MINUTE) == (mail, slack)
        assert deliveries.dead_since(session, NOW + 2 * MINUTE) == (slack,)

    assert (mail.channel, mail.status, mail.ambiguous) == ("mail", DeliveryStatus.DEAD, False)
    assert (slack.channel, slack.status, slack.ambiguous) == ("slack", DeliveryStatus.DEAD, True)


def test_channels_have_been_told_or_may_have_been_or_will_be(store: Store) -> None:
    put(store, *(order(channel=name) for name in ("dead", "flight", "retry", "maybe", "sent")))
    held = {one.channel: one for one in claimed(store)}
    later = NOW + MINUTE
    with store.write(Lock.NONE) as session:
        finalize_sent(session, held["sent"], now=NOW)
        finalize_dead(session, held["dead"], now=NOW, failure="clientError")
        finalize_retry(session, held["retry"], now=NOW, not_before=later, failure="network")
        finalize_retry(session, held["maybe"], now=NOW, not_before=later, failure="ambiguous", maybe=True)
    put(store, order(channel="sent", cause="1:1"), order(channel="waits"), order("other", channel="waits"))
    put(store, order(channel="over", action=Action.RESOLVE), order(channel="tried", action=Action.TEST))

    with store.read() as session:
        assert deliveries.told(session, ["incident", "none"]) == {
            "incident": [
                Told("dead"),
                Told("flight", maybe=True),
                Told("maybe", maybe=True, waiting=True),
                Told("retry", waiting=True),
                Told("sent", sent=True, waiting=True),
                Told("waits", waiting=True),
            ],
            "none": [],
        }


def test_what_was_superseded_after_it_may_have_arrived_may_have_been_told(store: Store) -> None:
    put(store, FIRST)
    (held,) = claimed(store)
    with store.write(Lock.NONE) as session:
        finalize_retry(session, held, now=NOW, not_before=NOW, failure="ambiguous", maybe=True)
        deliveries.supersede_waiting(session, "incident", reason="resolved", now=NOW)

        assert deliveries.told(session, ["incident"])["incident"] == [Told("slack", maybe=True)]


def test_what_waits_for_a_channel_is_withdrawn_and_what_is_on_its_way_is_not(store: Store) -> None:
    put(store, FIRST, order("other"), MAIL)
    (mail, held, _) = claimed(store)
    put(store, SECOND)
    with store.write(Lock.NONE) as session:
        finalize_retry(session, mail, now=NOW, not_before=NOW, failure="network")

        gone = deliveries.withdraw(session, "slack", reason="no channel", now=NOW)
        assert [(one.cause, one.status, one.outcome) for one in gone] == [
            (SECOND.cause, DeliveryStatus.SUPERSEDED, "no channel")
        ]
        lost = deliveries.withdraw(session, "slack", reason="no channel", now=NOW + 2 * LEASE)
        assert {one.ambiguous for one in lost} == {True}
        assert held.id in {one.id for one in lost}
        assert [one.channel for one in deliveries.backlog(session)] == ["mail"]


def test_what_waits_behind_a_message_is_of_its_queue_and_may_go_now(store: Store) -> None:
    put(store, FIRST, SECOND, order(cause="ack", action=Action.ACK), MAIL, order("other"))
    with store.read() as session:
        first, second, *_ = deliveries.of_incident(session, "incident")

        assert deliveries.behind(session, first, now=NOW) == (Action.ACK,)
        assert deliveries.behind(session, first, now=NOW + MINUTE) == (Action.TRIGGER, Action.ACK)
        assert deliveries.behind(session, second, now=NOW + MINUTE) == (Action.ACK,)


def test_what_is_tried_in_vain_is_overdue_however_late_the_next_try(store: Store) -> None:
    put(store, FIRST, MAIL, order("other", not_before=NOW + 3 * MINUTE))
    held = {one.channel: one for one in claimed(store)}
    with store.write(Lock.NONE) as session:
        finalize_sent(session, held["mail"], now=NOW)
        finalize_retry(session, held["slack"], now=NOW, not_before=NOW + 60 * MINUTE, failure="network")

        assert deliveries.overdue(session, now=NOW + MINUTE, older_than=MINUTE) == ()
        (late,) = deliveries.overdue(session, now=NOW + 2 * MINUTE, older_than=MINUTE)
        assert (late.channel, late.due_at, late.not_before) == ("slack", NOW, NOW + 60 * MINUTE)
        assert len(deliveries.overdue(session, now=NOW + 5 * MINUTE, older_than=MINUTE)) == 2


def test_the_backlog_is_counted_by_channel(store: Store) -> None:
    put(store, FIRST, SECOND, MAIL, order("other", not_before=NOW - MINUTE))
    with store.read() as session:
        assert deliveries.backlog(session) == (Backlog("mail", 1, 0, NOW), Backlog("slack", 3, 0, NOW - MINUTE))

    mail, *_ = claimed(store)
    with store.write(Lock.NONE) as session:
        finalize_sent(session, mail, now=NOW)

        assert deliveries.backlog(session) == (Backlog("slack", 1, 2, NOW - MINUTE),)


@pytest.mark.parametrize("is_open", [True, False])
def test_what_was_finished_is_pruned_with_its_attempts_unless_its_incident_goes_on(
    store: Store, *, is_open: bool
) -> None:
    made = incident(id="incident", state=IncidentState.FIRING if is_open else IncidentState.RESOLVED)
    put(store, FIRST, order("waits"), order("waits", cause="1:1", not_before=NOW + MINUTE))
    with store.write(Lock.ALERTS) as session:
        incidents.put(session, [made])
    with store.write(Lock.NONE) as session:
        for one in claim(session, token="a", now=NOW, lease=LEASE, limit=10):
            finalize_sent(session, one, now=NOW, started_at=NOW - MINUTE, detail="200")

    with store.write() as session:
        (first,) = deliveries.of_incident(session, "incident")
        kept = (Attempt(first.id, 1, "a", NOW - MINUTE, NOW, "ok", detail="200"),)
        assert delivery_attempts.of_deliveries(session, [first.id]) == kept
        assert deliveries.prune(session, NOW) == 0
        assert deliveries.prune(session, NOW + MINUTE) == (0 if is_open else 1)
        assert delivery_attempts.of_deliveries(session, [first.id]) == (kept if is_open else ())
        assert len(deliveries.of_incident(session, "waits")) == 2
