"""Alerts: what pages now, with whom it is, what came of it, and the buttons to answer it."""

from collections.abc import Sequence
from typing import Annotated, Any, Final
from urllib.parse import quote

from fastapi import APIRouter, Depends, HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from calslo_dagster.alerting.model import IncidentState
from calslo_dagster.alerting.silences import described
from calslo_dagster.pipeline.respond_to_alerts import Answer, UnknownIncident, find, respond
from calslo_dagster.pipeline.respond_to_alerts import Response as Answered
from calslo_dagster.pipeline.silence_alerts import expire_silence, list_silences
from calslo_dagster.pipeline.silence_incident import silence_incident
from calslo_dagster.pipeline.views.told import told_alerts
from calslo_dagster.pipeline.views.wanted import USUAL_DAYS, View, Wanted
from calslo_dagster.settings.types import parse_duration
from calslo_dagster.slo.model import Severity
from calslo_dagster.store import alert_events, escalations
from calslo_dagster.store import alerts as members_of
from calslo_dagster.store.api_tokens import Scope
from calslo_dagster.web.access import Person, form_token, require_own_form, signed_in
from calslo_dagster.web.forms import form_of
from calslo_dagster.web.front import Front, front_of
from calslo_dagster.web.pages.overview import Reader, files_of
from calslo_dagster.web.pages.views import Choice, Days, Name, range_choice, slice_choice
from calslo_dagster.web.templating import page

router: Final = APIRouter(include_in_schema=False)
_PAST: Final = 50
_LASTS: Final = frozenset({"1h", "2h", "8h", "1d"})
_SAID: Final = "calslo_said"
Form = Annotated[dict[str, str], Depends(form_of)]


@router.get("/alerts")
def alert_list(
    request: Request,
    person: Reader,
    *,
    slo: Name = "",
    slice: Name = "",  # noqa: A002 - it is the name in the address
    severity: Severity | None = None,
    days: Days = USUAL_DAYS,
) -> Response:
    """Show what is open, what is silenced and what is over."""
    wanted = Wanted(View.ALERTS, slo=slo.strip(), slice=slice.strip(), severity=severity or "", days=days)
    front = front_of(request)
    project, now, stamp = front.project(), front.now(), front.stamp()
    board = front.board()
    with project.store.read() as session:
        found = told_alerts(session, board, wanted)
    silences = [
        {"id": one.silence.id, "text": described(one.silence, now), "stage": one.stage, "held": len(one.held)}
        for one in list_silences(project, now=now)
    ]
    names = {
        "stamp": stamp,
        "firing": [one for one in found.active if one.state == IncidentState.FIRING],
        "acked": [one for one in found.active if one.state != IncidentState.FIRING],
        "silences": silences,
        "over": found.over[:_PAST],
        "more": max(0, len(found.over) - _PAST),
        "choices": _choices(project.registry.names, wanted),
        "links": files_of(wanted),
        "as_of": now,
        **_around(request, front, person),
    }
    return _without_note(page(request, "alerts.html", names))


def _choices(names: Sequence[str], wanted: Wanted) -> tuple[Choice, ...]:
    return (
        Choice("slo", "SLO", wanted.slo, (("", "any"), *((one, one) for one in names))),
        slice_choice(wanted.slice),
        Choice("severity", "Severity", wanted.severity, (("", "any"), *((str(one), str(one)) for one in Severity))),
        range_choice(wanted.days),
    )


@router.get("/alerts/{incident_id}")
def alert(request: Request, person: Reader, incident_id: str) -> Response:
    """Show one incident: its slices, its history, and what can be done about it."""
    front = front_of(request)
    project, stamp = front.project(), front.stamp()
    with project.store.read() as session:
        incident = find(session, incident_id)
        found = members_of.members(session, incident.id)
        history = alert_events.of_incident(session, incident.id)
        escalation = escalations.of(session, [incident.id]).get(incident.id)
    slo = incident.labels.get("slo", "")
    names = {
        "incident": incident,
        "title": project.registry.find(slo).title
        if slo in project.registry
        else slo or incident.labels.get("kind", ""),
        "members": found,
        "events": history,
        "escalation": escalation,
        "stamp": stamp,
        "as_of": front.now(),
        **_around(request, front, person),
    }
    return _without_note(page(request, "incident.html", names))


def _around(request: Request, front: Front, person: Person | None) -> dict[str, Any]:
    said = front.signer.opened("said", request.cookies.get(_SAID, ""))
    return {
        "person": person,
        "can_write": person is not None and person.may(Scope.ALERTS),
        "form_token": form_token(front, person),
        "said": said,
    }


def _writer(request: Request, form: Form) -> Person:
    """Return who sent the form, if they may change what it is about."""
    person = signed_in(request)
    if person is None:
        raise HTTPException(401, "sign in with a token first; nothing was done")
    require_own_form(request, form.get("form", ""), person)
    if not person.may(Scope.ALERTS):
        raise HTTPException(403, "the token that you are signed in with may not do this; it needs alert:write")
    left = front_of(request).meter.take("token", person.token.id)
    if left.is_spent:
        raise HTTPException(429, "too many requests; wait a little", headers=left.headers)
    return person


Writer = Annotated[Person, Depends(_writer)]


@router.post("/alerts/{incident_id}/ack")
def acknowledge(request: Request, person: Writer, form: Form, incident_id: str) -> Response:
    """Acknowledge an incident."""
    return _answered(request, Answered(Answer.ACK, incident_id, person.name, "web", form.get("note", "")))


@router.post("/alerts/{incident_id}/resolve")
def resolve(request: Request, person: Writer, form: Form, incident_id: str) -> Response:
    """Resolve an incident."""
    return _answered(request, Answered(Answer.RESOLVE, incident_id, person.name, "web", form.get("note", "")))


@router.post("/alerts/{incident_id}/silence")
def silence(request: Request, person: Writer, form: Form, incident_id: str) -> Response:
    """Silence what an incident is about."""
    front, lasts = front_of(request), form.get("lasts", "")
    if lasts not in _LASTS:
        raise HTTPException(400, f"silence for one of {', '.join(sorted(_LASTS))}")
    said = silence_incident(
        front.project(), incident_id, by=person.name, lasts=parse_duration(lasts), now=front.now(), source="web"
    )
    return _back(front, f"/alerts/{quote(incident_id)}", said)


@router.post("/silences/{silence_id}/expire")
def expire(request: Request, person: Writer, silence_id: str) -> Response:
    """End a silence."""
    front = front_of(request)
    _, is_new = expire_silence(front.project(), silence_id, by=person.name, now=front.now(), source="web")
    return _back(front, "/alerts", f"silence {silence_id} {'is over' if is_new else 'was over already'}")


def _answered(request: Request, answer: Answered) -> Response:
    front = front_of(request)
    with front.project().store.read() as session:
        whole = find(session, answer.incident_id)
    if whole.id != answer.incident_id:
        raise UnknownIncident(f"no incident has the id {answer.incident_id!r}; nothing was done")
    said = respond(front.project(), answer, now=front.now())
    return _back(front, f"/alerts/{quote(answer.incident_id)}", said)


def _back(front: Front, path: str, said: str) -> Response:
    """Return to the page with what was done, in a cookie that the page shows once."""
    answer = RedirectResponse(path, 303)
    sealed = front.signer.sealed("said", said[:500])
    answer.set_cookie(_SAID, sealed, max_age=30, path="/alerts", httponly=True, samesite="strict")
    return answer


def _without_note(answer: Response) -> Response:
    answer.delete_cookie(_SAID, path="/alerts", httponly=True, samesite="strict")
    return answer
