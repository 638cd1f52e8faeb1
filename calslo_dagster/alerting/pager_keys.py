"""Under which keys PagerDuty is told of an episode, so that it wakes people anew when they have to be, and only then.

A trigger whose key has an acknowledged incident over there wakes nobody. So what has to be told anew, because it got
worse or an acknowledgement was lost, is a new page with a key of its own, which takes the place of the one before: that
is resolved first, and an episode has one incident over there at any time. The same key again would not do: a message
that is sent twice must not page twice.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Final

from calslo_dagster.alerting.model import Action

# How many pages back a message may still be on its way, or be left open by one that nobody heard the end of.
MOST_OPEN: Final = 8
_MARK: Final = "."


class Event(StrEnum):
    """What PagerDuty is told, in its words."""

    TRIGGER = "trigger"
    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"


def key_of(dedup_key: str, page: int) -> str:
    """Return the key of a page, which is that of the episode for the first one."""
    return dedup_key if page == 1 else f"{dedup_key}{_MARK}{page}"


def without_page(key: str) -> str:
    """Return the key of the episode that a page is about."""
    return key.partition(_MARK)[0]


def events(action: Action, dedup_key: str, *, page: int, known: int) -> Iterator[tuple[Event, str]]:
    """Yield what to tell under which keys, in this order, for a message that was ordered while this was the page.

    known: the last page that was triggered for certain, 0 if none was. Later ones may have been, too. An update opens
    the incident where the page was lost; where it was not, the escalation pages anew when its step is due.
    """
    if action is Action.TRIGGER or (action is Action.UPDATE and not known):
        yield from ((Event.RESOLVE, key_of(dedup_key, one)) for one in _replaced(page, known))
        yield Event.TRIGGER, key_of(dedup_key, page)
    elif action is Action.ACK:
        yield from ((Event.ACKNOWLEDGE, key_of(dedup_key, one)) for one in (*_replaced(page, known), page))
    elif action is Action.RESOLVE:
        # From the first on: a message that lingers may have opened again what was replaced.
        yield from ((Event.RESOLVE, key_of(dedup_key, one)) for one in (*_replaced(page, 1), page))


def triggered(action: Action, *, page: int, known: int) -> int:
    """Return the last page that is triggered for certain once the message is sent."""
    return page if action is Action.TRIGGER else known or (page if action is Action.UPDATE else 0)


def _replaced(page: int, known: int) -> range:
    """Return the pages before this one that may be open."""
    return range(max(known, page - MOST_OPEN + 1, 1), page)
