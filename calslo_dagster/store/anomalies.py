"""Anomalies: spans of hours in which a slice was unlike its season, by the day that found them."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Session

from calslo_dagster.store import rows as stored
from calslo_dagster.store.schema import anomalies


class AnomalyKind(StrEnum):
    """What was unusual."""

    VOLUME = "volume"
    LABELS = "labels"
    SHAPE = "shape"
    CLAMPING = "clamping"
    LATENCY = "latency"


@dataclass(frozen=True, slots=True)
class Anomaly:
    """A span [starts_at, ends_at) of one slice; the numbers are those of its most unusual hour.

    value, expected, low, high: rows per hour, or a share, or the distance of histograms; day: the partition that found
    it, which for labels is the day on which they should have been there; score: see `stats.anomalies`.
    """

    day: date
    slice: str
    kind: AnomalyKind
    starts_at: datetime
    ends_at: datetime
    value: float
    expected: float
    low: float
    high: float
    score: float
    reason: str


def replace(session: Session, days: Collection[date], found: Iterable[Anomaly]) -> None:
    """Make these the anomalies that were found on these days."""
    found = list(found)
    if strays := [row for row in found if row.day not in days]:
        raise ValueError(f"{len(strays)} anomalies are of other days, first {strays[0].day}")
    session.execute(sa.delete(anomalies).where(anomalies.c.day.in_(list(days))))
    stored.insert(session, anomalies, stored.records(anomalies, found))


def between(session: Session, *, start: datetime, end: datetime, slice_name: str | None = None) -> tuple[Anomaly, ...]:
    """Return the anomalies, of one slice if it is named, that share an instant with [start, end), by start."""
    table = anomalies.c
    wanted = sa.select(anomalies).where(table.starts_at < end, table.ends_at > start)
    wanted = wanted if slice_name is None else wanted.where(table.slice == slice_name)
    ordered = wanted.order_by(table.starts_at, table.slice, table.kind)
    return stored.load(session, ordered, Anomaly, kind=AnomalyKind)


def prune(session: Session, before: datetime) -> int:
    """Delete the anomalies that ended earlier; return how many they were."""
    return session.connection().execute(sa.delete(anomalies).where(anomalies.c.ends_at < before)).rowcount
