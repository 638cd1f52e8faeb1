"""What people do about incidents: acknowledge, take back, resolve. Every way in ends here, and is on record."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy.orm import Session

from calslo_dagster.alerting.labels import named
from calslo_dagster.alerting.model import Incident
from calslo_dagster.alerting.pager_keys import without_page
from calslo_dagster.alerting.phrases import unfit
from calslo_dagster.alerting.picture import Draft, Picture
from calslo_dagster.alerting.responses import acknowledge, close, unacknowledge
from calslo_dagster.alerting.rules import Rules
from calslo_dagster.errors import CalsloError, UnfitTextError
from calslo_dagster.pipeline.advance_alerts import write_change
from calslo_dagster.pipeline.project import Project
from calslo_dagster.store import alerts, deliveries, escalations, incidents
from calslo_dagster.store.session import Lock


class Answer(StrEnum):
    """What a person does about an incident."""

    ACK = "ack"
    UNACK = "unack"
    RESOLVE = "resolve"


@dataclass(frozen=True, slots=True)
class Response:
    """An answer: by whom, by which way (cli, link, slack, pagerduty), with which words; `until` is for ACK."""

    answer: Answer
    incident_id: str
    by: str
    source: str
    note: str = ""
    until: datetime | None = None


class UnknownIncident(CalsloError):  # noqa: N818 - it is what was asked for
    """There is no such incident."""


def respond(project: Project, response: Response, *, now: datetime) -> str:
    """Do what the person wants, in one transaction with its record; return in a sentence what was done.

    Saying the same twice does no harm. Raises UnknownIncident, with the open ones, when there is no such incident, and
    UnfitTextError for words that cannot be put on record.
    """
    require_fit(author=response.by, note=response.note)
    rules = project.settings.alert_rules()
    with project.store.write(Lock.ALERTS) as session:
        incident = find(session, response.incident_id)
        deliveries.hold_waiting(session, [incident.id])
        draft = Draft(_around(session, incident, now), actor=response.by, source=response.source)
        said = _ACTS[response.answer](draft, rules, incident, response)
        write_change(session, project, draft.picture, draft.change)
    return said


def require_fit(**words: str) -> None:
    """Raise UnfitTextError for the first of these words of a person that no database keeps."""
    for name, text in words.items():
        if why := unfit(text):
            raise UnfitTextError(f"the {name} {text!r} cannot be stored: {why}")


def incident_of(project: Project, dedup_key: str) -> str:
    """Return the id of the incident that receivers know under this key."""
    require_fit(key=dedup_key)
    with project.store.read() as session:
        found = deliveries.incident_of(session, without_page(dedup_key))
    if found is None:
        raise UnknownIncident(f"{dedup_key!r} is the key of no incident of ours")
    return found


def find(session: Session, incident_id: str) -> Incident:
    """Return the incident with this id, or with the only one that begins so."""
    require_fit(incident=incident_id)
    found = incidents.by_id(session, incident_id)
    if found is None:
        standing = "; ".join(f"{one.id} ({named(one.labels)})" for one in incidents.open_ones(session)[:5])
        raise UnknownIncident(f"no incident begins with {incident_id!r}; open are: {standing or 'none'}")
    return found


def _around(session: Session, incident: Incident, now: datetime) -> Picture:
    return Picture(
        now=now,
        alerts={one.subject.fingerprint: one for one in alerts.members(session, incident.id)},
        incidents={incident.group_key: incident},
        escalations=escalations.of(session, [incident.id]),
        told=deliveries.told(session, [incident.id]),
    )


def _ack(draft: Draft, rules: Rules, incident: Incident, response: Response) -> str:
    return acknowledge(draft, rules, incident, until=response.until, note=response.note)


def _unack(draft: Draft, _rules: Rules, incident: Incident, response: Response) -> str:
    return unacknowledge(draft, incident, note=response.note)


def _resolve(draft: Draft, rules: Rules, incident: Incident, response: Response) -> str:
    return close(draft, rules, incident, note=response.note)


_ACTS: dict[Answer, Callable[[Draft, Rules, Incident, Response], str]] = {
    Answer.ACK: _ack,
    Answer.UNACK: _unack,
    Answer.RESOLVE: _resolve,
}
