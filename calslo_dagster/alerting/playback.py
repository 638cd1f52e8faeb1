"""Play what was wrong over a span by the alert rules, in memory: the incidents that would have opened, and been told.

It is the same decision as the one that is taken every minute, at each instant at which something turns or is due.
Nobody answers, and no silence holds anything back.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from calslo_dagster.alerting.escalation import wakes_at
from calslo_dagster.alerting.lifecycle import advance
from calslo_dagster.alerting.model import Action, Alert, Escalation, Incident, Severity, Signal
from calslo_dagster.alerting.picture import Change, Picture
from calslo_dagster.alerting.rules import Rules

Judged = Callable[[datetime], Mapping[tuple[str, str], int]]
_OPENED: Final = "opened"
_JOINED: Final = "joined"


@dataclass(frozen=True, slots=True)
class Spell:
    """Something that was wrong from one instant to another, None while it goes on."""

    signal: Signal
    start: datetime
    end: datetime | None


@dataclass(frozen=True, slots=True)
class Page:
    """An incident as it would have been.

    kind, slo, model: what it is about; slices: all that were ever part of it; severity: its worst; told_at: when
    somebody would first have been told, None for never; held: what held it back, empty if nothing did.
    """

    kind: str
    slo: str
    model: str
    slices: tuple[str, ...]
    severity: Severity
    opened_at: datetime
    told_at: datetime | None
    resolved_at: datetime | None
    held: str = ""

    @property
    def is_told(self) -> bool:
        """Whether anybody would have been told."""
        return self.told_at is not None


@dataclass
class _World:
    """All that is known so far."""

    alerts: dict[str, Alert] = field(default_factory=dict)
    incidents: dict[str, Incident] = field(default_factory=dict)
    escalations: dict[str, Escalation] = field(default_factory=dict)
    every: dict[str, Incident] = field(default_factory=dict)
    slices: dict[str, dict[str, None]] = field(default_factory=dict)
    told: dict[str, datetime] = field(default_factory=dict)
    held: dict[str, str] = field(default_factory=dict)

    def take(self, change: Change, now: datetime) -> None:
        """Make the change so."""
        self.alerts |= change.alerts
        self.incidents |= change.incidents
        self.escalations |= change.escalations
        self.every |= {one.id: one for one in change.incidents.values()}
        for event in change.events:
            if event.kind in (_OPENED, _JOINED):
                self.slices.setdefault(event.incident_id, {}).update(dict.fromkeys(event.payload["slices"]))
            if event.kind in ("muted", "silenced"):
                self.held[event.incident_id] = event.reason
        for order in change.orders:
            if order.action is Action.TRIGGER:
                self.told.setdefault(order.incident_id, now)

    def standing(self) -> list[Incident]:
        """Return the incidents that are open."""
        return [one for one in self.incidents.values() if one.is_open]


def play(spells: Iterable[Spell], rules: Rules, judged: Judged, *, until: datetime) -> tuple[Page, ...]:
    """Return the incidents that these spells would have become up to `until`, in the order of their beginning.

    judged: at an instant, how many slices of an SLO and model can tell.
    """
    # Reminders open nothing, and of a year they would be most of the work.
    rules, world = replace(rules, repeat={}), _World()
    for now, signals in _instants(sorted(spells, key=lambda spell: spell.start), world, rules, until):
        seen = Picture(
            now=now,
            signals=signals,
            alerts=world.alerts,
            incidents=world.incidents,
            escalations={one.id: world.escalations[one.id] for one in world.standing()},
            judged=judged(now),
        )
        world.take(advance(seen, rules), now)
    return tuple(_page(world, one) for one in sorted(world.every.values(), key=lambda one: (one.opened_at, one.id)))


def _instants(
    spells: Sequence[Spell], world: _World, rules: Rules, until: datetime
) -> Iterator[tuple[datetime, list[Signal]]]:
    """Yield each instant at which something turns, or was due by what was decided before, with what is wrong then."""
    turns = sorted({at for spell in spells for at in (spell.start, spell.end) if at is not None and at <= until})
    standing, taken, place = list[Spell](), 0, 0
    now = None
    while True:
        wake = wakes_at(world.standing(), world.escalations, rules, after=now) if now else None
        following = turns[place] if place < len(turns) else None
        dates = [date for date in (wake, following) if date is not None and date <= until]
        if not dates:
            return
        now = min(dates)
        place += now == following
        while taken < len(spells) and spells[taken].start <= now:
            standing.append(spells[taken])
            taken += 1
        standing = [spell for spell in standing if spell.end is None or spell.end > now]
        yield now, [spell.signal for spell in standing]


def _page(world: _World, incident: Incident) -> Page:
    told = world.told.get(incident.id)
    return Page(
        kind=incident.labels["kind"],
        slo=incident.labels["slo"],
        model=incident.labels["model"],
        slices=tuple(world.slices.get(incident.id, ())),
        severity=incident.peak_severity,
        opened_at=incident.opened_at,
        told_at=told,
        resolved_at=incident.resolved_at,
        held="" if told else world.held.get(incident.id, ""),
    )
