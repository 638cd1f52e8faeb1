"""Deliveries: the outbox of messages, each for one channel, with what became of it."""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from calslo_dagster.alerting.facts import Facts
from calslo_dagster.alerting.model import Action, DeliveryStatus, IncidentState, Order, Told
from calslo_dagster.store import channel_states
from calslo_dagster.store import rows as stored
from calslo_dagster.store.schema import channel_states as channels
from calslo_dagster.store.schema import deliveries, delivery_attempts, incidents

WAITING: Final = str(DeliveryStatus.PENDING)
IN_FLIGHT: Final = str(DeliveryStatus.SENDING)
UNFINISHED: Final = (WAITING, IN_FLIGHT)
# What does not tell of an incident: that it is over, and that a channel works.
_TELLS_NOTHING: Final = (str(Action.RESOLVE), str(Action.TEST))


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """A message to send: what is ordered, what it may say, and the key under which the receiver knows the incident.

    priority: the higher goes first; expires_at: when it is too late to send it, None for never.
    """

    order: Order
    facts: Facts
    dedup_key: str
    priority: int = 0
    expires_at: datetime | None = None

    @property
    def idem_key(self) -> str:
        """The key of the decision behind it, 64 hex digits; the same decision is sent once."""
        one = self.order
        return hashlib.sha256("\0".join((one.incident_id, one.channel, one.action, one.cause)).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message in the outbox.

    seq: its place among the channel's messages of the incident, from 1; due_at: when it was first to go; not_before:
    when it may next be tried; attempts: how many have begun; ambiguous: whether one of them may have arrived although
    nobody knows; failure, outcome: the word of the last failure, and in words what became of it; ref: what the receiver
    returned; known_ref: what it returned for earlier messages of the incident, in what was claimed.
    """

    id: int
    incident_id: str
    channel: str
    seq: int
    action: Action
    cause: str
    reason: str
    idem_key: str
    dedup_key: str
    facts: Facts
    status: DeliveryStatus
    priority: int
    ordered_at: datetime
    due_at: datetime
    not_before: datetime
    attempts: int
    ambiguous: bool
    expires_at: datetime | None = None
    lease_token: str | None = None
    lease_until: datetime | None = None
    ended_at: datetime | None = None
    failure: str | None = None
    outcome: str | None = None
    ref: Mapping[str, str] | None = None
    known_ref: Mapping[str, str] = field(default_factory=dict)


COLUMNS: Final = [deliveries.c[f.name] for f in fields(Delivery) if f.name != "known_ref"]


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many messages of a channel wait or are in flight, and since when the oldest of them has been due."""

    channel: str
    waiting: int
    in_flight: int
    oldest_due_at: datetime


def order(session: Session, found: Iterable[NewDelivery], *, now: datetime) -> tuple[NewDelivery, ...]:
    """Put the messages in the outbox, each after those of its incident and channel; return those that are new.

    One that was ordered before, for the same decision, is left as it is. The session holds `Lock.ALERTS`: two that
    order for the same incident at once would give out the same place.
    """
    wanted = {one.idem_key: one for one in found}
    new = [wanted[key] for key in _unknown(session, wanted)]
    places = _places(session, {one.order.incident_id for one in new})
    records = []
    for one in new:
        pair = (one.order.incident_id, one.order.channel)
        places[pair] = places.get(pair, 0) + 1
        records.append(_record(one, places[pair], now))
    channel_states.ensure(session, {one.order.channel for one in new})
    stored.insert(session, deliveries, records)
    return tuple(new)


def hold_waiting(session: Session, incident_ids: Iterable[str]) -> None:
    """Keep the waiting messages of these incidents from being sent until the session ends.

    Whoever decides by what was told holds them first: one that left in between would be neither told nor waiting.
    """
    for some in stored.chunks(incident_ids):
        waiting = sa.and_(deliveries.c.incident_id.in_(some), deliveries.c.status == WAITING)
        session.execute(sa.select(deliveries.c.id).where(waiting).order_by(deliveries.c.id).with_for_update())


def supersede_waiting(
    session: Session,
    incident_id: str,
    *,
    reason: str,
    now: datetime,
    actions: Collection[Action] | None = None,
    before_seq: int | None = None,
) -> tuple[Delivery, ...]:
    """Take back the messages of an incident that wait, and return them; those in flight are left alone.

    actions: only such messages; before_seq: only those before this place.
    """
    wanted = sa.and_(deliveries.c.incident_id == incident_id, deliveries.c.status == WAITING)
    if actions is not None:
        wanted &= deliveries.c.action.in_([str(action) for action in actions])
    if before_seq is not None:
        wanted &= deliveries.c.seq < before_seq
    return _ended(session, wanted, DeliveryStatus.SUPERSEDED, reason=reason, now=now)


def withdraw(session: Session, channel: str, *, reason: str, now: datetime) -> tuple[Delivery, ...]:
    """Take back what the channel has yet to be sent, and return it; what somebody is sending just now is left."""
    is_left = sa.or_(deliveries.c.status == WAITING, is_lost(deliveries, now))
    wanted = sa.and_(deliveries.c.channel == channel, is_left)
    return _ended(session, wanted, DeliveryStatus.SUPERSEDED, reason=reason, now=now)


def behind(session: Session, one: Delivery, *, now: datetime) -> tuple[Action, ...]:
    """Return what the messages do that wait behind this one, of its incident and channel, and may go now; in order."""
    table = deliveries.c
    is_behind = sa.and_(table.incident_id == one.incident_id, table.channel == one.channel, table.seq > one.seq)
    may_go = sa.and_(table.not_before <= now, sa.or_(table.expires_at.is_(None), table.expires_at > now))
    found = sa.select(table.action).where(is_behind, table.status == WAITING, may_go).order_by(table.seq)
    return tuple(Action(action) for action in session.scalars(found))


def expire(session: Session, *, now: datetime) -> tuple[Delivery, ...]:
    """Give up the messages for which it is too late, so that those behind them can go; return them.

    One in flight is given up only when its lease is over; one that somebody else looks at just now is left to them.
    """
    is_left = sa.or_(deliveries.c.status == WAITING, is_lost(deliveries, now))
    late = sa.select(deliveries.c.id).where(is_left, deliveries.c.expires_at <= now)
    ids = list(session.scalars(late.with_for_update(skip_locked=True)))
    reason, wanted = "it could not be sent in time", deliveries.c.id.in_(ids)
    return _ended(session, wanted, DeliveryStatus.DEAD, reason=reason, now=now) if ids else ()


def told(session: Session, incident_ids: Iterable[str]) -> dict[str, list[Told]]:
    """Return what each channel has been told of each of the incidents, by incident, channels by name."""
    ids = list(incident_ids)
    out: dict[str, list[Told]] = {incident_id: [] for incident_id in ids}
    table = deliveries.c
    maybe = sa.or_(table.ambiguous, table.status == IN_FLIGHT)
    claims = (table.status == str(DeliveryStatus.SENT), maybe, table.status == WAITING)
    counts = [sa.func.sum(sa.case((claim, 1), else_=0)) for claim in claims]
    for some in stored.chunks(ids):
        about = sa.and_(table.incident_id.in_(some), table.action.not_in(_TELLS_NOTHING))
        query = sa.select(table.incident_id, table.channel, *counts).where(about)
        grouped = query.group_by(table.incident_id, table.channel).order_by(table.incident_id, table.channel)
        for incident_id, channel, sent, unknown, waiting in session.execute(grouped):
            out[incident_id].append(Told(channel, bool(sent), bool(unknown), bool(waiting)))
    return out


def overdue(session: Session, *, now: datetime, older_than: timedelta) -> tuple[Delivery, ...]:
    """Return the messages that should have gone more than `older_than` ago and have not, longest due first.

    However often it was tried since: a message whose retries wait is no less overdue.
    """
    late = sa.and_(deliveries.c.status.in_(UNFINISHED), deliveries.c.due_at < now - older_than)
    return loaded(session, sa.select(*COLUMNS).where(late).order_by(deliveries.c.due_at, deliveries.c.id))


def backlog(session: Session) -> tuple[Backlog, ...]:
    """Return what is still to be sent, by channel."""
    table = deliveries.c
    waiting, in_flight = (sa.func.sum(sa.case((table.status == status, 1), else_=0)) for status in UNFINISHED)
    query = sa.select(table.channel, waiting, in_flight, sa.func.min(table.due_at)).where(table.status.in_(UNFINISHED))
    found = session.execute(query.group_by(table.channel).order_by(table.channel))
    return tuple(Backlog(row[0], int(row[1]), int(row[2]), row[3]) for row in found)


def of_incident(session: Session, incident_id: str) -> tuple[Delivery, ...]:
    """Return the messages of an incident, in the order in which they were ordered."""
    return loaded(session, sa.select(*COLUMNS).where(deliveries.c.incident_id == incident_id).order_by(deliveries.c.id))


def incident_of(session: Session, dedup_key: str) -> str | None:
    """Return the incident that receivers know under this key, None if no message ever carried it."""
    wanted = sa.select(deliveries.c.incident_id).where(deliveries.c.dedup_key == dedup_key).limit(1)
    return session.scalar(wanted)


def by_id(session: Session, delivery_id: int) -> Delivery | None:
    """Return the message of this number, None if there is none."""
    return next(iter(loaded(session, sa.select(*COLUMNS).where(deliveries.c.id == delivery_id))), None)


def ended_since(session: Session, since: datetime) -> tuple[tuple[int, str, str], ...]:
    """Return the id, channel and status of the messages that were sent or given up at `since` or later."""
    table, ended = deliveries.c, [str(DeliveryStatus.SENT), str(DeliveryStatus.DEAD)]
    wanted = sa.select(table.id, table.channel, table.status).where(table.status.in_(ended), table.ended_at >= since)
    return tuple((row.id, row.channel, row.status) for row in session.execute(wanted.order_by(table.id)))


def dead_since(session: Session, since: datetime) -> tuple[Delivery, ...]:
    """Return the messages that were given up at `since` or later, first given up first."""
    dead = sa.and_(deliveries.c.status == str(DeliveryStatus.DEAD), deliveries.c.ended_at >= since)
    return loaded(session, sa.select(*COLUMNS).where(dead).order_by(deliveries.c.ended_at, deliveries.c.id))


def refused_before_mended(session: Session, since: datetime) -> tuple[Delivery, ...]:
    """Return what was given up at `since` or later by channels that took a message after that, and may be missed.

    Those are pages of incidents that fire and ends of those that are over, the last message to their channel.
    """
    table, later = deliveries.c, deliveries.alias("later")
    dead = sa.and_(table.status == str(DeliveryStatus.DEAD), table.ended_at >= since)
    works = sa.exists().where(channels.c.name == table.channel, channels.c.ok_at > table.ended_at)
    wanted = ((Action.TRIGGER, IncidentState.FIRING), (Action.RESOLVE, IncidentState.RESOLVED))
    fits = [sa.and_(table.action == str(action), incidents.c.state == str(state)) for action, state in wanted]
    is_news = sa.exists().where(incidents.c.id == table.incident_id, sa.or_(*fits))
    is_followed = sa.exists().where(
        later.c.incident_id == table.incident_id,
        later.c.channel == table.channel,
        later.c.seq > table.seq,
        later.c.status.in_([*UNFINISHED, str(DeliveryStatus.SENT)]),
    )
    return loaded(session, sa.select(*COLUMNS).where(dead, works, is_news, ~is_followed).order_by(table.id))


def prune(session: Session, before: datetime) -> int:
    """Delete what was finished before this instant, with its attempts; return how many messages that were.

    What belongs to an incident that goes on stays, and so do messages of which others of the incident still wait: later
    messages need to know what a channel was told, and where.
    """
    table, others = deliveries.c, deliveries.alias()
    goes_on = sa.exists().where(incidents.c.id == table.incident_id, incidents.c.open_key.is_not(None))
    waits = sa.exists().where(others.c.incident_id == table.incident_id, others.c.status.in_(UNFINISHED))
    gone = sa.and_(table.ended_at < before, ~goes_on, ~waits)
    old = sa.select(table.id).where(gone)
    session.execute(sa.delete(delivery_attempts).where(delivery_attempts.c.delivery_id.in_(old)))
    return session.connection().execute(sa.delete(deliveries).where(gone)).rowcount


def prune_incident(session: Session, incident_id: str, *, before: datetime) -> None:
    """Delete the finished messages under this name that ended earlier, with their attempts."""
    table = deliveries.c
    gone = sa.and_(table.incident_id == incident_id, table.ended_at < before)
    old = sa.select(table.id).where(gone)
    session.execute(sa.delete(delivery_attempts).where(delivery_attempts.c.delivery_id.in_(old)))
    session.execute(sa.delete(deliveries).where(gone))


def is_lost(table: sa.FromClause, now: datetime) -> sa.ColumnElement[bool]:
    """Whether whoever was sending it has not said in time what became of it."""
    return sa.and_(table.c.status == IN_FLIGHT, table.c.lease_until < now)


def loaded(session: Session, statement: sa.Executable) -> tuple[Delivery, ...]:
    """Return the messages whose columns the statement yields."""
    return tuple(_delivery(row) for row in session.execute(statement))


def _ended(
    session: Session, where: sa.ColumnElement[bool], status: DeliveryStatus, *, reason: str, now: datetime
) -> tuple[Delivery, ...]:
    maybe = sa.or_(deliveries.c.ambiguous, deliveries.c.status == IN_FLIGHT)
    values = {"status": str(status), "outcome": reason, "ended_at": now, "ambiguous": maybe}
    changed = loaded(session, sa.update(deliveries).where(where).values(values).returning(*COLUMNS))
    return tuple(sorted(changed, key=lambda one: one.id))


def _unknown(session: Session, keys: Iterable[str]) -> list[str]:
    known: set[str] = set()
    for some in stored.chunks(keys):
        known.update(session.scalars(sa.select(deliveries.c.idem_key).where(deliveries.c.idem_key.in_(some))))
    return [key for key in keys if key not in known]


def _places(session: Session, incident_ids: Iterable[str]) -> dict[tuple[str, str], int]:
    """Return the last place that was given out, by incident and channel."""
    table, out = deliveries.c, {}
    for some in stored.chunks(incident_ids):
        query = sa.select(table.incident_id, table.channel, sa.func.max(table.seq)).where(table.incident_id.in_(some))
        for incident_id, channel, seq in session.execute(query.group_by(table.incident_id, table.channel)):
            out[incident_id, channel] = seq
    return out


def _record(one: NewDelivery, seq: int, now: datetime) -> dict[str, Any]:
    wanted = one.order
    return {
        "incident_id": wanted.incident_id,
        "channel": wanted.channel,
        "seq": seq,
        "action": str(wanted.action),
        "cause": wanted.cause,
        "reason": wanted.reason,
        "idem_key": one.idem_key,
        "dedup_key": one.dedup_key,
        "facts": one.facts.to_json(),
        "status": WAITING,
        "priority": one.priority,
        "ordered_at": now,
        "due_at": wanted.not_before,
        "not_before": wanted.not_before,
        "attempts": 0,
        "ambiguous": False,
        "expires_at": one.expires_at,
    }


def _delivery(row: sa.Row[Any]) -> Delivery:
    words = {"action": Action(row.action), "status": DeliveryStatus(row.status), "facts": Facts.from_json(row.facts)}
    return Delivery(**{**row._mapping, **words})
