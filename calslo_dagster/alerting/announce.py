"""Decide which breach starts and ends have still to be announced."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Occasion(StrEnum):
    """What is announced about a breach."""

    STARTED = "started"
    ENDED = "ended"
    RETRACTED = "retracted"


@dataclass(frozen=True, slots=True)
class Breach:
    """What an announcement needs to know of a breach; times are UTC."""

    id: str
    slo: str
    slice: str
    model: str
    onset: datetime
    recovered_at: datetime | None
    peak_value: float | None
    threshold: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class Announcement:
    """One thing to tell, once: `key` is the same for the same occasion of the same breach."""

    key: str
    occasion: Occasion
    breach: Breach


def key_of(breach_id: str, occasion: Occasion) -> str:
    """Return the key under which this occasion is announced at most once."""
    return f"{breach_id}:{occasion}"


def due(breaches: Iterable[Breach], announced: Collection[str]) -> list[Announcement]:
    """Return what has to be announced now, starts before ends, oldest onset first.

    A breach that began and ended between two looks is announced twice: a page that came and went is still news.
    """
    out = []
    for breach in sorted(breaches, key=lambda b: (b.onset, b.slo, b.slice)):
        occasions = [Occasion.STARTED] if breach.recovered_at is None else [Occasion.STARTED, Occasion.ENDED]
        for occasion in occasions:
            key = key_of(breach.id, occasion)
            if key not in announced:
                out.append(Announcement(key, occasion, breach))
    return out


def retractions(started: Iterable[Breach], existing: Collection[str], announced: Collection[str]) -> list[Announcement]:
    """Return a retraction for each announced start whose breach later data has taken back.

    `started` are the breaches as they were announced; `existing` the ids of breaches that still stand.
    """
    gone = [breach for breach in started if breach.id not in existing]
    keyed = [Announcement(key_of(breach.id, Occasion.RETRACTED), Occasion.RETRACTED, breach) for breach in gone]
    closed = {breach.id for breach in gone if key_of(breach.id, Occasion.ENDED) in announced}
    return [one for one in keyed if one.key not in announced and one.breach.id not in closed]
