"""Bring alerts and incidents up to date with what is wrong, and order the messages that follow from it."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from sqlalchemy.orm import Session

from calslo_dagster.alerting.escalation import wakes_at
from calslo_dagster.alerting.lifecycle import advance
from calslo_dagster.alerting.model import Action, Alert, Escalation, Incident, Kind, Order
from calslo_dagster.alerting.picture import Change, Picture
from calslo_dagster.alerting.rules import Rules
from calslo_dagster.pipeline.gather_facts import FactBook
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.read_signals import Scene, read_signals
from calslo_dagster.store import (
    alert_events,
    alerts,
    breaches,
    deliveries,
    escalations,
    heartbeats,
    incidents,
    silences,
)
from calslo_dagster.store.deliveries import NewDelivery
from calslo_dagster.store.session import Lock

LOOKED: Final = "alerts"
EVERY: Final = timedelta(minutes=1)
# What happened longer ago was found by backfilling history; that is a report, not news.
NEWS: Final = timedelta(days=7)
# Words about an incident that are of no use a day later; a page and its end are worth sending whenever they can be.
STALE: Final = {Action.UPDATE: timedelta(days=1), Action.DIGEST: timedelta(hours=4)}
_TAKEN_BACK: Final = frozenset({Action.TRIGGER, Action.UPDATE, Action.ACK, Action.DIGEST})


class View(StrEnum):
    """How an instant is looked at: as it is, as one that passed while nothing ran, or as part of a played history."""

    LIVE = "live"
    PAST = "past"
    PLAYED = "played"


def advance_alerts(project: Project, *, now: datetime) -> int:
    """Follow what happened up to `now`; return how many messages were ordered.

    After a standstill every instant is gone through at which a breach opened or closed or a step was due, so that
    incidents have the times at which they would have been seen. Their escalations go on from `now`, since nobody could
    have answered.
    """
    return sum(ordered for _, ordered in follow(project, now=now))


def follow(project: Project, *, now: datetime, since: datetime | None = None) -> Iterator[tuple[datetime, int]]:
    """Go through what happened up to `now`, yielding each instant with the number of messages ordered at it.

    Where nobody has ever looked, it begins at `since`, or at `now` without one; a history that is played from there is
    told as it would have been.
    """
    rules = project.settings.alert_rules()
    before = View.PAST if since is None else View.PLAYED
    for at in _moments(project, rules, since, now):
        yield at, _look(project, rules, at, View.LIVE if at == now else before)


def _moments(project: Project, rules: Rules, since: datetime | None, now: datetime) -> Iterator[datetime]:
    with project.store.read() as session:
        beats = {beat.component: beat.last_at for beat in heartbeats.every(session)}
    seen = beats.get(LOOKED)
    at = max(seen, now - NEWS) if seen else since
    if at is None or now - at <= project.settings.evaluation_step:
        yield now
        return
    while at < now:
        at = min(_next(project, rules, at, now), now)
        yield at


def _next(project: Project, rules: Rules, after: datetime, until: datetime) -> datetime:
    """Return the next instant at which something turned or was due."""
    with project.store.read() as session:
        turns = breaches.turns(session, after=after, until=until)
        standing = incidents.open_ones(session)
        wake = wakes_at(standing, escalations.of(session, [one.id for one in standing]), rules, after=after)
    return min([*turns[:1], *([wake] if wake else [])], default=until)


def _look(project: Project, rules: Rules, now: datetime, view: View) -> int:
    with project.store.read() as session:
        is_quiet = _is_quiet(session, project, rules, now, view=view)
    with project.store.write(Lock.ALERTS) as session:
        heartbeats.beat(session, LOOKED, now=now, every=EVERY)
        # Read again: somebody may have answered, or another sensor looked, in between.
        return 0 if is_quiet else decide(session, project, rules, now, view=view)


def decide(session: Session, project: Project, rules: Rules, now: datetime, *, view: View = View.LIVE) -> int:
    """See what is so at `now` and write what follows from it; return how many messages that orders."""
    deliveries.hold_waiting(session, [one.id for one in incidents.open_ones(session)])
    picture = picture_at(session, project, now, view=view)
    return write_change(session, project, picture, advance(picture, rules))


def _is_quiet(session: Session, project: Project, rules: Rules, now: datetime, *, view: View) -> bool:
    """Whether nothing follows from what is so at `now`.

    Where the counts differ, something does, and it is looked at only once, by whoever writes. Where they agree, one may
    have ended as another began, so that the whole picture decides.
    """
    if view is View.LIVE and _differ(session, project, now):
        return False
    return advance(picture_at(session, project, now, view=view), rules).is_empty


def _differ(session: Session, project: Project, now: datetime) -> bool:
    """Whether more or fewer alerts fire than there are breaches."""
    horizon = project.settings.evaluation_step
    standing = breaches.count_as_of(session, project.registry.names, now, horizon=horizon)
    return standing != alerts.count_firing(session, Kind.BREACH)


def picture_at(session: Session, project: Project, now: datetime, *, view: View = View.LIVE) -> Picture:
    """Return all that is known at `now`; of the past only breaches are, so other kinds are left out unless live."""
    live = view is View.LIVE
    scene = read_signals(session, project, now, live=live)
    standing = alerts.open_ones(session)
    seen = {alert.subject.fingerprint: alert for alert in standing if live or alert.subject.kind is Kind.BREACH}
    named = (signal.subject.fingerprint for signal in scene.signals)
    known = alerts.last_by_fingerprint(session, [one for one in named if one not in seen]) | seen
    groups = incidents.last_by_group(session, [_group_of(alert) for alert in known.values()])
    groups |= {one.group_key: one for one in incidents.open_ones(session) if live or _is_breach(one)}
    groups |= incidents.last_by_group(session, _groups(scene))
    ids = [one.id for one in groups.values() if one.is_open]
    return Picture(
        now=now,
        signals=scene.signals,
        alerts=known,
        incidents=groups,
        escalations=escalations.of(session, ids),
        told=deliveries.told(session, ids),
        silences=silences.active_candidates(session, now),
        judged=scene.judged,
        endings={**scene.endings, **_endings(project, known.values())},
        is_past=view is View.PAST,
    )


def write_change(session: Session, project: Project, picture: Picture, change: Change) -> int:
    """Write all that a decision changes, with the messages that it orders; return how many of those are new."""
    alerts.put(session, change.alerts.values())
    incidents.put(session, change.incidents.values())
    escalations.put(session, change.escalations.values())
    for taken in change.steps:
        escalations.take_step(session, taken, now=picture.now)
    for incident_id, reason in change.superseded.items():
        deliveries.supersede_waiting(session, incident_id, reason=reason, now=picture.now, actions=_TAKEN_BACK)
    for event in change.events:
        if event.kind == "silenced":
            silences.count_match(session, event.payload["by"], now=picture.now)
    book = FactBook(session, project, picture.now, picture.judged, _new_members(change))
    by_id = {one.id: one for one in (*picture.incidents.values(), *change.incidents.values())}
    courses = {**picture.escalations, **change.escalations}
    found = [_delivery(book, by_id[one.incident_id], one, courses.get(one.incident_id)) for one in change.orders]
    ordered = deliveries.order(session, found, now=picture.now)
    # Last, since it holds the end of the chain until the transaction ends.
    alert_events.append(session, change.events)
    return len(ordered)


def _delivery(book: FactBook, incident: Incident, order: Order, escalation: Escalation | None) -> NewDelivery:
    facts = book.facts(incident, order, escalation)
    stale = STALE.get(order.action)
    return NewDelivery(
        order=order,
        facts=facts,
        dedup_key=incident.dedup_key,
        priority=incident.severity.rank,
        expires_at=order.not_before + stale if stale else None,
    )


def _new_members(change: Change) -> dict[str, tuple[Alert, ...]]:
    """Return the alerts of the incidents that open just now, which need not be read: nobody else can belong to them."""
    opened = {event.incident_id for event in change.events if event.kind == "opened"}
    members: dict[str, list[Alert]] = {incident_id: [] for incident_id in opened}
    for alert in sorted(change.alerts.values(), key=lambda alert: (alert.since, alert.id)):
        if alert.incident_id in members:
            members[alert.incident_id].append(alert)
    return {incident_id: tuple(found) for incident_id, found in members.items()}


def _groups(scene: Scene) -> list[str]:
    return list({signal.subject.group_key for signal in scene.signals})


def _group_of(alert: Alert) -> str:
    return alert.subject.group_key


def _is_breach(incident: Incident) -> bool:
    return incident.labels["kind"] == Kind.BREACH


def _endings(project: Project, known: Iterable[Alert]) -> dict[str, str]:
    """Return why alerts of SLOs that are gone end."""
    names = frozenset(project.registry.names)
    ours = (alert.subject for alert in known if alert.is_open and alert.subject.kind is not Kind.PIPELINE)
    return {one.fingerprint: f"SLO {one.name} is retired" for one in ours if one.name not in names}
