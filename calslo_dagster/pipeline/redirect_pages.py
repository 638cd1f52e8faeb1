"""Send pages that their channel does not take to the fall-back channels instead, so that each is told somewhere."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime

from sqlalchemy.orm import Session

from calslo_dagster.alerting.model import Action, Event, IncidentState, Order
from calslo_dagster.pipeline.project import Project
from calslo_dagster.store import deliveries, incidents
from calslo_dagster.store.deliveries import Delivery, NewDelivery


def redirect_pages(session: Session, project: Project, found: Iterable[Delivery], now: datetime) -> list[Event]:
    """Order these pages, each once, for the fall-back channels that do not know of its incident.

    Return what is to be put on record at the end of the transaction. The session holds `Lock.ALERTS`. An incident that
    is over or that somebody has needs no page any more.
    """
    pages = [one for one in found if one.action is Action.TRIGGER]
    if not pages:
        return []
    wanted = list(_instead(session, project, pages, now))
    return [_note(one, now) for one in deliveries.order(session, wanted, now=now)]


def _instead(session: Session, project: Project, pages: list[Delivery], now: datetime) -> Iterator[NewDelivery]:
    about = incidents.by_ids(session, {page.incident_id for page in pages})
    told = deliveries.told(session, about)
    fallback = project.settings.alert_rules().fallback
    for page in pages:
        incident = about.get(page.incident_id)
        if incident is None or incident.state is not IncidentState.FIRING:
            continue
        knows = {one.channel for one in told[page.incident_id] if one.sent or one.maybe or one.waiting}
        why = f"{page.channel} has not taken it" + (f": {page.outcome}" if page.outcome else "")
        for channel in [name for name in fallback if name not in {*knows, page.channel}]:
            order = Order(page.incident_id, channel, Action.TRIGGER, f"instead of {page.channel}", why, now)
            yield NewDelivery(order, replace(page.facts, why=why, at=now), page.dedup_key, page.priority)


def _note(one: NewDelivery, now: datetime) -> Event:
    wanted = one.order
    reason = f"{wanted.channel}, since {wanted.reason}"
    return Event(wanted.incident_id, "notified", now, reason, payload={"channels": [wanted.channel]})
