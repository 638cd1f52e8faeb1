"""A world in which everything goes wrong that can: breaches, people, clocks, processes that die, networks that lose."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from calslo_dagster.alerting.escalation import wakes_at
from calslo_dagster.alerting.late import Candidate, Fate, Ruling, ruling, stand_in
from calslo_dagster.alerting.lifecycle import advance
from calslo_dagster.alerting.model import (
    Action,
    Alert,
    AlertState,
    DeliveryStatus,
    Escalation,
    Incident,
    IncidentState,
    Order,
    Signal,
)
from calslo_dagster.alerting.picture import Change, Draft, Picture
from calslo_dagster.alerting.responses import acknowledge, close, unacknowledge
from calslo_dagster.alerting.rules import Rules
from calslo_dagster.alerting.silences import Silence, active_span, covering
from calslo_dagster.alerting.suppression import Suppression, Suppressor, firing_members
from calslo_dagster_tests.alerting.model_ledger import (
    PAGES,
    Ledger,
    check_finished,
    check_pager,
    check_told,
    require,
)
from calslo_dagster_tests.alerting.model_outbox import LEASE, Held, Outbox, PagerDuty, Receiver, Row, knowing
from calslo_dagster_tests.alerting.model_truth import CHILD, PARENT, SUBJECTS, Truth
from calslo_dagster_tests.alerting.world import MINUTE, START

# As in `pipeline.deliver_outbox`, which is not imported for them: it brings the database along.
MARGIN: Final = timedelta(seconds=10)
SUPPRESSED: Final = timedelta(seconds=30)
# How long a message may linger on its way after it was sent: less than what is left until the echo of a resolve.
LINGERS: Final = timedelta(seconds=60)
CHANNELS: Final = ("slack", "pager", "lead")


class Death(StrEnum):
    """When the process that decides dies: not at all, before it has written, or before it knows that it has."""

    NONE = "none"
    BEFORE = "before"
    AFTER = "after"


class Luck(StrEnum):
    """What happens to an attempt to send: to the message, and to whoever sends it."""

    ARRIVES = "arrives"
    IS_REFUSED = "refused"
    IS_REJECTED = "rejected for good"
    ARRIVES_UNANSWERED = "arrives, but no answer comes"
    IS_LOST = "lost, and no answer comes"
    DIES_BEFORE = "the sender dies before"
    DIES_AFTER = "the sender dies after"
    LINGERS = "the sender dies, and it arrives a minute later"
    STALLS_BEFORE = "the sender stands still before"
    STALLS_AFTER = "the sender stands still after"


@dataclass
class ModelWorld:
    """Truth, store, outbox, dispatchers and receivers. The methods that are one line are there to be broken.

    stalled, speechless: messages whose sender stands still before or after it sent them; lingering: messages on their
    way, with their arrival; settled: what the last look rested on, and when time alone would change something.
    """

    rules: Rules
    now: datetime = START
    moment: int = 0
    truth: Truth = field(default_factory=Truth)
    silences: list[Silence] = field(default_factory=list)
    alerts: dict[str, Alert] = field(default_factory=dict)
    incidents: dict[str, Incident] = field(default_factory=dict)
    escalations: dict[str, Escalation] = field(default_factory=dict)
    outbox: Outbox = field(default_factory=Outbox)
    down: set[str] = field(default_factory=set)
    stalled: list[Held] = field(default_factory=list)
    speechless: list[Held] = field(default_factory=list)
    lingering: list[tuple[datetime, Row]] = field(default_factory=list)
    settled: tuple[object, datetime | None] | None = None
    ledger: Ledger = field(init=False)
    receivers: Mapping[str, Receiver] = field(init=False)
    pager: PagerDuty = field(default_factory=PagerDuty)

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.rules)
        self.receivers = {"slack": Receiver(), "pager": self.pager, "lead": Receiver()}

    def wait(self, span: timedelta) -> None:
        """Let time pass, in which messages that linger arrive."""
        self.now += span
        arrived = [row for at, row in self.lingering if at <= self.now]
        self.lingering = [(at, row) for at, row in self.lingering if at > self.now]
        for row in arrived:
            self._arrive(row, late=True)

    # Decisions, each one transaction.

    def look(self, *, dies: Death = Death.NONE, racing: Luck | None = None, is_past: bool = False) -> None:
        """Look at the signals and keep what follows, unless the process dies before it has written that."""
        signals = self.truth.signals()
        before = dict(self.alerts)

        def read() -> Picture:
            return replace(self._picture(signals), is_past=is_past)

        change = self._decided(read, lambda seen: advance(seen, self.rules), dies, racing)
        if change is None:
            return
        hasty = [one for one in change.orders if one.action in PAGES and one.cause != "1:0"]
        require("a standstill pages nobody again", not (is_past and hasty), hasty)
        basis = (signals, tuple(one.id for one in self.silences if active_span(one, self.now)))
        if self.settled and self.settled[0] == basis and not change.is_empty:
            require("time wakes when it said", self.settled[1] and self.settled[1] <= self.now, self.settled)
        again = advance(read(), self.rules)
        require("seeing the same again changes nothing", again.is_empty, again)
        wake = wakes_at(list(self.incidents.values()), self.escalations, self.rules, after=self.now)
        self.settled = None if is_past else (basis, wake)
        self._check_look(before, is_past=is_past)

    def acknowledge(self, incident: Incident, who: str, *, until: datetime | None, racing: Luck | None = None) -> None:
        """Let a person acknowledge."""
        self._respond(incident, who, lambda d: acknowledge(d, self.rules, incident, until=until), racing)

    def unacknowledge(self, incident: Incident, who: str, *, racing: Luck | None = None) -> None:
        """Let a person take the acknowledgement back."""
        self._respond(incident, who, lambda d: unacknowledge(d, incident), racing)

    def close(self, incident: Incident, who: str, *, racing: Luck | None = None) -> None:
        """Let a person resolve."""
        for alert in self._members(incident):
            self.truth.dismiss(alert.subject, alert.source_id, self.now)
        self._respond(incident, who, lambda d: close(d, self.rules, incident), racing)

    def _respond(self, incident: Incident, who: str, act: Callable[[Draft], str], racing: Luck | None) -> None:
        def read() -> Picture:
            return Picture(
                now=self.now,
                alerts={key: one for key, one in self.alerts.items() if one.incident_id == incident.id},
                incidents={incident.group_key: incident},
                escalations=self.escalations,
                told={incident.id: self.outbox.told(incident.id)},
            )

        def decide(picture: Picture) -> Change:
            draft = Draft(picture, actor=who, source="cli")
            act(draft)
            return draft.change

        self.settled = None
        self._decided(read, decide, Death.NONE, racing)

    def _decided(
        self, read: Callable[[], Picture], decide: Callable[[Picture], Change], dies: Death, racing: Luck | None
    ) -> Change | None:
        picture = read()
        change = decide(picture)
        if racing:
            # Claims wait for nobody, so that one may come between what is read and what is written.
            for channel in self.waiting:
                self.attempt(channel, racing)
        if dies is Death.BEFORE:
            return None
        for incident_id in change.superseded:
            self.outbox.supersede_waiting(incident_id)
        if self.is_outdated(picture, change):
            change = decide(read())
        self.keep(change)
        if dies is Death.AFTER:
            # Whoever comes next does not know either, and does no harm by ordering the same again.
            self.order(change.orders)
        return change

    def is_outdated(self, picture: Picture, change: Change) -> bool:
        """Whether more channels may know of an incident than when it was decided what to tell them."""
        return any(knowing(self.outbox.told(one)) != knowing(picture.told[one]) for one in change.superseded)

    def _picture(self, signals: Sequence[Signal]) -> Picture:
        # In the order in which the store yields them.
        alerts = sorted(self.alerts.items(), key=lambda item: (item[1].since, item[1].id))
        return Picture(
            now=self.now,
            signals=signals,
            alerts=dict(alerts),
            incidents=dict(self.incidents),
            escalations=dict(self.escalations),
            told={one.id: self.outbox.told(one.id) for one in self.incidents.values() if one.is_open},
            silences=tuple(self.silences),
            judged={(subject.name, subject.model): 100 for subject in SUBJECTS},
        )

    def keep(self, change: Change) -> None:
        """Write a change: all of it."""
        self.moment += 1
        self.ledger.write(change, self.moment, self.now)
        self.alerts |= change.alerts
        self.incidents |= change.incidents
        self.escalations |= change.escalations
        for order in change.orders:
            if order.action in PAGES:
                incident = self.ledger.incidents[order.incident_id]
                members = self._members(incident)
                require("no page while all is well", members, order)
                require("no page under a silence or a mute", not self._holding(incident, members), order)
        self.order(change.orders)

    def order(self, orders: Iterable[Order]) -> None:
        """Put messages in the outbox."""
        self.outbox.order(orders, self.dedup_key, now=self.now, moment=self.moment, page=self.page)

    def page(self, incident_id: str) -> int:
        """Return how often people have to be woken for the incident by now."""
        return self.escalations[incident_id].pages

    def dedup_key(self, incident_id: str) -> str:
        """Return the key under which receivers know the incident."""
        return self.ledger.incidents[incident_id].dedup_key

    # Dispatchers.

    def dispatch(self) -> None:
        """Send what is due until nothing is, with no bad luck but channels that are down."""
        self.outbox.expire(self.now)
        for channel in CHANNELS:
            luck = Luck.IS_REFUSED if channel in self.down else Luck.ARRIVES
            while self.attempt(channel, luck):
                pass

    @property
    def waiting(self) -> list[str]:
        """The channels to which messages are to go now, those of senders that are late included."""
        return sorted({row.order.channel for row in self.outbox.rows if self.outbox.is_claimable(row, self.now)})

    def attempt(self, channel: str, luck: Luck) -> int:
        """Claim the next message of the channel and try to send it if it is still wanted; return how many it was."""
        self.moment += 1
        taken = self.outbox.claim(channel, now=self.now)
        for held in [one for one in taken if self._is_wanted(one)]:
            self.send(held, luck)
        return len(taken)

    def send(self, held: Held, luck: Luck) -> None:
        """Try to send a message that was claimed."""
        if luck is Luck.STALLS_BEFORE:
            self.stalled.append(held)
        elif not self.has_time(held):
            self.outbox.give_back(held, DeliveryStatus.PENDING, not_before=self.now)
        # An end that is rejected for good leaves its incident open over there, which nothing here could mend.
        elif luck is Luck.IS_REFUSED or (luck is Luck.IS_REJECTED and held.row.order.action is Action.RESOLVE):
            self.outbox.retry(held, now=self.now, maybe=False)
        elif luck is Luck.IS_REJECTED:
            self.outbox.finish(held, DeliveryStatus.DEAD)
        elif luck is Luck.LINGERS:
            self.lingering.append((self.now + LINGERS, held.row))
        elif luck is Luck.IS_LOST:
            self.outbox.retry(held, now=self.now, maybe=True)
        elif luck is not Luck.DIES_BEFORE:
            self._arrive(held.row, late=False)
            self._answered(held, luck)

    def _answered(self, held: Held, luck: Luck) -> None:
        if luck is Luck.STALLS_AFTER:
            self.speechless.append(held)
        elif luck is Luck.ARRIVES_UNANSWERED:
            self.outbox.retry(held, now=self.now, maybe=True)
        elif luck is Luck.ARRIVES:
            self.outbox.finish(held, DeliveryStatus.SENT)

    def wake(self, luck: Luck) -> None:
        """Let all senders that stand still go on, with this luck."""
        stalled, self.stalled = self.stalled, []
        speechless, self.speechless = self.speechless, []
        for held in stalled:
            self.send(held, luck)
        for held in speechless:
            self._answered(held, luck)

    def has_time(self, held: Held) -> bool:
        """Whether enough of the lease is left to send the message."""
        return self.now - held.claimed_at <= LEASE - MARGIN

    def _is_wanted(self, held: Held) -> bool:
        """Look once more whether the message is wanted, as the dispatcher does."""
        order = held.row.order
        incident = self.ledger.incidents[order.incident_id]
        knows = any(one.channel == order.channel and (one.sent or one.maybe) for one in self.outbox.told(incident.id))
        standing = [one for one in self.alerts.values() if one.is_open]
        firing = firing_members(standing).get(incident.id, [])
        suppressor = Suppressor.of(self.rules, self.silences, standing, self.now)
        suppression = suppressor.of_incident(incident, firing) if firing else None
        newer = stand_in(order.action, self.outbox.behind(held.row, self.now))
        found = self.ruling(Candidate(order.action, held.row.ordered_at, knows, newer), incident, suppression)
        if found.fate is Fate.SUPERSEDE:
            self.outbox.give_back(held, DeliveryStatus.SUPERSEDED, not_before=self.now)
        elif found.fate is Fate.POSTPONE:
            require("nothing holds an end back", order.action is not Action.RESOLVE, order)
            self.outbox.give_back(held, DeliveryStatus.PENDING, not_before=self.now + SUPPRESSED)
        else:
            members = self._members(incident)
            self.ledger.goes_out(held.row, self.outbox, holding=self._holding(incident, members), members=members)
            is_newest = order.action not in PAGES or Action.TRIGGER not in self.outbox.behind(held.row, self.now)
            require("no page goes out that a newer one repeats", is_newest, order)
        return found.fate is Fate.SEND

    def ruling(self, found: Candidate, incident: Incident, suppression: Suppression | None) -> Ruling:
        """Return what becomes of a message that may go out."""
        return ruling(found, incident, suppression)

    def _arrive(self, row: Row, *, late: bool) -> None:
        self.ledger.arrives(row, self.outbox, self.receivers, late=late)

    # What must hold.

    def _members(self, incident: Incident) -> list[Alert]:
        return [a for a in self.alerts.values() if a.incident_id == incident.id and a.state is AlertState.FIRING]

    def _holding(self, incident: Incident, members: Iterable[Alert]) -> str:
        """Return what has to hold pages back: each firing member is silenced, or its parent fires."""
        parents = [a for a in self.alerts.values() if a.subject.name == PARENT and a.state is AlertState.FIRING]
        found = []
        for alert in members:
            labels = alert.labels | {"severity": str(incident.severity)}
            is_muted = bool(parents and self.rules.mutes) and alert.subject.name == CHILD
            silence = covering(labels, incident.severity, self.silences, self.now)
            found.append(PARENT if is_muted else silence.id if silence else "")
        return ", ".join(found) if all(found) else ""

    def _check_look(self, before: Mapping[str, Alert], *, is_past: bool) -> None:
        shown = self.truth.shown
        for subject in SUBJECTS:
            seen, key = shown.get(subject), subject.fingerprint
            alert = self.alerts.get(key)
            fires = alert is not None and alert.state is AlertState.FIRING
            if seen is None:
                require("what is well has no open alert", alert is None or not alert.is_open, alert)
            elif seen.opened_at and seen.source not in self.truth.dismissed:
                require("what is wrong fires", fires, seen)
            if subject in self.truth.unseen and key in before:
                is_same = alert is not None and alert.state is before[key].state
                require("what cannot be judged neither fires nor resolves", is_same, alert)
            if alert is not None and alert.state is AlertState.PENDING and key in before:
                require("what fires does not wait again", before[key].state is not AlertState.FIRING, alert)
            if alert is not None and fires:
                incident = self.incidents[subject.group_key]
                is_in = incident.is_open and alert.incident_id == incident.id
                require("what fires is in an open incident", is_in, alert)
        self.truth.unseen = frozenset(self.truth.hidden)
        for incident in self.incidents.values():
            if incident.is_open:
                members = self._members(incident)
                require("what is well ends", members or incident.clear_since, incident)
                self.ledger.saw(incident, members, self.now, dismissed=self.truth.dismissed.keys())
                is_told = incident.state is IncidentState.FIRING and members and not self._holding(incident, members)
                if is_told and not is_past:
                    self.ledger.goes_on(incident, self.now)

    def finish(self) -> None:
        """Let all faults end, then all silences, then all breaches, and check what everybody has been told."""
        self.down.clear()
        for subject in list(self.truth.hidden):
            self.truth.hide(subject)
        self._settle()
        self.silences = []
        self._settle()
        self.truth.troubles.clear()
        self._drain()
        self.wait(self.rules.flapping_clear)
        self._drain()
        self.wake(Luck.ARRIVES)
        self._drain()
        check_finished(self.ledger, self.outbox, self.receivers)
        check_pager(self.ledger, self.outbox, self.pager)

    def _settle(self) -> None:
        self._drain()
        check_pager(self.ledger, self.outbox, self.pager)
        for incident in self.incidents.values():
            members = self._members(incident)
            if incident.state is IncidentState.FIRING and members and not self._holding(incident, members):
                check_told(self.ledger, self.outbox, incident)

    def _drain(self) -> None:
        for _ in range(3):
            self.wait(11 * MINUTE)
            self.look()
            self.dispatch()
