"""Agree that alerts are not told for a while, end that early, and see what it has held back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from sqlalchemy.orm import Session

from calslo_dagster.alerting.matchers import matches
from calslo_dagster.alerting.model import Alert, Event, Incident, Severity
from calslo_dagster.alerting.silences import Silence, SilenceError, Span, active_span, checked, next_span
from calslo_dagster.alerting.suppression import firing_members
from calslo_dagster.pipeline.check_matchers import doubtful, impossible
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.respond_to_alerts import require_fit
from calslo_dagster.store import alert_events, alerts, incidents, silences
from calslo_dagster.store.session import Lock

# The audit log speaks of a silence under this, where it speaks of an incident under its id.
ABOUT: Final = "silence:"
HELD_BACK: Final = frozenset({"silenced", "postponed"})


class Stage(StrEnum):
    """Where a silence is in its life."""

    ACTIVE = "active"
    WAITING = "waiting"
    ENDED = "ended"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Covered:
    """An open incident that a silence is about: how many of its firing slices, and whether emergencies pass."""

    incident: Incident
    slices: int
    of: int
    passes: bool = False

    @property
    def is_held(self) -> bool:
        """Whether nobody is told of the incident: not one of its slices is left."""
        return not self.passes and self.slices == self.of


@dataclass(frozen=True, slots=True)
class Held:
    """An incident that was not told because of a silence, and when that was decided."""

    incident_id: str
    slo: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Listed:
    """A silence as it stands: the span that holds now or comes next, and what it has held back so far."""

    silence: Silence
    stage: Stage
    span: Span | None
    held: tuple[Held, ...]


def add_silence(
    project: Project,
    draft: Silence,
    matchers: Sequence[str],
    *,
    now: datetime,
    source: str = "cli",
    is_forced: bool = False,
) -> tuple[Silence, tuple[Covered, ...]]:
    """Record the silence, with its number, and the open incidents that it covers now.

    It is on disk when this returns. SilenceError tells every mistake at once; values that no alert has had and a very
    long time are some too unless the silence is forced.
    """
    wanted = checked(draft, matchers)
    mistakes = impossible(project, wanted)
    if not is_forced:
        with project.store.read() as session:
            mistakes += doubtful(session, project, wanted)
    if mistakes:
        raise SilenceError("\n".join(mistakes))
    with project.store.write(Lock.ALERTS) as session:
        added = silences.add(session, wanted)
        found = _covered(session, added, now)
        shown = {"silence": added.to_json(), "incidents": [one.incident.id for one in found if one.is_held]}
        event = Event(f"{ABOUT}{added.id}", "silence added", now, added.reason, added.author, source, shown)
        alert_events.append(session, [event])
    return added, found


def expire_silence(
    project: Project, silence_id: str, *, by: str, now: datetime, source: str = "cli"
) -> tuple[Listed, bool]:
    """End the silence now; return it with what it has held back, and whether this was what ended it."""
    require_fit(silence=silence_id, author=by)
    with project.store.write(Lock.ALERTS) as session:
        known = silences.by_id(session, silence_id)
        if known is None:
            raise SilenceError(_unknown(session, silence_id, now))
        ended = silences.expire(session, silence_id, now=now, by=by)
        if ended != known:
            alert_events.append(
                session, [Event(f"{ABOUT}{ended.id}", "silence expired", now, f"ended by {by}", by, source)]
            )
        (listed,) = _listed(session, [ended], now)
    return listed, ended != known


def list_silences(project: Project, *, now: datetime, is_complete: bool = False) -> tuple[Listed, ...]:
    """Return the silences that hold or will, those that hold first; if complete, those that are over too."""
    with project.store.read() as session:
        found = _listed(session, silences.every(session), now)
    order = list(Stage)
    wanted = [one for one in found if is_complete or one.stage in (Stage.ACTIVE, Stage.WAITING)]
    return tuple(sorted(wanted, key=lambda one: (order.index(one.stage), one.span.start if one.span else now)))


def stage_of(silence: Silence, now: datetime) -> Stage:
    """Return where the silence is in its life."""
    if silence.expired_at is not None and silence.expired_at <= now:
        return Stage.EXPIRED
    if active_span(silence, now) is not None:
        return Stage.ACTIVE
    return Stage.WAITING if next_span(silence, now) is not None else Stage.ENDED


def _covered(session: Session, silence: Silence, now: datetime) -> tuple[Covered, ...]:
    if active_span(silence, now) is None:
        return ()
    members = firing_members(alerts.open_ones(session))
    found = [_cover(silence, one, members.get(one.id, [])) for one in incidents.open_ones(session)]
    return tuple(one for one in found if one.slices)


def _cover(silence: Silence, incident: Incident, firing: Sequence[Alert]) -> Covered:
    severity = {"severity": str(incident.severity)}
    slices = sum(matches(silence.matchers, alert.labels | severity) for alert in firing)
    passes = incident.severity is Severity.EMERGENCY and not silence.covers_emergency
    return Covered(incident, slices, len(firing), passes)


def _listed(session: Session, found: Sequence[Silence], now: datetime) -> list[Listed]:
    held = _held(session, found, now)
    return [
        Listed(one, stage_of(one, now), active_span(one, now) or next_span(one, now), tuple(held.get(one.id, ())))
        for one in found
    ]


def _held(session: Session, found: Sequence[Silence], now: datetime) -> Mapping[str, list[Held]]:
    """Return what each of the silences has held back, from the audit log."""
    if not found:
        return {}
    first = min(one.created_at for one in found)
    events = [
        logged.event
        for logged in alert_events.between(session, start=first, end=now + timedelta.resolution)
        if logged.event.kind in HELD_BACK
    ]
    about = incidents.by_ids(session, {event.incident_id for event in events})
    held: dict[str, dict[str, Held]] = {}
    for event in events:
        slo = about[event.incident_id].labels["slo"] if event.incident_id in about else ""
        # Counted once, however often it was due meanwhile.
        first_of = held.setdefault(str(event.payload["by"]), {})
        first_of.setdefault(event.incident_id, Held(event.incident_id, slo, event.at))
    return {by: list(found.values()) for by, found in held.items()}


def _unknown(session: Session, silence_id: str, now: datetime) -> str:
    known = (one.id for one in silences.every(session) if stage_of(one, now) in (Stage.ACTIVE, Stage.WAITING))
    return f"there is no silence {silence_id!r}; those that hold or will are: {', '.join(known) or 'none'}"
