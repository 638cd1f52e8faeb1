"""Claims: who sends a message now, so that two never do at once, and what becomes of it.

A claim is a lease: whoever does not say in time what became of a message loses it to the next, who sends it again as
one that may have arrived. The token of the lease fences off the one who lost it: what that one says later changes
nothing.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from calslo_dagster.alerting.breaker import Phase
from calslo_dagster.alerting.model import DeliveryStatus
from calslo_dagster.store import channel_states, delivery_attempts
from calslo_dagster.store.channel_states import ChannelState
from calslo_dagster.store.deliveries import COLUMNS, IN_FLIGHT, UNFINISHED, WAITING, Delivery, is_lost, loaded
from calslo_dagster.store.delivery_attempts import LOST, OK, Attempt
from calslo_dagster.store.schema import channel_states as channels
from calslo_dagster.store.schema import deliveries

LONGEST_ERROR: Final = 500


def claim(
    session: Session,
    *,
    token: str,
    now: datetime,
    lease: timedelta,
    limit: int,
    exclude: Collection[str] = (),
    only: str | None = None,
) -> tuple[Delivery, ...]:
    """Take messages that are due, at most `limit` of each channel, and hold them until `now + lease`.

    A message can be taken when all earlier ones of its incident and channel are finished, its channel neither rests nor
    pauses nor has been used as fast as it may be, and it is not too late to send it. Of a channel that has rested, one
    is taken, to try for all. One whose lease was over comes back as ambiguous. `exclude` names channels to leave alone,
    `only` the one to take from.

    The token is new for each call. Commit before sending, and send only while the lease has time left for it.
    """
    due = sa.exists().where(deliveries.c.channel == channels.c.name, _is_claimable(now))
    wanted = due if only is None else sa.and_(channels.c.name == only, due)
    usable = channel_states.lock_usable(session, wanted, now=now, exclude=exclude)
    taken = [
        one for state in usable for one in _of_channel(session, state, token=token, now=now, limits=(limit, lease))
    ]
    return _with_refs(session, taken)


def rate_wait(session: Session, channel: str, *, now: datetime, asked: datetime) -> timedelta:
    """Return how long the rate alone kept the next message of the channel when it was asked for; 0 if not it alone."""
    state = channel_states.by_name(session, channel)
    if state is None or state.is_failing(now):
        return timedelta(0)
    is_due = session.scalar(sa.select(sa.exists().where(deliveries.c.channel == channel, _is_claimable(now))))
    return state.rate.wait(due=state.next_at, now=asked) if is_due else timedelta(0)


def finalize_sent(
    session: Session,
    held: Delivery,
    *,
    now: datetime,
    ref: Mapping[str, str] | None = None,
    detail: str = "",
    started_at: datetime | None = None,
) -> bool:
    """Note that the message went out; False, and nothing is noted, if it was no longer ours."""
    values = {"status": str(DeliveryStatus.SENT), "ended_at": now, "ref": dict(ref or {}), "failure": None}
    attempt = _attempt(held, OK, now=now, started_at=started_at, detail=detail)
    return _finalize(session, held, values | {"outcome": detail or None}, attempt)


def finalize_retry(
    session: Session,
    held: Delivery,
    *,
    now: datetime,
    not_before: datetime,
    failure: str,
    error: str = "",
    maybe: bool = False,
    retry_after: timedelta | None = None,
    started_at: datetime | None = None,
    ref: Mapping[str, str] | None = None,
) -> bool:
    """Note that the message did not go out, or only `maybe`, and when to try again; False if it was no longer ours.

    ref: what has been reached all the same, for the next attempt.
    """
    values = {"status": WAITING, "not_before": not_before, **_failure(held, failure, error, maybe=maybe)}
    if ref:
        values["ref"] = dict(ref)
    attempt = _attempt(held, failure, now=now, started_at=started_at, detail=error)
    return _finalize(session, held, values, replace(attempt, retry_after=retry_after))


def finalize_dead(
    session: Session,
    held: Delivery,
    *,
    now: datetime,
    failure: str,
    error: str = "",
    maybe: bool = False,
    started_at: datetime | None = None,
) -> bool:
    """Give the message up, since it will never arrive in this form; False if it was no longer ours."""
    dead = {"status": str(DeliveryStatus.DEAD), "ended_at": now, **_failure(held, failure, error, maybe=maybe)}
    return _finalize(session, held, dead, _attempt(held, failure, now=now, started_at=started_at, detail=error))


def finalize_superseded(session: Session, held: Delivery, *, now: datetime, reason: str) -> bool:
    """Take the message back unsent, since what it says is no longer wanted; False if it was no longer ours."""
    values = {"status": str(DeliveryStatus.SUPERSEDED), "ended_at": now, "outcome": reason}
    return _unsent(session, held, values, now=now)


def postpone(session: Session, held: Delivery, *, now: datetime, until: datetime, reason: str) -> bool:
    """Give the message back unsent, to go at a later time that is as it should be; False if it was no longer ours."""
    values = {"status": WAITING, "not_before": until, "due_at": until, "outcome": reason}
    return _unsent(session, held, values, now=now)


def release(session: Session, held: Delivery, *, now: datetime, not_before: datetime | None = None) -> bool:
    """Give the message back unsent, since we cannot send it in time ourselves; False if it was no longer ours."""
    return _unsent(session, held, {"status": WAITING, "not_before": not_before or now}, now=now)


def _is_claimable(now: datetime) -> sa.ColumnElement[bool]:
    table, earlier = deliveries.c, deliveries.alias("earlier")
    is_due = sa.or_(sa.and_(table.status == WAITING, table.not_before <= now), is_lost(deliveries, now))
    is_behind = sa.exists().where(
        earlier.c.incident_id == table.incident_id,
        earlier.c.channel == table.channel,
        earlier.c.seq < table.seq,
        earlier.c.status.in_(UNFINISHED),
    )
    return sa.and_(is_due, sa.or_(table.expires_at.is_(None), table.expires_at > now), ~is_behind)


def _of_channel(
    session: Session, state: ChannelState, *, token: str, now: datetime, limits: tuple[int, timedelta]
) -> list[Delivery]:
    limit, lease = limits
    is_closed = state.breaker.phase is Phase.CLOSED
    allowed = state.rate.allowed(limit if is_closed else min(limit, 1), due=state.next_at, now=now)
    found = _locked(session, state.name, now, allowed)
    if not found or not (is_closed or channel_states.probe(session, state.name, token=token, now=now, hold=lease)):
        return []
    channel_states.take(session, state.name, now=now, count=len(found))
    _lease(session, found, token=token, until=now + lease)
    lost = [one for one in found if one.status is DeliveryStatus.SENDING]
    delivery_attempts.add(session, [_attempt(one, LOST, now=now) for one in lost])
    return [_leased(one, token, now + lease) for one in found]


def _locked(session: Session, channel: str, now: datetime, limit: int) -> tuple[Delivery, ...]:
    """Return the messages to take next, the urgent ones first, locked against everybody else."""
    table = deliveries.c
    wanted = sa.select(*COLUMNS).where(table.channel == channel, _is_claimable(now))
    first = wanted.order_by(table.priority.desc(), table.not_before, table.id).limit(limit)
    return loaded(session, first.with_for_update(of=deliveries, skip_locked=True)) if limit > 0 else ()


def _lease(session: Session, found: Iterable[Delivery], *, token: str, until: datetime) -> None:
    table = deliveries.c
    values = {"status": IN_FLIGHT, "lease_token": token, "lease_until": until, "attempts": table.attempts + 1}
    maybe = sa.or_(table.ambiguous, table.status == IN_FLIGHT)
    ids = [one.id for one in found]
    session.execute(sa.update(deliveries).where(table.id.in_(ids)).values(values | {"ambiguous": maybe}))


def _leased(one: Delivery, token: str, until: datetime) -> Delivery:
    maybe = one.ambiguous or one.status is DeliveryStatus.SENDING
    held = replace(one, status=DeliveryStatus.SENDING, lease_token=token, lease_until=until, ambiguous=maybe)
    return replace(held, attempts=one.attempts + 1)


def _with_refs(session: Session, taken: list[Delivery]) -> tuple[Delivery, ...]:
    """Return the messages with what their channels returned for earlier ones of the incident; the latest counts."""
    table = deliveries.c
    has_ref = sa.and_(table.incident_id.in_({one.incident_id for one in taken}), table.ref.is_not(None))
    query = sa.select(table.incident_id, table.channel, table.ref).where(has_ref).order_by(table.seq)
    known: dict[tuple[str, str], dict[str, str]] = {}
    for incident_id, channel, ref in session.execute(query) if taken else ():
        known.setdefault((incident_id, channel), {}).update(ref)
    return tuple(replace(one, known_ref=known.get((one.incident_id, one.channel), {})) for one in taken)


def _failure(held: Delivery, failure: str, error: str, *, maybe: bool) -> dict[str, Any]:
    return {"failure": failure, "outcome": error[:LONGEST_ERROR], "ambiguous": held.ambiguous or maybe}


def _attempt(
    held: Delivery, result: str, *, now: datetime, started_at: datetime | None = None, detail: str = ""
) -> Attempt:
    worker = held.lease_token or ""
    return Attempt(held.id, held.attempts, worker, started_at, now, result, detail=detail[:LONGEST_ERROR])


def _unsent(session: Session, held: Delivery, values: dict[str, Any], *, now: datetime) -> bool:
    is_held = _finalize(session, held, values | {"attempts": held.attempts - 1})
    channel_states.abandon(session, held.channel, token=held.lease_token or "", now=now)
    return is_held


def _finalize(session: Session, held: Delivery, values: dict[str, Any], attempt: Attempt | None = None) -> bool:
    table = deliveries.c
    is_ours = sa.and_(table.id == held.id, table.lease_token == held.lease_token, table.status == IN_FLIGHT)
    free = {"lease_token": None, "lease_until": None}
    is_held = bool(session.connection().execute(sa.update(deliveries).where(is_ours).values(values | free)).rowcount)
    if is_held and attempt is not None:
        delivery_attempts.add(session, [attempt])
    return is_held
