"""The outbox and its receivers in memory: row by row what the real ones do, without a database or a network."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from calslo_dagster.alerting.backoff import Backoff
from calslo_dagster.alerting.model import Action, DeliveryStatus, Order, Told
from calslo_dagster.alerting.pager_keys import Event, events, triggered

LEASE: Final = timedelta(seconds=30)
BACKOFF: Final = Backoff()
_UNFINISHED: Final = frozenset({DeliveryStatus.PENDING, DeliveryStatus.SENDING})
_TAKEN_BACK: Final = frozenset({Action.TRIGGER, Action.UPDATE, Action.ACK, Action.DIGEST})
_TELLS: Final = _TAKEN_BACK
_STALE: Final = {Action.UPDATE: timedelta(days=1), Action.DIGEST: timedelta(hours=4)}
Key = tuple[str, str, Action, str]


@dataclass(eq=False)
class Row:
    """One message.

    page: how often people have to be woken by now; known: the last page that its channel was told for certain before;
    uncertain: of how many attempts nobody knows whether they arrived; hushed: whether its incident was silenced or
    muted when somebody last set out to send it; confirmed: whether it is known to have arrived.
    """

    order: Order
    dedup_key: str
    seq: int
    ordered_at: datetime
    moment: int
    page: int = 1
    known: int = 0
    status: DeliveryStatus = DeliveryStatus.PENDING
    not_before: datetime = field(init=False)
    expires_at: datetime | None = field(init=False)
    attempts: int = 0
    ambiguous: bool = False
    token: int | None = None
    lease_until: datetime | None = None
    uncertain: int = 0
    hushed: bool = False
    confirmed: bool = False

    def __post_init__(self) -> None:
        self.not_before = self.order.not_before
        stale = _STALE.get(self.order.action)
        self.expires_at = self.not_before + stale if stale else None

    @property
    def key(self) -> Key:
        """What the receiver knows the message by: the decision behind it."""
        return self.order.incident_id, self.order.channel, self.order.action, self.order.cause

    @property
    def is_finished(self) -> bool:
        """Whether it is sent, superseded or dead."""
        return self.status not in _UNFINISHED

    def is_lost(self, now: datetime) -> bool:
        """Whether whoever sent it has not said in time what became of it."""
        return self.status is DeliveryStatus.SENDING and self.lease_until is not None and self.lease_until < now

    def doubt(self, maybe: bool) -> None:
        """Note whether the last attempt may have arrived."""
        self.ambiguous |= maybe
        self.uncertain += maybe


@dataclass(frozen=True)
class Held:
    """A message that a dispatcher may send: the row, the token of the lease, when it was claimed."""

    row: Row
    token: int
    claimed_at: datetime


@dataclass
class Outbox:
    """Messages, each after those of its incident and channel."""

    rows: list[Row] = field(default_factory=list)
    queues: dict[tuple[str, str], list[Row]] = field(default_factory=lambda: defaultdict(list))
    tokens: int = 0

    def order(
        self,
        orders: Iterable[Order],
        dedup_key: Callable[[str], str],
        *,
        now: datetime,
        moment: int,
        page: Callable[[str], int] = lambda _incident_id: 1,
    ) -> None:
        """Put the messages at the end of their queues, except those of a decision that was ordered before."""
        for order in orders:
            queue = self.queues[order.incident_id, order.channel]
            row = Row(order, dedup_key(order.incident_id), len(queue) + 1, now, moment, page(order.incident_id))
            if not self.is_known(row, queue):
                queue.append(row)
                self.rows.append(row)

    def is_known(self, row: Row, queue: Sequence[Row]) -> bool:
        """Whether the same decision is in the outbox."""
        return any(one.key == row.key for one in queue)

    def supersede_waiting(self, incident_id: str) -> None:
        """Take back what waits of the incident, except its resolves."""
        for row in self.of_incident(incident_id):
            if row.status is DeliveryStatus.PENDING and row.order.action in _TAKEN_BACK:
                row.status = DeliveryStatus.SUPERSEDED

    def of_incident(self, incident_id: str) -> Iterator[Row]:
        """Yield the messages of an incident."""
        return (row for row in self.rows if row.order.incident_id == incident_id)

    def expire(self, now: datetime) -> None:
        """Give up what it is too late for."""
        for row in self.rows:
            is_left = row.status is DeliveryStatus.PENDING or row.is_lost(now)
            if is_left and row.expires_at is not None and row.expires_at <= now:
                row.doubt(row.status is DeliveryStatus.SENDING)
                row.status, row.token = DeliveryStatus.DEAD, None

    def told(self, incident_id: str) -> tuple[Told, ...]:
        """Return what each channel knows of the incident."""
        found = []
        for (about, channel), queue in sorted(self.queues.items()):
            telling = [row for row in queue if row.order.action in _TELLS]
            if about == incident_id and telling:
                sent = any(row.status is DeliveryStatus.SENT for row in telling)
                maybe = any(row.ambiguous or row.status is DeliveryStatus.SENDING for row in telling)
                waiting = any(row.status is DeliveryStatus.PENDING for row in telling)
                found.append(Told(channel, sent, maybe, waiting))
        return tuple(found)

    def claim(self, channel: str, *, now: datetime, limit: int = 1) -> list[Held]:
        """Take what is due for the channel and at the head of its queue; what was lost comes back as ambiguous."""
        self.tokens += 1
        due = [row for row in self.rows if row.order.channel == channel and self.is_claimable(row, now)]
        taken = sorted(due, key=lambda row: row.not_before)[:limit]
        for row in taken:
            row.doubt(row.status is DeliveryStatus.SENDING)
            row.status, row.token, row.lease_until = DeliveryStatus.SENDING, self.tokens, now + LEASE
            row.attempts += 1
            row.known = self.known_page(row)
        return [Held(row, self.tokens, now) for row in taken]

    def known_page(self, row: Row) -> int:
        """Return the last page that the channel was told for certain before this message."""
        queue = self.queues[row.order.incident_id, row.order.channel][: row.seq - 1]
        sent = [one for one in queue if one.status is DeliveryStatus.SENT]
        return triggered(sent[-1].order.action, page=sent[-1].page, known=sent[-1].known) if sent else 0

    def is_claimable(self, row: Row, now: datetime) -> bool:
        """Whether somebody may try to send the message."""
        is_due = (row.status is DeliveryStatus.PENDING and row.not_before <= now) or row.is_lost(now)
        is_late = row.expires_at is not None and row.expires_at <= now
        return is_due and not is_late and not self.is_behind(row)

    def is_behind(self, row: Row) -> bool:
        """Whether an earlier message of the incident to this channel is not finished."""
        queue = self.queues[row.order.incident_id, row.order.channel]
        return any(not earlier.is_finished for earlier in queue[: row.seq - 1])

    def behind(self, row: Row, now: datetime) -> tuple[Action, ...]:
        """Return what the messages do that wait behind this one and may go now."""
        queue = self.queues[row.order.incident_id, row.order.channel][row.seq :]
        waiting = [one for one in queue if one.status is DeliveryStatus.PENDING and one.not_before <= now]
        return tuple(one.order.action for one in waiting if one.expires_at is None or one.expires_at > now)

    def is_ours(self, held: Held) -> bool:
        """Whether the lease is still the one under which the message was claimed."""
        return held.row.token == held.token and held.row.status is DeliveryStatus.SENDING

    def finish(self, held: Held, status: DeliveryStatus, *, not_before: datetime | None = None) -> bool:
        """Note what became of the message, or that it waits again; False if it is no longer ours."""
        if not self.is_ours(held):
            return False
        held.row.status, held.row.token = status, None
        held.row.confirmed |= status is DeliveryStatus.SENT
        held.row.not_before = not_before or held.row.not_before
        return True

    def give_back(self, held: Held, status: DeliveryStatus, *, not_before: datetime) -> None:
        """Note that the message was not tried after all."""
        if self.finish(held, status, not_before=not_before):
            held.row.attempts -= 1

    def retry(self, held: Held, *, now: datetime, maybe: bool) -> None:
        """Note that the attempt failed, or only `maybe`; the next one is later."""
        not_before = BACKOFF.next_try(now, failures=held.row.attempts)
        if self.finish(held, DeliveryStatus.PENDING, not_before=not_before):
            held.row.doubt(maybe)


@dataclass
class Receiver:
    """Whoever reads messages: every one that arrived, by incident, in the order of arrival."""

    heard: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    arrivals: Counter[Key] = field(default_factory=Counter)

    def take(self, row: Row) -> bool:
        """Take a message; return whether it pages somebody anew."""
        self.heard[row.order.incident_id].append(row)
        self.arrivals[row.key] += 1
        return row.order.action is Action.TRIGGER


@dataclass
class PagerDuty(Receiver):
    """Opens one incident per key; whatever finds none open is dropped, except what opens one.

    open: the keys of what is open; opened: how often each was.
    """

    open: set[str] = field(default_factory=set)
    opened: Counter[str] = field(default_factory=Counter)

    def take(self, row: Row) -> bool:
        """Take the events of a message; return whether they open an incident."""
        super().take(row)
        is_new = False
        for event, key in events(row.order.action, row.dedup_key, page=row.page, known=row.known):
            if event is Event.RESOLVE:
                self.open.discard(key)
            elif event is Event.TRIGGER and key not in self.open:
                self.open.add(key)
                self.opened[key] += 1
                is_new = True
        return is_new


def knowing(told: Iterable[Told]) -> set[tuple[str, bool, bool]]:
    """Return who has been told, or may have been."""
    return {(one.channel, one.sent, one.maybe) for one in told if one.sent or one.maybe}
