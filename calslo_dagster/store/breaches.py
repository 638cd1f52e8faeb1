"""Breaches: episodes in which an SLO of one slice was not met, folded from its measurements."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.orm import Session

from calslo_dagster.slo.breach import Counts, Episode
from calslo_dagster.slo.model import Bound
from calslo_dagster.store import rows as stored
from calslo_dagster.store.schema import breaches


@dataclass(frozen=True, slots=True)
class Breach:
    """One breach, [onset, recovered_at); `threshold` is the limit that the worst window missed.

    opened_at, closed_at: ends of the windows that opened it and that completed its recovery; last_bad_at: end of the
    last breached window; peak_excess: how far past the limit the worst window was, in limits.
    """

    id: str
    slo: str
    slice: str
    model: str
    onset: datetime
    opened_at: datetime
    last_bad_at: datetime
    recovered_at: datetime | None
    closed_at: datetime | None
    peak_value: float | None
    peak_excess: float
    peak_at: datetime | None
    threshold: Bound | None
    windows_bad: int
    windows_met: int
    windows_unknown: int
    windows_excluded: int
    is_provisional: bool
    reason: str

    @classmethod
    def of(cls, episode: Episode, threshold: Bound | None) -> Self:
        """Return the breach of an episode that has opened."""
        if episode.opened_at is None:
            raise ValueError(f"{episode.slo} of {episode.slice}: the episode from {episode.onset} has not opened")
        return cls(
            id=episode.id,
            slo=episode.slo,
            slice=episode.slice,
            model=episode.model,
            onset=episode.onset,
            opened_at=episode.opened_at,
            last_bad_at=episode.last_bad,
            recovered_at=episode.recovery,
            closed_at=episode.closed_at,
            peak_value=episode.peak,
            peak_excess=episode.peak_excess,
            peak_at=episode.peak_at,
            threshold=threshold,
            windows_bad=episode.counts.breached,
            windows_met=episode.counts.met,
            windows_unknown=episode.counts.unknown,
            windows_excluded=episode.counts.excluded,
            is_provisional=episode.is_provisional,
            reason=episode.reason,
        )

    @property
    def episode(self) -> Episode:
        """The episode that the breach was made of."""
        counts = Counts(self.windows_bad, self.windows_met, self.windows_unknown, self.windows_excluded)
        return Episode(
            id=self.id,
            slo=self.slo,
            slice=self.slice,
            model=self.model,
            onset=self.onset,
            last_bad=self.last_bad_at,
            opened_at=self.opened_at,
            recovery=self.recovered_at,
            closed_at=self.closed_at,
            peak=self.peak_value,
            peak_excess=self.peak_excess,
            peak_at=self.peak_at,
            reason=self.reason,
            counts=counts,
            is_provisional=self.is_provisional,
        )

    @property
    def is_open(self) -> bool:
        """Whether the breach goes on."""
        return self.recovered_at is None


def replace_since(session: Session, slo: str, found: Iterable[Breach], *, since: datetime) -> None:
    """Make these the SLO's breaches that had not closed by `since`, the instant from which it was folded again.

    Breaches that closed earlier stay as they are; what the new fold no longer finds is gone.
    """
    gone = sa.or_(breaches.c.closed_at.is_(None), breaches.c.closed_at > since)
    session.execute(sa.delete(breaches).where(breaches.c.slo == slo, gone))
    stored.insert(session, breaches, [_record(row) for row in found])


def open_ones(session: Session, slo: str | None = None) -> tuple[Breach, ...]:
    """Return the breaches that go on, oldest onset first."""
    wanted = sa.select(breaches).where(breaches.c.recovered_at.is_(None))
    return _loaded(session, wanted.where(breaches.c.slo == slo) if slo else wanted)


def between(session: Session, *, start: datetime, end: datetime, slo: str | None = None) -> tuple[Breach, ...]:
    """Return the breaches that share an instant with [start, end), oldest onset first."""
    goes_on = sa.or_(breaches.c.recovered_at.is_(None), breaches.c.recovered_at > start)
    wanted = sa.select(breaches).where(breaches.c.onset < end, goes_on)
    return _loaded(session, wanted.where(breaches.c.slo == slo) if slo else wanted)


def as_of(session: Session, slo: str, now: datetime, *, horizon: timedelta) -> tuple[Breach, ...]:
    """Return the SLO's breaches that go on at `now`, oldest onset first.

    Those opened by a window that ends within `horizon` of `now` are among them; what closed at `now` is not.
    """
    return _loaded(session, sa.select(breaches).where(breaches.c.slo == slo, *_as_of(now, horizon)))


def count_as_of(session: Session, slos: Iterable[str], now: datetime, *, horizon: timedelta) -> int:
    """Return how many breaches of these SLOs `as_of` finds."""
    wanted = sa.select(sa.func.count()).where(breaches.c.slo.in_(list(slos)), *_as_of(now, horizon))
    return session.scalar(wanted) or 0


def _as_of(now: datetime, horizon: timedelta) -> tuple[sa.ColumnElement[bool], ...]:
    table = breaches.c
    return table.opened_at <= now + horizon, sa.or_(table.closed_at.is_(None), table.closed_at > now)


def turns(session: Session, *, after: datetime, until: datetime) -> tuple[datetime, ...]:
    """Return the instants in (after, until] at which a breach opened or closed, in order."""
    columns = (breaches.c.opened_at, breaches.c.closed_at)
    found = [sa.select(one.label("at")).where(one > after, one <= until) for one in columns]
    return tuple(session.scalars(sa.union(*found).order_by("at")))


def ids(session: Session) -> frozenset[str]:
    """Return the id of every breach that stands."""
    return frozenset(session.scalars(sa.select(breaches.c.id)))


def opened_since(session: Session, since: datetime) -> tuple[tuple[str, str], ...]:
    """Return the id and SLO of the breaches that opened at `since` or later."""
    wanted = sa.select(breaches.c.id, breaches.c.slo).where(breaches.c.opened_at >= since).order_by(breaches.c.id)
    return tuple((row.id, row.slo) for row in session.execute(wanted))


def stamp(session: Session) -> str:
    """Return what differs when a breach has opened, gone on, closed or been withdrawn."""
    table, last = breaches.c, sa.func.max
    wanted = (sa.func.count(), sa.func.count(table.closed_at), last(table.last_bad_at), last(table.closed_at))
    return str(tuple(session.execute(sa.select(*wanted).select_from(breaches)).one()))


def by_id(session: Session, breach_id: str) -> Breach | None:
    """Return the breach with this id, None if it never was or was withdrawn."""
    found = _loaded(session, sa.select(breaches).where(breaches.c.id == breach_id))
    return found[0] if found else None


def newest(session: Session, slo: str, slice_name: str | None = None) -> Breach | None:
    """Return the SLO's breach, of one slice if it is named, that began last; the worst of those; None without any."""
    table = breaches.c
    wanted = sa.select(breaches).where(table.slo == slo)
    wanted = wanted if slice_name is None else wanted.where(table.slice == slice_name)
    row = session.execute(wanted.order_by(table.onset.desc(), table.peak_excess.desc()).limit(1)).first()
    return _breach(dict(row._mapping)) if row else None


def beginning_with(session: Session, prefix: str) -> tuple[Breach, ...]:
    """Return the breaches whose ids begin so; none for an empty beginning."""
    wanted = sa.select(breaches).where(breaches.c.id.startswith(prefix, autoescape=True))
    return _loaded(session, wanted) if prefix else ()


def _record(row: Breach) -> dict[str, Any]:
    record = stored.records(breaches, [row])[0]
    record["threshold"], record["threshold_high"] = stored.ends(row.threshold)
    return record


def _loaded(session: Session, wanted: sa.Select[Any]) -> tuple[Breach, ...]:
    ordered = wanted.order_by(breaches.c.onset, breaches.c.slo, breaches.c.slice)
    return tuple(_breach(dict(row._mapping)) for row in session.execute(ordered))


def _breach(row: dict[str, Any]) -> Breach:
    row["threshold"] = stored.bound(row["threshold"], row.pop("threshold_high"))
    return Breach(**row)
