"""The nouns of alerting: signals, alerts, incidents, escalations, silences' subjects, and what is to be sent."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final

from calslo_dagster.slo.model import Severity as Severity  # noqa: PLC0414 - the nouns of alerting are found in one place

EVERYTHING: Final = "*"
Json = Mapping[str, Any]


class Kind(StrEnum):
    """What a message is about.

    A promise broken, one that cannot be judged any more, a budget that burns, ourselves, or a window that held others
    back.
    """

    BREACH = "breach"
    BLIND = "blind"
    BURN = "burn"
    PIPELINE = "pipeline"
    SILENCE = "silence"


class AlertState(StrEnum):
    """The life of one alert."""

    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"


class IncidentState(StrEnum):
    """The life of one incident; being silenced or muted is computed, never a state."""

    FIRING = "firing"
    ACKED = "acked"
    RESOLVED = "resolved"


class Action(StrEnum):
    """What a message does to the incident in the place that receives it."""

    TRIGGER = "trigger"
    UPDATE = "update"
    ACK = "ack"
    RESOLVE = "resolve"
    DIGEST = "digest"
    TEST = "test"


class EscalationState(StrEnum):
    """Whether an escalation still goes on, and if not, what stopped it."""

    RUNNING = "running"
    ACKED = "acked"
    RESOLVED = "resolved"
    EXHAUSTED = "exhausted"


@dataclass(frozen=True, slots=True)
class Subject:
    """What identifies an alert: `name` is an SLO's, or a component's of ours for kind pipeline."""

    kind: Kind
    name: str
    slice: str = EVERYTHING
    model: str = ""
    environment: str = ""

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the identity, 64 hex digits. The model is left out: a slice's alert outlives a new version."""
        return _digest(self.kind, self.name, self.slice, self.environment)

    @property
    def group_key(self) -> str:
        """The key of the group that it pages with: everything that identifies it but the slice."""
        return "|".join((self.kind, self.name, self.model, self.environment))

    def labels(self, severity: Severity | None = None, values: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return what silences, routes and mutes match: the identity, the severity and the slice's column values."""
        named = {
            "kind": str(self.kind),
            "slo": self.name,
            "slice": self.slice,
            "model": self.model,
            "environment": self.environment,
        }
        return {**(values or {}), **named, **({"severity": str(severity)} if severity else {})}


@dataclass(frozen=True, slots=True)
class Finding:
    """How bad it is: the estimate with its interval and number of events against its limit, in the SLO's unit.

    excess: how far past the limit, in limits; harm: excess times events, which ranks slices.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    events: int = 0
    limit: float | tuple[float, float] | None = None
    excess: float = 0.0
    reason: str = ""
    window_start: datetime | None = None
    window_end: datetime | None = None

    @property
    def harm(self) -> float:
        """Excess times events."""
        return self.excess * self.events


@dataclass(frozen=True, slots=True)
class Signal:
    """What is wrong right now; a subject without a signal is well.

    since: when it began; opened_at: when enough windows had shown it, None while they have not (pending);
    source_id: the breach, run or whatever it rests on.
    """

    subject: Subject
    severity: Severity
    since: datetime
    opened_at: datetime | None
    finding: Finding = field(default_factory=Finding)
    values: Mapping[str, str] = field(default_factory=dict)
    source_id: str = ""

    @property
    def labels(self) -> dict[str, str]:
        """The labels that matchers see."""
        return self.subject.labels(self.severity, self.values)


@dataclass(frozen=True, slots=True)
class Alert:
    """One episode of trouble of one subject."""

    id: str
    episode: int
    subject: Subject
    state: AlertState
    severity: Severity
    since: datetime
    seen_at: datetime
    finding: Finding
    values: Mapping[str, str] = field(default_factory=dict)
    source_id: str = ""
    incident_id: str | None = None
    fired_at: datetime | None = None
    resolved_at: datetime | None = None
    reason: str = ""

    @property
    def is_open(self) -> bool:
        """Whether it is pending or firing."""
        return self.state is not AlertState.RESOLVED

    @property
    def labels(self) -> dict[str, str]:
        """The labels that matchers see."""
        return self.subject.labels(self.severity, self.values)


@dataclass(frozen=True, slots=True)
class Incident:
    """The unit that pages: the alerts of one group while any of them fires.

    labels: what the group's alerts share; members: how many alerts fire; flaps: how often it came back soon after it
    had been well, flaps_since: since when it comes and goes; clear_since: since when no member fires while it waits to
    be resolved; acked_severity: how bad it was when somebody took it on.
    """

    id: str
    group_key: str
    episode: int
    labels: Mapping[str, str]
    state: IncidentState
    severity: Severity
    peak_severity: Severity
    opened_at: datetime
    members: int = 0
    flaps: int = 0
    acked_by: str | None = None
    acked_at: datetime | None = None
    ack_expires_at: datetime | None = None
    clear_since: datetime | None = None
    resolved_at: datetime | None = None
    resolved_by: str | None = None
    reason: str = ""
    next_repeat_at: datetime | None = None
    suppressed_by: str | None = None
    acked_severity: Severity | None = None
    flaps_since: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether it is firing or acknowledged."""
        return self.state is not IncidentState.RESOLVED

    @property
    def dedup_key(self) -> str:
        """The key under which receivers know this episode, at most 71 characters; severity is no part of it."""
        return f"calslo-{_digest(self.group_key, str(self.episode))}"


class Target(StrEnum):
    """What must still hold for an escalation step to be taken."""

    UNACKED = "unacked"
    FIRING = "firing"


@dataclass(frozen=True, slots=True)
class Step:
    """Wait, then notify these channels if the incident is still as told; `repeat` starts over so many times.

    Exactly one of `channels` and `repeat` is set. at_least: taken only for this severity or worse.
    """

    wait: timedelta = timedelta(0)
    channels: tuple[str, ...] = ()
    repeat: int = 0
    still: Target = Target.UNACKED
    at_least: Severity = Severity.INFO


@dataclass(frozen=True, slots=True)
class Policy:
    """The steps of an escalation, in order."""

    name: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Escalation:
    """Where the escalation of an incident stands; `policy` is the one of the time when it began or last got worse.

    round: 1 from the start, one more for each repetition, rise in severity or lost acknowledgement; step: the index of
    the next step; repeats: how often the policy has started over by itself; owed: the first step of the round for which
    it was not bad enough when it was due; pages: how often people have to be woken: at first, and for each rise and
    lost acknowledgement.
    """

    incident_id: str
    policy: Policy
    round: int = 1
    step: int = 0
    repeats: int = 0
    due_at: datetime | None = None
    state: EscalationState = EscalationState.RUNNING
    owed: int | None = None
    pages: int = 1


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the audit log, before it has its place in the chain.

    kind: opened, joined, left, raised, acked, unacked, notified, suppressed, muted, resolved, ...; actor: a person or
    a part of ours; reason says why, for every decision including those not to notify.
    """

    incident_id: str
    kind: str
    at: datetime
    reason: str
    actor: str = "calslo"
    source: str = "sensor"
    payload: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Order:
    """A message to be sent about an incident: `cause` is the same for the same decision, so that it is sent once."""

    incident_id: str
    channel: str
    action: Action
    cause: str
    reason: str
    not_before: datetime


class DeliveryStatus(StrEnum):
    """What became of a message."""

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    SUPERSEDED = "superseded"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Told:
    """What one channel has been told of one incident: sent: it knows; maybe: an attempt may have arrived."""

    channel: str
    sent: bool = False
    maybe: bool = False
    waiting: bool = False


def renewed(escalation: Escalation, *, due_at: datetime) -> Escalation:
    """Return the escalation started over in a new round."""
    again = replace(escalation, round=escalation.round + 1, step=0, owed=None)
    return replace(again, due_at=due_at, state=EscalationState.RUNNING)


def identity(*parts: str) -> str:
    """Return a short stable id of the parts, 16 hex digits."""
    return _digest(*parts)[:16]


# Each alert of a look is asked for its fingerprint some ten times.
@lru_cache(65_536)
def _digest(*parts: str) -> str:
    return sha256("\0".join(parts).encode()).hexdigest()
