"""What must hold whatever happens, kept apart from the code that has to make it so."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime

from calslo_dagster.alerting.model import (
    Action,
    Alert,
    AlertState,
    DeliveryStatus,
    Event,
    Incident,
    IncidentState,
    Order,
    Policy,
    Severity,
    Target,
)
from calslo_dagster.alerting.pager_keys import without_page
from calslo_dagster.alerting.picture import Change
from calslo_dagster.alerting.rules import Rules
from calslo_dagster_tests.alerting.model_outbox import Outbox, PagerDuty, Receiver, Row

PAGES = frozenset({Action.TRIGGER, Action.DIGEST})
# What a message is on record as.
_ON_RECORD = {
    Action.TRIGGER: {"notified"},
    Action.DIGEST: {"repeated"},
    Action.RESOLVE: {"resolved"},
    Action.ACK: {"acked"},
    Action.UPDATE: {"unacked"},
}


class ViolationError(AssertionError):
    """Something that must always hold does not; `invariant` names it."""

    def __init__(self, invariant: str, detail: object) -> None:
        super().__init__(f"{invariant}: {detail}")
        self.invariant = invariant


def require(invariant: str, holds: object, detail: object = "") -> None:
    """Raise ViolationError unless it holds."""
    if not holds:
        raise ViolationError(invariant, detail)


@dataclass
class Ledger:
    """The history that the invariants are about, in moments: the number of the step at which something was decided.

    acked, held_at: when an incident was acknowledged last, and how bad it was then; policies: the one for how bad it
    was when it opened or last got worse; must_tell: since when somebody has to be told anew; told_at: when it was told
    last, or since then became as bad as it is; steps: the last step taken; too_mild: how bad it has to be for the steps
    of the round that were left out; opens: when incidents of a group were opened, back to the last one that a person
    resolved; late: how many messages came after their time; pages: how often people have to be woken by now; woken:
    for which of those PagerDuty has woken somebody; due: for which of them a message was ordered.
    """

    rules: Rules
    incidents: dict[str, Incident] = field(default_factory=dict)
    acked: dict[str, int] = field(default_factory=dict)
    held_at: dict[str, Severity] = field(default_factory=dict)
    policies: dict[str, Policy] = field(default_factory=dict)
    must_tell: dict[str, int] = field(default_factory=dict)
    told_at: dict[str, datetime] = field(default_factory=dict)
    steps: dict[str, tuple[int, int]] = field(default_factory=dict)
    too_mild: dict[str, set[Severity]] = field(default_factory=dict)
    opens: dict[str, list[datetime]] = field(default_factory=dict)
    late: Counter[str] = field(default_factory=Counter)
    pages: Counter[str] = field(default_factory=Counter)
    woken: set[tuple[str, int]] = field(default_factory=set)
    due: dict[tuple[str, str, Action, str], int] = field(default_factory=dict)

    def write(self, change: Change, moment: int, now: datetime) -> None:
        """Check a change against what is on record, and put it on record."""
        for incident in change.incidents.values():
            kinds = Counter(event.kind for event in change.events if event.incident_id == incident.id)
            self._write(incident, kinds, moment, now)
        for alert in change.alerts.values():
            _check_alert(alert, change.events, self.incidents)
        for escalation in change.escalations.values():
            if escalation.round > self.steps.get(escalation.incident_id, (0, 0))[0]:
                self.too_mild[escalation.incident_id] = set()
        for incident_id, round_, step in change.steps:
            require("each step once, in order", (round_, step) > self.steps.get(incident_id, (0, 0)), (round_, step))
            self.steps[incident_id] = round_, step
            least = change.escalations[incident_id].policy.steps[step].at_least
            if least.rank > self.incidents[incident_id].severity.rank:
                self.too_mild[incident_id].add(least)
        for order in change.orders:
            self._ordered(order, change.events)

    def _write(self, incident: Incident, kinds: Counter[str], moment: int, now: datetime) -> None:
        key, old = incident.id, self.incidents.get(incident.id)
        self.incidents[key] = incident
        if old is None:
            self._opened(incident, now)
        else:
            require("what is over stays over", old.is_open, key)
        if (
            kinds["notified"]
            or kinds["repeated"]
            or (key in self.told_at and old and old.severity != incident.severity)
        ):
            self.told_at[key] = now
        if old is None or _rises(old, incident) or _is_freed(old, incident):
            self.must_tell[key] = moment
            self.pages[key] += 1
        if old is None or incident.severity.rank > self._known(old).rank:
            self.policies[key], _ = self.rules.policy_for({**incident.labels, "severity": str(incident.severity)})
        if incident.acked_at is not None and (old is None or old.acked_at != incident.acked_at):
            self.acked[key], self.held_at[key] = moment, incident.severity
        _check_incident(old, incident, kinds)

    def _known(self, incident: Incident) -> Severity:
        """Return how bad whoever cares for the incident knows it to be."""
        return self.held_at[incident.id] if incident.state is IncidentState.ACKED else incident.peak_severity

    def _opened(self, incident: Incident, now: datetime) -> None:
        earlier = self.opens.setdefault(incident.group_key, [])
        others = [one for one in self.incidents.values() if one.group_key == incident.group_key and one is not incident]
        require("one open incident per group", not any(one.is_open for one in others), incident.group_key)
        last = max(others, key=lambda one: one.episode, default=None)
        if last is not None and last.resolved_by:
            earlier.clear()
        earlier.append(now)
        # The one that flaps is held open for as long as an earlier one would have counted.
        recent = [at for at in earlier if now - at <= self.rules.flapping_clear]
        require("what flaps is one incident", len(recent) <= self.rules.flapping_after + 1, (now, recent))

    def _ordered(self, order: Order, events: Iterable[Event]) -> None:
        incident = self.incidents[order.incident_id]
        self.due.setdefault((incident.id, order.channel, order.action, order.cause), self.pages[incident.id])
        kinds = {event.kind for event in events if event.incident_id == order.incident_id}
        require("every message is on record", kinds & _ON_RECORD[order.action], (order.action, kinds))
        require("nothing is ordered about what is over", incident.is_open or order.action is Action.RESOLVE, order)
        if incident.state is IncidentState.ACKED:
            steps = {step.still for policy in self.rules.policies.values() for step in policy.steps[self._step(order)]}
            is_meant = order.action is Action.TRIGGER and Target.FIRING in steps
            require("no page while somebody has it", order.action not in PAGES or is_meant, order)

    def _step(self, order: Order) -> slice:
        place = int(order.cause.partition(":")[2]) if order.action is Action.TRIGGER else 0
        return slice(place, place + 1)

    def goes_on(self, incident: Incident, now: datetime) -> None:
        """Check that an incident that somebody has to care for has been told lately, after a look at the signals."""
        repeat, told_at = self.rules.repeat.get(incident.severity), self.told_at.get(incident.id)
        is_told = repeat is None or told_at is None or now - told_at < repeat
        require("what goes on is told again", is_told, (incident.id, told_at, now))
        left_out = [least for least in self.too_mild.get(incident.id, ()) if least.rank <= incident.severity.rank]
        require("whoever was left out is told once it is bad enough", not left_out, (incident.id, left_out))

    def saw(self, incident: Incident, firing: Sequence[Alert], now: datetime, *, dismissed: Set[str]) -> None:
        """Check an open incident against its firing members, after a look at the signals."""
        worst = max((one.severity for one in firing), key=lambda one: one.rank, default=Severity.INFO)
        if incident.state is IncidentState.ACKED and firing:
            held_at = self.held_at[incident.id]
            require("getting worse ends an acknowledgement", worst.rank <= held_at.rank, (worst, held_at))
            is_held = incident.ack_expires_at is not None and now < incident.ack_expires_at
            require("an acknowledgement expires", is_held, incident)
        sources = {one.source_id for one in firing}
        require("what was resolved by hand stays so", not firing or sources - dismissed, sources)

    def goes_out(self, row: Row, outbox: Outbox, *, holding: str, members: Sequence[Alert]) -> None:
        """Check that a message is wanted at the moment at which somebody sets out to send it."""
        order, key = row.order, row.order.incident_id
        incident = self.incidents[key]
        require("what has arrived is not sent again", not row.confirmed, order)
        if order.action is Action.RESOLVE:
            queue = outbox.queues[key, order.channel]
            knows = any(one.uncertain or one.status is DeliveryStatus.SENT for one in queue[: row.seq - 1])
            require("an end is told to those who may know of it", knows, order)
            return
        require("nothing but the end is told of what is over", incident.is_open, order)
        if order.action in PAGES:
            is_older = incident.state is IncidentState.ACKED and row.moment <= self.acked[key]
            require("an acknowledgement takes pages back", not is_older, order)
        row.hushed = bool(holding)
        if order.action in PAGES:
            require("no page under a silence or a mute", not holding, (order, holding))
            require("no page while all is well", members, order)

    def arrives(self, row: Row, outbox: Outbox, receivers: Mapping[str, Receiver], *, late: bool) -> None:
        """Let a message arrive, and check what it does there."""
        order = row.order
        pages = receivers[order.channel].take(row)
        require("no page under a silence or a mute", not (pages and row.hushed), order)
        queue, receiver = outbox.queues[order.incident_id, order.channel], receivers[order.channel]
        if receiver.arrivals[row.key] == 1 and not late:
            ahead = [one.order.action for one in queue[: row.seq - 1] if not one.is_finished]
            require("messages arrive in their order", not ahead, (order, ahead))
        lost = sum(one.uncertain for one in queue if one.key == row.key)
        is_repeat = receiver.arrivals[row.key] > 1 + lost + late
        require("a message comes again only if it may have been lost", not is_repeat, order)
        if isinstance(receiver, PagerDuty):
            self._pages(row, receiver, late=late, pages=pages)

    def _pages(self, row: Row, pager: PagerDuty, *, late: bool, pages: bool) -> None:
        """Check that PagerDuty wakes people once each time that they have to be woken."""
        order, key = row.order, row.order.incident_id
        self.late[key] += late
        ours = [one for one in pager.opened if without_page(one) == row.dedup_key]
        once = sum(pager.opened[one] - 1 for one in ours) <= self.late[key]
        require("one PagerDuty incident per page", once, (order, pager.opened))
        is_one = len(pager.open.intersection(ours)) <= 1 + self.late[key]
        require("one PagerDuty incident per episode", is_one, (order, pager.open))
        if pages:
            self.woken.add((key, self.due[row.key]))
        is_woken = order.action is not Action.TRIGGER or late or (key, self.due[row.key]) in self.woken
        require("PagerDuty wakes whoever has to be woken anew", is_woken, order)


def _rises(old: Incident, new: Incident) -> bool:
    return new.peak_severity.rank > old.peak_severity.rank


def _is_freed(old: Incident, new: Incident) -> bool:
    return old.state is IncidentState.ACKED and new.state is IncidentState.FIRING


def _check_incident(old: Incident | None, new: Incident, kinds: Counter[str]) -> None:
    """Check that what has become different is on record, once, and nothing else is."""
    is_taken = new.acked_at is not None and (old is None or old.acked_at != new.acked_at)
    is_broken = old is not None and (_rises(old, new) or _is_freed(old, new))
    is_held = new.is_open and (old.suppressed_by if old else None) != new.suppressed_by
    found = {
        "opened": (kinds["opened"], old is None),
        "acked": (kinds["acked"], is_taken),
        "raised or unacked": (kinds["raised"] + kinds["unacked"], is_broken),
        "resolved": (kinds["resolved"], not new.is_open),
        "held back": (kinds["silenced"] + kinds["muted"] + kinds["unsuppressed"], is_held),
    }
    for what, (count, is_due) in found.items():
        require("every change is on record once", count == is_due, (what, kinds))


def _check_alert(alert: Alert, events: Iterable[Event], incidents: Mapping[str, Incident]) -> None:
    if alert.incident_id is None:
        return
    said = [e for e in events if e.incident_id == alert.incident_id and e.kind in ("opened", "joined", "left")]
    named = sum(alert.subject.fingerprint in event.payload["fingerprints"] for event in said)
    by_hand = bool(incidents[alert.incident_id].resolved_by)
    is_due = alert.state is AlertState.RESOLVED and not by_hand
    require("every change is on record once", named <= 1 and (named == 1 or not is_due), (alert, said))


def check_told(ledger: Ledger, outbox: Outbox, incident: Incident) -> None:
    """Check that those who are to be told of an incident first have been told, or could not be."""
    for channel in ledger.policies[incident.id].steps[0].channels:
        pages = [row for row in outbox.queues[incident.id, channel] if row.order.action is Action.TRIGGER]
        new = [row.status for row in pages if row.moment >= ledger.must_tell[incident.id]]
        is_told = set(new) & {DeliveryStatus.SENT, DeliveryStatus.DEAD}
        require("whoever is to be told is told in the end", is_told, (incident.id, channel, new))


def check_pager(ledger: Ledger, outbox: Outbox, pager: PagerDuty) -> None:
    """Check that PagerDuty shows what is open and was told, and nothing else."""
    standing = {one.id for one in ledger.incidents.values() if one.is_open}
    keys = {row.dedup_key for row in outbox.rows if row.order.incident_id in standing}
    shown = {without_page(key) for key in pager.open}
    require("PagerDuty shows nothing that is over", shown <= keys, shown - keys)
    for row in outbox.rows:
        if row.order.channel == "pager" and row.order.action is Action.TRIGGER and row.status is DeliveryStatus.SENT:
            is_shown = row.dedup_key in shown or row.order.incident_id not in standing
            require("PagerDuty shows all that is open and was told", is_shown, row.order)


def check_finished(ledger: Ledger, outbox: Outbox, receivers: Mapping[str, Receiver]) -> None:
    """Check that nothing is left to do once all is over."""
    left = [one.id for one in ledger.incidents.values() if one.is_open]
    require("what is well ends", not left, left)
    waiting = [row.order for row in outbox.rows if not row.is_finished]
    require("every message is sent, superseded or dead", not waiting, waiting)
    for channel, receiver in receivers.items():
        for key, heard in receiver.heard.items():
            last = heard[-1].order.action
            require("whoever was told is told of the end", last is Action.RESOLVE, (channel, key, last))
