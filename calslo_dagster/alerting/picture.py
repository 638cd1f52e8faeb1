"""All that a decision about alerts rests on, and all that it changes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from calslo_dagster.alerting.model import (
    Alert,
    Escalation,
    Event,
    Incident,
    Json,
    Order,
    Signal,
    Told,
)
from calslo_dagster.alerting.silences import Silence


@dataclass(frozen=True)
class Picture:
    """What is known at one instant.

    alerts, incidents: the open or else the last one of every fingerprint and group key that the signals name, and all
    open ones; judged: how many slices of an SLO and model can tell; endings: why a subject without a signal is well, by
    fingerprint; told: what each channel knows of each open incident; is_past: the instant passed while nothing ran, so
    that nobody could answer what was told at it.
    """

    now: datetime
    signals: Sequence[Signal] = ()
    alerts: Mapping[str, Alert] = field(default_factory=dict)
    incidents: Mapping[str, Incident] = field(default_factory=dict)
    escalations: Mapping[str, Escalation] = field(default_factory=dict)
    told: Mapping[str, Sequence[Told]] = field(default_factory=dict)
    silences: Sequence[Silence] = ()
    judged: Mapping[tuple[str, str], int] = field(default_factory=dict)
    endings: Mapping[str, str] = field(default_factory=dict)
    is_past: bool = False

    @cached_property
    def signal_of(self) -> dict[str, Signal]:
        """The signals by fingerprint."""
        return {signal.subject.fingerprint: signal for signal in self.signals}


@dataclass
class Change:
    """What becomes different: rows to write, audit events, and messages to order or to take back.

    steps: escalation steps taken, as (incident, round, step); superseded: the incidents whose waiting messages are no
    longer wanted, with the reason.
    """

    alerts: dict[str, Alert] = field(default_factory=dict)
    incidents: dict[str, Incident] = field(default_factory=dict)
    escalations: dict[str, Escalation] = field(default_factory=dict)
    steps: list[tuple[str, int, int]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    superseded: dict[str, str] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether nothing changes."""
        return not (self.alerts or self.incidents or self.escalations or self.events or self.orders)


@dataclass
class Draft:
    """A change in the making, seen on top of the picture that it starts from."""

    picture: Picture
    change: Change = field(default_factory=Change)
    actor: str = "calslo"
    source: str = "sensor"

    @property
    def now(self) -> datetime:
        """The instant of the decision."""
        return self.picture.now

    @property
    def alerts(self) -> dict[str, Alert]:
        """Every alert by fingerprint, as changed so far."""
        return {**self.picture.alerts, **self.change.alerts}

    def incident(self, group_key: str) -> Incident | None:
        """Return the open or last incident of a group, as changed so far."""
        return self.change.incidents.get(group_key) or self.picture.incidents.get(group_key)

    @property
    def incidents(self) -> list[Incident]:
        """Every incident, as changed so far."""
        return list({**self.picture.incidents, **self.change.incidents}.values())

    def escalation(self, incident_id: str) -> Escalation | None:
        """Return the escalation of an incident, as changed so far."""
        return self.change.escalations.get(incident_id) or self.picture.escalations.get(incident_id)

    def told(self, incident_id: str) -> Sequence[Told]:
        """Return what each channel knows of an incident, without what this change orders."""
        return self.picture.told.get(incident_id, ())

    def put_alert(self, alert: Alert) -> None:
        """Note the alert as changed."""
        self.change.alerts[alert.subject.fingerprint] = alert

    def put_incident(self, incident: Incident) -> None:
        """Note the incident as changed."""
        self.change.incidents[incident.group_key] = incident

    def put_escalation(self, escalation: Escalation) -> None:
        """Note the escalation as changed."""
        self.change.escalations[escalation.incident_id] = escalation

    def note(self, incident: Incident, kind: str, reason: str, payload: Json | None = None) -> None:
        """Write a line of the audit log."""
        event = Event(incident.id, kind, self.now, reason, self.actor, self.source, payload or {})
        self.change.events.append(event)

    def order(self, order: Order) -> None:
        """Order a message."""
        self.change.orders.append(order)
