"""Order again what a channel refused, once it takes messages again: a page that is still wanted, an end it must know.

A message that dies was refused, so it is not sent again as it was. The channel that has been mended still does not know
of an incident that goes on; it gets a page of its own, with the facts of now.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from calslo_dagster.alerting.model import Action, DeliveryStatus, Event, Incident, IncidentState, Order
from calslo_dagster.pipeline.gather_facts import FactBook
from calslo_dagster.pipeline.project import Project
from calslo_dagster.store import deliveries, escalations, incidents
from calslo_dagster.store.deliveries import Delivery, NewDelivery

# What was refused longer ago is no news to anybody.
NEWS: Final = timedelta(days=7)
# A message that a channel refuses while it takes others is at fault itself.
MOST_REFUSALS: Final = 3
_ON_ITS_WAY: Final = frozenset({DeliveryStatus.PENDING, DeliveryStatus.SENDING, DeliveryStatus.SENT})


def renew_pages(session: Session, project: Project, found: Iterable[Delivery], now: datetime) -> list[Event]:
    """Order for these messages, which channels that work now had refused, what is still to be told.

    Return what is to be put on record at the end of the transaction. The session holds `Lock.ALERTS`. Doing it again
    orders nothing more.
    """
    refused = {(one.incident_id, one.channel): one for one in found}
    if not refused:
        return []
    wanted = list(_again(session, project, refused, now))
    return [_note(one, now) for one in deliveries.order(session, wanted, now=now)]


def _again(
    session: Session, project: Project, refused: Mapping[tuple[str, str], Delivery], now: datetime
) -> Iterator[NewDelivery]:
    about = incidents.by_ids(session, {incident_id for incident_id, _ in refused})
    book, courses = FactBook(session, project, now), escalations.of(session, about)
    for (incident_id, channel), last in refused.items():
        incident = about.get(incident_id)
        told = [one for one in deliveries.of_incident(session, incident_id) if one.channel == channel]
        action = missing(incident, told) if incident else None
        if incident is None or action is None:
            continue
        why = f"{channel} takes messages again, and had refused one" + (f": {last.outcome}" if last.outcome else "")
        order = Order(incident_id, channel, action, f"again after {last.id}", why, now)
        facts = book.facts(incident, order, courses.get(incident_id))
        yield NewDelivery(order, facts, last.dedup_key, incident.severity.rank)


def missing(incident: Incident, told: Sequence[Delivery]) -> Action | None:
    """Return what the channel has yet to be told, given all its messages of the incident; None if that is nothing.

    An incident that somebody has needs no page, and one that the channel never heard of no end.
    """
    live = [one for one in told if one.status in _ON_ITS_WAY or one.ambiguous]
    knows = any(one.action not in (Action.RESOLVE, Action.TEST) for one in live)
    action = None
    if incident.state is IncidentState.FIRING and not knows:
        action = Action.TRIGGER
    if not incident.is_open and knows and not any(one.action is Action.RESOLVE for one in live):
        action = Action.RESOLVE
    refusals = [one for one in told if one.action is action and one.status is DeliveryStatus.DEAD]
    return action if 0 < len(refusals) < MOST_REFUSALS else None


def _note(one: NewDelivery, now: datetime) -> Event:
    wanted = one.order
    payload = {"channels": [wanted.channel]}
    return Event(wanted.incident_id, "notified", now, f"{wanted.channel}, since {wanted.reason}", payload=payload)
