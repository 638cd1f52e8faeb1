"""Notice that messages do not go out, and see to it that what they say is told elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from calslo_dagster.alerting.late import LATE, Wait, is_late
from calslo_dagster.alerting.model import Action, DeliveryStatus, Event
from calslo_dagster.alerting.rules import DELIVERY
from calslo_dagster.pipeline.claim_message import SOURCE
from calslo_dagster.pipeline.deliver_outbox import CANARY
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.redirect_pages import redirect_pages
from calslo_dagster.pipeline.renew_pages import NEWS as REFUSED
from calslo_dagster.pipeline.renew_pages import renew_pages
from calslo_dagster.pipeline.watch_ourselves import FOREVER
from calslo_dagster.slo.model import Severity
from calslo_dagster.store import alert_events, channel_states, deliveries, heartbeats, troubles
from calslo_dagster.store.deliveries import Delivery
from calslo_dagster.store.session import Lock
from calslo_dagster.store.troubles import Trouble

# A page that was given up is told elsewhere at the next look; what is older was before anybody looked.
NEWS: Final = timedelta(hours=1)
OUTBOX: Final = "outbox"
BEGAN: Final = f"{OUTBOX}:began"
# Looks that are further apart, where they were not before, are a standstill of ours, which no channel is to blame for.
GAP: Final = timedelta(minutes=2)
# Each note of a look is a write, and rounds follow each other within seconds.
_NOTED_EVERY: Final = timedelta(seconds=30)
_MATTERS: Final = frozenset({Action.TRIGGER, Action.RESOLVE})


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is to be done: about late and refused messages, those of channels that are gone, troubles that are over."""

    late: Sequence[Delivery]
    given_up: Sequence[Delivery]
    refused: Sequence[Delivery]
    gone: Sequence[str]
    over: Sequence[str]

    @property
    def is_quiet(self) -> bool:
        return not (self.late or self.given_up or self.refused or self.gone or self.over)


def watch_outbox(project: Project, *, now: datetime) -> tuple[str, ...]:
    """Raise an alert for each channel that is late with a page or its end; return those channels.

    It goes to the fall-back channels and ends with the next message that the channel takes, or when none is late any
    more. The pages that are late or were given up go there as well, and so do those of a channel that the settings do
    not name any more. A channel that works again is paged about what it refused and still goes on.
    """
    _note_look(project, now)
    with project.store.read() as session:
        seen = _seen(session, project, now)
    if seen.is_quiet:
        return ()
    late = sorted({one.channel for one in seen.late})
    with project.store.write(Lock.ALERTS) as session:
        troubles.clear(session, seen.over)
        for channel in late:
            troubles.put(session, _lateness(channel, [one for one in seen.late if one.channel == channel]))
        left = [one for name in seen.gone for one in _taken_back(session, name, now)]
        notes = [_note(one, now) for one in left]
        notes += redirect_pages(session, project, [*seen.late, *seen.given_up, *left], now)
        notes += renew_pages(session, project, seen.refused, now)
        # Last, since it holds the end of the chain until the transaction ends.
        alert_events.append(session, notes)
    return tuple(late)


def late_messages(session: Session, now: datetime) -> list[Delivery]:
    """Return the messages that should be out by now: tried in vain, of a channel that fails, or waiting for minutes.

    A message to nobody has no channel that it could wait for.
    """
    began = next((one.last_at for one in heartbeats.every(session) if one.component == BEGAN), None)
    failing = {state.name: state.is_failing(now) for state in channel_states.every(session)}
    found = []
    for one in deliveries.overdue(session, now=now, older_than=LATE):
        is_lost = one.lease_until is not None and one.lease_until < now
        has_failed = one.failure is not None or one.ambiguous or is_lost or one.channel == CANARY
        if is_late(Wait(one.due_at, has_failed, failing.get(one.channel, False)), since=began, now=now):
            found.append(one)
    return found


def _note_look(project: Project, now: datetime) -> None:
    """Note that somebody looks, and whether that is after a standstill: a pause unlike the one before it."""
    with project.store.read() as session:
        last = next((one for one in heartbeats.every(session) if one.component == OUTBOX), None)
    passed = now - last.last_at if last else _NOTED_EVERY
    if last is not None and passed < _NOTED_EVERY:
        return
    with project.store.write(Lock.ALERTS) as session:
        heartbeats.beat(session, OUTBOX, now=now, every=passed)
        if last is None or passed > max(GAP, 2 * last.every):
            heartbeats.beat(session, BEGAN, now=now, every=FOREVER)


def _seen(session: Session, project: Project, now: datetime) -> _Seen:
    gone = _gone(session, project)
    late = [one for one in late_messages(session, now) if one.action in _MATTERS and one.channel not in gone]
    return _Seen(
        late=late,
        given_up=[one for one in deliveries.dead_since(session, now - NEWS) if one.action is Action.TRIGGER],
        refused=deliveries.refused_before_mended(session, now - REFUSED),
        gone=gone,
        over=[*_over(session), *(troubles.delivery_to(name) for name in gone)],
    )


def _gone(session: Session, project: Project) -> list[str]:
    """Return the channels that messages or troubles are left of, though the settings do not name them."""
    about = [one.component for one in troubles.open_ones(session) if one.component.startswith(DELIVERY)]
    left = {*(one.channel for one in deliveries.backlog(session)), *(one.removeprefix(DELIVERY) for one in about)}
    return sorted(left - {*project.settings.channels.names, CANARY})


def _taken_back(session: Session, gone: str, now: datetime) -> tuple[Delivery, ...]:
    reason = f"there is no channel {gone} in the settings any more"
    return deliveries.withdraw(session, gone, reason=reason, now=now)


def _note(one: Delivery, now: datetime) -> Event:
    reason = f"{one.action} to {one.channel}: {one.outcome}"
    return Event(one.incident_id, "taken back", now, reason, source=SOURCE, payload={"by": "", "delivery": one.id})


def _lateness(channel: str, waiting: Sequence[Delivery]) -> Trouble:
    first = waiting[0]
    why = f": {first.outcome}" if first.outcome else ""
    told = (
        f"{channel} is late with {len(waiting)} messages, first with the {first.action} of incident "
        f"{first.incident_id} ({first.facts.slo}), due {first.due_at:%H:%M:%S} UTC{why}"
    )
    return Trouble(troubles.delivery_to(channel), Severity.CRITICAL, first.due_at, told, source_id=str(first.id))


def _over(session: Session) -> list[str]:
    """Return the troubles of channels that have nothing to send and were late with something that is not wanted now."""
    busy, found = {troubles.delivery_to(one.channel) for one in deliveries.backlog(session)}, []
    for trouble in troubles.open_ones(session):
        if trouble.component.startswith(DELIVERY) and trouble.component not in busy and trouble.source_id.isdecimal():
            message = deliveries.by_id(session, int(trouble.source_id))
            if message is not None and message.status in (DeliveryStatus.SENT, DeliveryStatus.SUPERSEDED):
                found.append(trouble.component)
    return found
