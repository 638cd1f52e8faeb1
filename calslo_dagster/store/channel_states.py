"""What all dispatchers know of a channel: its circuit breaker, how fast it may be used, whether it asked for a pause.

Every decision is one conditional UPDATE or is made on a row that is locked, so that processes which see the same state
at the same time do not both act on it.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from calslo_dagster.alerting.breaker import Breaker, Phase, Terms
from calslo_dagster.alerting.rate import Rate
from calslo_dagster.store import rows as stored
from calslo_dagster.store.schema import channel_states

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_NEW: Final = {"phase": str(Phase.CLOSED), "failures": 0, "opens": 0, "every_us": 0, "burst": 1, "tat_us": 0}
_BREAKER: Final = tuple(field.name for field in fields(Breaker))


@dataclass(frozen=True, slots=True)
class ChannelState:
    """A channel as it is now.

    paused_until: until when it asked us to wait; next_at: when its next message would go, were all evenly spaced;
    ok_at, failed_at: its last success and failure; failure: the word of that failure.
    """

    name: str
    breaker: Breaker
    rate: Rate
    next_at: datetime
    paused_until: datetime | None = None
    ok_at: datetime | None = None
    failed_at: datetime | None = None
    failure: str | None = None

    def is_failing(self, now: datetime) -> bool:
        """Whether its last message failed, it rests, or it asked us to wait."""
        is_paused = self.paused_until is not None and self.paused_until > now
        return is_paused or self.breaker.phase is not Phase.CLOSED or self.breaker.failures > 0


def ensure(session: Session, names: Iterable[str]) -> None:
    """Make sure that there is a state for each of these channels; one that exists stays as it is."""
    stored.insert_new(session, channel_states, [{"name": name, **_NEW} for name in sorted(set(names))])


def set_rate(session: Session, name: str, rate: Rate) -> None:
    """Note how fast the channel may be used from now on."""
    ensure(session, [name])
    wanted = {"every_us": rate.every // _MICROSECOND, "burst": rate.burst}
    differs = sa.or_(*(channel_states.c[column] != value for column, value in wanted.items()))
    session.execute(sa.update(channel_states).where(channel_states.c.name == name, differs).values(wanted))


def every(session: Session) -> tuple[ChannelState, ...]:
    """Return the states of all channels, by name."""
    return tuple(_state(row) for row in session.execute(sa.select(channel_states).order_by(channel_states.c.name)))


def by_name(session: Session, name: str) -> ChannelState | None:
    """Return the state of the channel, None if nothing was ever sent there."""
    row = session.execute(sa.select(channel_states).where(channel_states.c.name == name)).first()
    return _state(row) if row else None


def lock_usable(
    session: Session, wanted: sa.ColumnElement[bool], *, now: datetime, exclude: Collection[str] = ()
) -> tuple[ChannelState, ...]:
    """Return the channels that may be used now and for which `wanted` holds, and keep others from using them.

    A channel that somebody else uses at this moment is left out: that one will see to it.
    """
    table = channel_states.c
    is_free = sa.or_(table.paused_until.is_(None), table.paused_until <= now)
    able = sa.and_(table.name.not_in(list(exclude)), is_free, sa.or_(table.phase == str(Phase.CLOSED), _may_probe(now)))
    found = sa.select(channel_states).where(able, wanted).order_by(table.name).with_for_update(skip_locked=True)
    return tuple(_state(row) for row in session.execute(found))


def probe(session: Session, name: str, *, token: str, now: datetime, hold: timedelta) -> bool:
    """Let the holder of the token try for all whether a channel that rested works again; False if it may not.

    Exactly one may at a time: who never says what came of it loses the right after `hold`.
    """
    half_open = {"phase": str(Phase.HALF_OPEN), "probe_token": token, "probe_until": now + hold}
    return _change(session, sa.and_(channel_states.c.name == name, _may_probe(now)), half_open)


def abandon(session: Session, name: str, *, token: str, now: datetime) -> None:
    """Let somebody else try for all at once, if the holder of the token was to and has found that it cannot."""
    is_holder = sa.and_(channel_states.c.name == name, channel_states.c.probe_token == token)
    _change(session, is_holder, {"probe_until": now})


def take(session: Session, name: str, *, now: datetime, count: int = 1) -> bool:
    """Use up the right to send so many messages now; False, and nothing is used, if the rate does not allow it."""
    table, now_us = channel_states.c, (now - _EPOCH) // _MICROSECOND
    start = sa.case((table.tat_us > now_us, table.tat_us), else_=sa.literal(now_us, sa.BigInteger()))
    last = start + (count - 1) * table.every_us
    allowed = sa.or_(table.every_us == 0, last <= now_us + table.every_us * (table.burst - 1))
    return _change(session, sa.and_(table.name == name, allowed), {"tat_us": last + table.every_us})


def pause(session: Session, name: str, *, until: datetime) -> None:
    """Send nothing to the channel before this instant; a longer pause that it has already stays."""
    longer = sa.or_(channel_states.c.paused_until.is_(None), channel_states.c.paused_until < until)
    _change(session, sa.and_(channel_states.c.name == name, longer), {"paused_until": until})


def wake(session: Session, name: str, *, now: datetime) -> None:
    """End the rest of a channel, so that the next message tries for all: a person says that it was mended."""
    rests = sa.and_(channel_states.c.name == name, channel_states.c.phase == str(Phase.OPEN))
    _change(session, sa.and_(rests, channel_states.c.open_until > now), {"open_until": now})


def succeeded(session: Session, name: str, *, now: datetime) -> None:
    """Note that the channel works, whoever found out: its breaker closes."""
    _change(session, channel_states.c.name == name, {**_columns(Breaker()), "ok_at": now})


def failed(session: Session, name: str, *, token: str, now: datetime, terms: Terms, failure: str = "") -> Breaker:
    """Count a failure by the holder of the token; return where the breaker stands now."""
    wanted = sa.select(channel_states).where(channel_states.c.name == name).with_for_update()
    breaker = _state(session.execute(wanted).one()).breaker.failed(terms, now=now, token=token)
    _change(session, channel_states.c.name == name, {**_columns(breaker), "failed_at": now, "failure": failure or None})
    return breaker


def _may_probe(now: datetime) -> sa.ColumnElement[bool]:
    table = channel_states.c
    rested = sa.and_(table.phase == str(Phase.OPEN), table.open_until <= now)
    abandoned = sa.and_(table.phase == str(Phase.HALF_OPEN), table.probe_until <= now)
    return sa.or_(rested, abandoned)


def _change(session: Session, where: sa.ColumnElement[bool], values: dict[str, Any]) -> bool:
    return bool(session.connection().execute(sa.update(channel_states).where(where).values(values)).rowcount)


def _columns(breaker: Breaker) -> dict[str, Any]:
    return {name: getattr(breaker, name) for name in _BREAKER} | {"phase": str(breaker.phase)}


def _state(row: sa.Row[Any]) -> ChannelState:
    return ChannelState(
        name=row.name,
        breaker=Breaker(**{**{name: row._mapping[name] for name in _BREAKER}, "phase": Phase(row.phase)}),
        rate=Rate(row.every_us * _MICROSECOND, row.burst),
        next_at=_EPOCH + row.tat_us * _MICROSECOND,
        paused_until=row.paused_until,
        ok_at=row.ok_at,
        failed_at=row.failed_at,
        failure=row.failure,
    )
