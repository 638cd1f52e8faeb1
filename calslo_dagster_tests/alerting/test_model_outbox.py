"""The outbox of the model does what the outbox of the store does, so that what holds of one holds of the other."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import count
from random import Random
from typing import Final

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from calslo_dagster.alerting.incidents import ECHO_LEASES
from calslo_dagster.alerting.model import Action, DeliveryStatus, Order
from calslo_dagster.alerting.rules import Rules
from calslo_dagster.pipeline import claim_message, deliver_outbox
from calslo_dagster.pipeline.advance_alerts import STALE
from calslo_dagster.store import deliveries, delivery_claims
from calslo_dagster.store.columns import to_json
from calslo_dagster.store.deliveries import Delivery, NewDelivery
from calslo_dagster.store.schema import metadata
from calslo_dagster_tests.alerting import model_world
from calslo_dagster_tests.alerting.model_outbox import BACKOFF, LEASE, Held, Outbox, Row
from calslo_dagster_tests.store.alert_builders import NOW, facts

INCIDENTS: Final = ("one", "two")
CHANNELS: Final = ("pager", "slack")
ACTIONS: Final = (Action.TRIGGER, Action.TRIGGER, Action.UPDATE, Action.ACK, Action.DIGEST, Action.RESOLVE)
SECONDS: Final = (0, 1, 10, 31, 120, 90_000)
TAKEN_BACK: Final = frozenset({Action.TRIGGER, Action.UPDATE, Action.ACK, Action.DIGEST})


class Pair:
    """Both outboxes, to which the same is done; `held` are all messages that were ever claimed."""

    def __init__(self, session: Session, dice: Random) -> None:
        self.session, self.dice, self.now = session, dice, NOW
        self.ours, self.held = Outbox(), list[tuple[Held, Delivery]]()
        self.tokens = count()

    def time_passes(self) -> None:
        self.now += timedelta(seconds=self.dice.choice(SECONDS))

    def orders(self) -> None:
        wanted = [self._order() for _ in range(self.dice.randint(1, 3))]
        self.ours.order(wanted, lambda incident_id: incident_id, now=self.now, moment=0)
        new = [NewDelivery(one, facts(), one.incident_id, expires_at=_expiry(one)) for one in wanted]
        deliveries.order(self.session, new, now=self.now)

    def takes_back(self) -> None:
        incident_id = self.dice.choice(INCIDENTS)
        self.ours.supersede_waiting(incident_id)
        deliveries.supersede_waiting(self.session, incident_id, reason="", now=self.now, actions=TAKEN_BACK)

    def gives_up(self) -> None:
        self.ours.expire(self.now)
        deliveries.expire(self.session, now=self.now)

    def claims(self) -> None:
        channel, token = self.dice.choice(CHANNELS), str(next(self.tokens))
        ours = self.ours.claim(channel, now=self.now)
        theirs = delivery_claims.claim(self.session, token=token, now=self.now, lease=LEASE, limit=1, only=channel)
        assert [_place(one.row) for one in ours] == [(one.incident_id, one.channel, one.seq) for one in theirs]
        for one, their in zip(ours, theirs, strict=True):
            assert self.ours.behind(one.row, self.now) == deliveries.behind(self.session, their, now=self.now)
            self.held.append((one, their))

    def finishes(self) -> None:
        if self.held:
            ours, theirs = self.dice.choice(self.held)
            self.dice.choice(ENDS)(self, ours, theirs)

    def _order(self) -> Order:
        action, cause = self.dice.choice(ACTIONS), self.dice.randint(0, 9)
        # An echo is ordered for later.
        later = self.now + timedelta(seconds=90 if cause % 3 == 0 else 0)
        return Order(self.dice.choice(INCIDENTS), self.dice.choice(CHANNELS), action, str(cause), "", later)


def _is_sent(pair: Pair, ours: Held, theirs: Delivery) -> None:
    is_ours = pair.ours.finish(ours, DeliveryStatus.SENT)
    assert delivery_claims.finalize_sent(pair.session, theirs, now=pair.now) == is_ours


def _fails(pair: Pair, ours: Held, theirs: Delivery) -> None:
    maybe = pair.dice.random() < 0.5
    # The dispatcher knows the number of the attempt that it made, not of those that others have made since.
    wait = BACKOFF.next_try(pair.now, failures=1)
    if pair.ours.finish(ours, DeliveryStatus.PENDING, not_before=wait):
        ours.row.doubt(maybe)
    delivery_claims.finalize_retry(pair.session, theirs, now=pair.now, not_before=wait, failure="network", maybe=maybe)


def _dies(pair: Pair, ours: Held, theirs: Delivery) -> None:
    maybe = pair.dice.random() < 0.5
    if pair.ours.finish(ours, DeliveryStatus.DEAD):
        ours.row.doubt(maybe)
    delivery_claims.finalize_dead(pair.session, theirs, now=pair.now, failure="clientError", maybe=maybe)


def _is_superseded(pair: Pair, ours: Held, theirs: Delivery) -> None:
    pair.ours.give_back(ours, DeliveryStatus.SUPERSEDED, not_before=ours.row.not_before)
    delivery_claims.finalize_superseded(pair.session, theirs, now=pair.now, reason="")


def _is_postponed(pair: Pair, ours: Held, theirs: Delivery) -> None:
    until = pair.now + timedelta(seconds=30)
    pair.ours.give_back(ours, DeliveryStatus.PENDING, not_before=until)
    delivery_claims.postpone(pair.session, theirs, now=pair.now, until=until, reason="")


def _is_released(pair: Pair, ours: Held, theirs: Delivery) -> None:
    pair.ours.give_back(ours, DeliveryStatus.PENDING, not_before=pair.now)
    delivery_claims.release(pair.session, theirs, now=pair.now)


ENDS: Final[Sequence[Callable[[Pair, Held, Delivery], None]]] = (
    _is_sent,
    _is_sent,
    _fails,
    _fails,
    _dies,
    _is_superseded,
    _is_postponed,
    _is_released,
)
DEEDS: Final[Sequence[Callable[[Pair], None]]] = (
    Pair.orders,
    Pair.orders,
    Pair.time_passes,
    Pair.time_passes,
    Pair.claims,
    Pair.claims,
    Pair.claims,
    Pair.finishes,
    Pair.finishes,
    Pair.takes_back,
    Pair.gives_up,
)


def _expiry(order: Order) -> datetime | None:
    stale = STALE.get(order.action)
    return order.not_before + stale if stale else None


def _place(row: Row) -> tuple[str, str, int]:
    return row.order.incident_id, row.order.channel, row.seq


def _shape(one: Row | Delivery) -> tuple[object, ...]:
    order = one.order if isinstance(one, Row) else one
    what = (order.incident_id, order.channel, one.seq, order.action, order.cause)
    lease_until = one.lease_until if one.status is DeliveryStatus.SENDING else None
    return *what, one.status, one.not_before, one.expires_at, one.attempts, one.ambiguous, lease_until


def test_the_model_has_the_times_and_terms_of_the_product() -> None:
    usual = deliver_outbox.USUAL

    assert (usual.lease, usual.margin, usual.backoff) == (LEASE, model_world.MARGIN, BACKOFF)
    assert model_world.SUPPRESSED == claim_message.SUPPRESSED
    assert Rules().lease == usual.lease
    assert usual.deadline < usual.margin < usual.lease
    # What lingers on its way when its sender is stopped arrives before the echo of the end goes out.
    assert usual.deadline < model_world.LINGERS < ECHO_LEASES * usual.lease


@pytest.mark.parametrize("seed", range(12))
def test_both_outboxes_are_the_same_whatever_is_done_to_them(seed: int) -> None:
    engine = sa.create_engine("sqlite://", json_serializer=to_json)
    metadata.create_all(engine)
    dice = Random(seed)
    with Session(engine, autoflush=False) as session:
        pair = Pair(session, dice)
        for _ in range(80):
            dice.choice(DEEDS)(pair)
            stored = [one for incident_id in INCIDENTS for one in deliveries.of_incident(session, incident_id)]
            assert {_shape(row) for row in pair.ours.rows} == {_shape(one) for one in stored}
        told = deliveries.told(session, INCIDENTS)
        assert told == {incident_id: list(pair.ours.told(incident_id)) for incident_id in INCIDENTS}
    engine.dispose()
