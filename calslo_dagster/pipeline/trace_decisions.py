"""Trace what was decided about an incident up to an instant, in words, from the audit log and the outbox."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from calslo_dagster.alerting.model import Action, Alert, DeliveryStatus, Event
from calslo_dagster.alerting.readings import place
from calslo_dagster.alerting.silences import Silence, covering
from calslo_dagster.pipeline.describe_incident import Record
from calslo_dagster.store.deliveries import Delivery
from calslo_dagster.store.delivery_attempts import OK

_MEMBERSHIP: Final = ("opened", "joined", "left")
_HOLDS: Final = ("silenced", "muted")
_COURSE: Final = ("raised", "flapping", "clearing", "came back", "resolved")
_ANSWERS: Final = ("acked", "unacked")
_STEPS: Final = ("notified", "step not taken", "repeated", "escalation ended", "not notified")


class Topic(StrEnum):
    """The links of the chain from what was measured to what was told."""

    SEEN = "seen"
    RULE = "rule"
    INCIDENT = "incident"
    HELD = "held back"
    ANSWERED = "answered"
    TOLD = "told"
    NEXT = "next"


@dataclass(frozen=True, slots=True)
class Reason:
    """One link of the chain, with when it came about if that is one instant."""

    topic: Topic
    words: str
    at: datetime | None = None


@dataclass(frozen=True)
class Trace:
    """What had been decided about an incident by an instant, as far as one slice is concerned, or all of them."""

    record: Record
    at: datetime
    slice: str | None = None
    silences: Sequence[Silence] = ()

    def reasons(self) -> list[Reason]:
        """Return every link in order, those of each topic by time."""
        return [*self._rule(), *self._course(), *self._held(), *self._answered(), *self._told()]

    def conclusion(self) -> str:
        """Return in a sentence or two who had been told, or why nobody had."""
        record = self.record
        over = self._last("resolved")
        if over is not None:
            return self._end(over)
        arrived = [one for one in self._messages(Action.TRIGGER) if _has_arrived(one, self.at)]
        told = f"{_channels(arrived)} had been told at {second(_ended(arrived[0]))}" if arrived else ""
        hold, ack = self._hold(), self._last(*_ANSWERS)
        if hold:
            return f"{told}; nobody was told any more: {hold}." if told else f"Nobody was told: {hold}."
        if ack is not None and ack.kind == "acked":
            return (
                f"{told or 'Nobody had been told'}; no further page, since {ack.actor} has acknowledged {ack.reason}."
            )
        if told:
            return f"{told}. It is one incident until it ends, so nothing was sent twice ({record.incident.id})."
        return self._not_yet()

    def members(self) -> frozenset[str]:
        """Return the slices that fired at the instant."""
        found = set[str]()
        for event in self._events(*_MEMBERSHIP):
            slices = event.payload.get("slices", ())
            found = found - set(slices) if event.kind == "left" else found | set(slices)
        return frozenset(found)

    def _end(self, over: Event) -> str:
        ends = [one for one in self._messages(Action.RESOLVE) if _has_arrived(one, self.at)]
        return f"It is over since {second(over.at)}: {over.reason}. {self._told_of_end(ends)}."

    def _told_of_end(self, ends: Sequence[Delivery]) -> str:
        waiting = [one for one in self._messages(Action.RESOLVE) if one not in ends]
        parts = [f"Told so: {_channels(ends)}"] if ends else []
        parts += [f"Not told so yet: {_channels(waiting)}"] if waiting and not ends else []
        return "; ".join(parts) or "Nobody had been told of it, so nobody was told of its end"

    def _not_yet(self) -> str:
        waiting = [one for one in self._messages(Action.TRIGGER) if one.status is not DeliveryStatus.SUPERSEDED]
        if waiting:
            return f"Nobody had been told yet: {'; '.join(self._fate(one) for one in waiting)}."
        refused = self._last("step not taken")
        if refused is not None:
            return f"Nobody was told: {refused.reason}."
        began = self._last("escalation began")
        due = began.payload.get("due_at") if began else None
        return (
            f"Nobody had been told yet: the first step was due at {second(datetime.fromisoformat(due))}."
            if due
            else ("Nobody had been told yet: no step had been taken.")
        )

    def _rule(self) -> Iterator[Reason]:
        for event in self._events("escalation began"):
            due = datetime.fromisoformat(event.payload["due_at"])
            yield Reason(Topic.RULE, f"{event.reason}; its first step was due at {second(due)}", event.at)

    def _course(self) -> Iterator[Reason]:
        for event in self._events(*_MEMBERSHIP, *_COURSE):
            slices = event.payload.get("slices", ())
            if event.kind in ("joined", "left") and self.slice and self.slice not in slices:
                continue
            yield Reason(Topic.INCIDENT, f"{event.kind}: {event.reason}{self._same(event)}", event.at)

    def _same(self, event: Event) -> str:
        """Return why a slice that came later was no new page."""
        opened = self._last("opened")
        if event.kind != "joined" or opened is None:
            return ""
        named = ", ".join(place(name) for name in event.payload.get("slices", ())[:3])
        return f" ({named}); it pages with the incident that opened at {second(opened.at)}, not anew"

    def _held(self) -> Iterator[Reason]:
        for event in self._events(*_HOLDS, "unsuppressed", "postponed", "taken back"):
            yield Reason(Topic.HELD, f"{event.kind}: {event.reason}", event.at)
        covers = self._silence()
        if covers and self._last(*_HOLDS, "unsuppressed") is None:
            words = f"silence {covers.id} by {covers.author} covered it ({covers.reason}); nothing was due meanwhile"
            yield Reason(Topic.HELD, words, covers.created_at)

    def _answered(self) -> Iterator[Reason]:
        for event in self._events(*_ANSWERS):
            who = f" by {event.actor} ({event.source})" if event.kind == "acked" else ""
            yield Reason(Topic.ANSWERED, f"{event.kind}{who}: {event.reason}", event.at)

    def _told(self) -> Iterator[Reason]:
        steps = [(e.at, 0, Reason(Topic.TOLD, f"{e.kind}: {e.reason}", e.at)) for e in self._events(*_STEPS)]
        sent = [(d.ordered_at, d.id, Reason(Topic.TOLD, self._fate(d), d.ordered_at)) for d in self._messages()]
        yield from (reason for _, _, reason in sorted(steps + sent, key=lambda one: one[:2]))

    def _fate(self, one: Delivery) -> str:
        """Return what had become of a message by then, and of one that waited, what became of it later."""
        named = f"{one.action} to {one.channel}"
        if one.ended_at is not None and one.ended_at <= self.at:
            return f"{named}: {_outcome(one)}"
        tried = [a for a in self.record.attempts.get(one.id, ()) if a.ended_at <= self.at and a.result != OK]
        failed = f" after {len(tried)} attempts, the last {tried[-1].result}: {tried[-1].detail}" if tried else ""
        held = f" ({one.outcome})" if one.outcome and not tried and one.ended_at is None else ""
        later = f"; later: {_outcome(one)}" if one.ended_at is not None else ""
        return f"{named}: not sent yet{failed}{held}{later}"

    def _hold(self) -> str:
        """Return what kept people from being told at the instant, empty if nothing did."""
        event = self._last(*_HOLDS, "unsuppressed")
        if event is not None and event.kind in _HOLDS:
            return event.reason.removeprefix("not told: ")
        covers = self._silence()
        return f"silence {covers.id} by {covers.author}: {covers.reason}" if covers else ""

    def _silence(self) -> Silence | None:
        """Return a silence that covers every slice that fired at the instant."""
        severity = self.record.incident.severity
        firing = [one for one in self.record.members if one.subject.slice in self.members()]
        found = [self._covering(one, str(severity)) for one in firing]
        return found[0] if found and all(found) else None

    def _covering(self, alert: Alert, severity: str) -> Silence | None:
        labels = alert.labels | {"severity": severity}
        return covering(labels, self.record.incident.severity, self.silences, self.at)

    def _messages(self, action: Action | None = None) -> list[Delivery]:
        return [d for d in self.record.deliveries if d.ordered_at <= self.at and action in (None, d.action)]

    def _events(self, *kinds: str) -> list[Event]:
        return [one.event for one in self.record.events if one.event.kind in kinds and one.event.at <= self.at]

    def _last(self, *kinds: str) -> Event | None:
        return next(reversed(self._events(*kinds)), None)


def second(instant: datetime) -> str:
    """Return an instant to the second."""
    return f"{instant:%Y-%m-%d %H:%M:%S} UTC"


def _outcome(one: Delivery) -> str:
    when, times = second(_ended(one)), f", attempt {one.attempts}" if one.attempts > 1 else ""
    match one.status:
        case DeliveryStatus.SENT:
            return f"arrived at {when}{times}" + (f" ({one.outcome})" if one.outcome else "")
        case DeliveryStatus.SUPERSEDED:
            return f"taken back at {when}: {one.outcome}"
        case _:
            return f"given up at {when}: {one.failure or ''} {one.outcome or ''}".rstrip()


def _has_arrived(one: Delivery, at: datetime) -> bool:
    return one.status is DeliveryStatus.SENT and _ended(one) <= at


def _ended(one: Delivery) -> datetime:
    return one.ended_at or one.ordered_at


def _channels(found: Sequence[Delivery]) -> str:
    return ", ".join(dict.fromkeys(one.channel for one in found))
