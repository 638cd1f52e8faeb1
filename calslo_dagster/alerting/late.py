"""The last look before a message goes out: whether it is still wanted; and when one that waits is late."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from calslo_dagster.alerting.model import Action, Incident, IncidentState
from calslo_dagster.alerting.suppression import Suppression

# What wakes people, and so is held back while somebody has the incident or a silence covers it. An update is among it,
# since it opens an incident in PagerDuty where the page itself was lost.
PAGES: Final = frozenset({Action.TRIGGER, Action.UPDATE, Action.DIGEST})
# Which pages behind one that waits say all that it says and are given up no sooner, so that it need not go out too.
_STANDS_IN: Final[Mapping[Action, frozenset[Action]]] = {
    Action.TRIGGER: frozenset({Action.TRIGGER}),
    Action.UPDATE: frozenset({Action.TRIGGER, Action.UPDATE}),
    Action.DIGEST: PAGES,
}
# What its channel does not take for so long has missed a look of whoever sends, and is told elsewhere at the second.
LATE: Final = timedelta(seconds=15)
# What waits for its turn at a channel that takes others, as fast as its rate lets it, is late only after so long.
IN_TURN: Final = timedelta(minutes=3)


class Fate(StrEnum):
    """What becomes of a message that is about to go out."""

    SEND = "send"
    SUPERSEDE = "supersede"
    POSTPONE = "postpone"


@dataclass(frozen=True, slots=True)
class Ruling:
    """The fate of a message, and the reason for it; `by` is what suppresses it, as in `Suppression`."""

    fate: Fate
    reason: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A message that may go out: what it does, when it was ordered, and whether its channel was told before.

    newer: what the page does that waits behind it and stands in for it, if there is one.
    """

    action: Action
    ordered_at: datetime
    was_told: bool
    newer: Action | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """Why a message is not out: when it was to go, whether an attempt has failed, and whether its channel fails."""

    due_at: datetime
    has_failed: bool
    is_channel_failing: bool


def is_late(found: Wait, *, since: datetime | None, now: datetime) -> bool:
    """Whether the message is late, if messages have been looked after since then: before, it was our own standstill."""
    begin = max(found.due_at, since) if since else found.due_at
    return now - begin > (LATE if found.has_failed or found.is_channel_failing else IN_TURN)


def stand_in(action: Action, behind: Iterable[Action]) -> Action | None:
    """Return which of the pages that wait behind one that does this stands in for it; None if it is the only one."""
    return next((one for one in behind if one in _STANDS_IN.get(action, ())), None)


def ruling(found: Candidate, incident: Incident | None, suppression: Suppression | None) -> Ruling:
    """Return what becomes of the message, now that the incident is as it is.

    A resolve always goes to a channel that was told, or may have been; nothing holds it back.
    """
    if incident is None or found.action is Action.TEST:
        return Ruling(Fate.SEND)
    if found.action is Action.RESOLVE:
        return Ruling(Fate.SEND) if found.was_told else Ruling(Fate.SUPERSEDE, "the channel was never told of it")
    if not incident.is_open:
        return Ruling(Fate.SUPERSEDE, f"the incident is resolved: {incident.reason}")
    return _of_page(found, incident, suppression) if found.action in PAGES else Ruling(Fate.SEND)


def _of_page(found: Candidate, incident: Incident, suppression: Suppression | None) -> Ruling:
    if incident.state is IncidentState.ACKED and incident.acked_at and incident.acked_at >= found.ordered_at:
        return Ruling(Fate.SUPERSEDE, f"{incident.acked_by} has acknowledged")
    if found.newer is not None:
        return Ruling(Fate.SUPERSEDE, f"a newer {found.newer} waits behind it")
    if suppression is not None:
        return Ruling(Fate.POSTPONE, suppression.words, suppression.by)
    if incident.clear_since is not None:
        # There is nothing to be woken for, and no firing slice that a silence could match.
        return Ruling(Fate.POSTPONE, "all is well just now, and it is held open because it flaps")
    return Ruling(Fate.SEND)
