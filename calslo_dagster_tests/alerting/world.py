"""A small world for tests of the life of alerts: signals in, changes kept, messages delivered at once or not at all."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from calslo_dagster.alerting.lifecycle import advance
from calslo_dagster.alerting.matchers import Matcher
from calslo_dagster.alerting.model import (
    Action,
    Alert,
    Escalation,
    Event,
    Finding,
    Incident,
    Kind,
    Order,
    Policy,
    Severity,
    Signal,
    Step,
    Subject,
    Told,
)
from calslo_dagster.alerting.picture import Change, Draft, Picture
from calslo_dagster.alerting.rules import DEFAULT_POLICY, Mute, Rules
from calslo_dagster.alerting.silences import Silence

START = datetime(2026, 3, 2, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PAGE = Policy(
    DEFAULT_POLICY,
    (Step(channels=("slack",)), Step(wait=5 * MINUTE, channels=("pager",)), Step(wait=30 * MINUTE, repeat=1)),
)
RULES = Rules(
    policies={DEFAULT_POLICY: PAGE},
    repeat={Severity.CRITICAL: timedelta(hours=4), Severity.EMERGENCY: timedelta(hours=1)},
)


def a_signal(
    slice_name: str = "country=de",
    slo: str = "ece_bound",
    *,
    severity: Severity = Severity.CRITICAL,
    since: datetime = START,
    pending: bool = False,
    kind: Kind = Kind.BREACH,
    source_id: str = "b1",
) -> Signal:
    """Return a signal of one slice."""
    subject = Subject(kind, slo, slice_name, "fraud", "prod")
    opened = None if pending else since
    return Signal(subject, severity, since, opened, Finding(0.08, reason="ECE is high."), source_id=source_id)


def a_mute(source: str, target: str, *equal: str) -> Mute:
    """Return a mute between two SLOs."""
    return Mute("m", (Matcher.parse(f"slo={source}"),), (Matcher.parse(f"slo={target}"),), equal or ("model",))


@dataclass
class World:
    """What a store would keep; `deliver` says whether what is ordered arrives."""

    rules: Rules = RULES
    now: datetime = START
    deliver: bool = True
    judged: int = 100
    alerts: dict[str, Alert] = field(default_factory=dict)
    incidents: dict[str, Incident] = field(default_factory=dict)
    escalations: dict[str, Escalation] = field(default_factory=dict)
    orders: list[Order] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    told: dict[str, dict[str, Told]] = field(default_factory=dict)
    silences: list[Silence] = field(default_factory=list)
    steps: set[tuple[str, int, int]] = field(default_factory=set)

    def picture(self, signals: Iterable[Signal] = (), *, is_past: bool = False) -> Picture:
        """Return what is known now."""
        signals = tuple(signals)
        return Picture(
            now=self.now,
            signals=signals,
            alerts=dict(self.alerts),
            incidents=dict(self.incidents),
            escalations=dict(self.escalations),
            told={key: tuple(value.values()) for key, value in self.told.items()},
            silences=tuple(self.silences),
            judged={(one.subject.name, one.subject.model): self.judged for one in signals},
            is_past=is_past,
        )

    def see(self, *signals: Signal, after: timedelta = timedelta(0), is_past: bool = False) -> Change:
        """Let time pass, look at the signals, and keep what follows."""
        self.now += after
        change = advance(self.picture(signals, is_past=is_past), self.rules)
        self.keep(change)
        return change

    def draft(self, who: str = "ada") -> Draft:
        """Return a draft for what a person does."""
        return Draft(self.picture(), actor=who, source="cli")

    def keep(self, change: Change) -> None:
        """Write the change, and deliver what it orders if messages arrive."""
        self.alerts |= change.alerts
        self.incidents |= change.incidents
        self.escalations |= change.escalations
        self.events += change.events
        for step in change.steps:
            assert step not in self.steps, f"step {step} was taken twice"
            self.steps.add(step)
        self.orders += change.orders
        for order in change.orders:
            if self.deliver and order.action is not Action.RESOLVE:
                known = self.told.setdefault(order.incident_id, {})
                known[order.channel] = replace(known.get(order.channel, Told(order.channel)), sent=True)

    @property
    def incident(self) -> Incident:
        """The only incident."""
        (found,) = self.incidents.values()
        return found

    def sent(self, change: Change) -> list[tuple[str, Action]]:
        """Return what a change orders: the channel and what is done there."""
        return [(order.channel, order.action) for order in change.orders]

    def kinds(self) -> list[str]:
        """Return the kinds of all events, in order."""
        return [event.kind for event in self.events]
