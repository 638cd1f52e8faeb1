"""Routes about alerts, silences and exclusions: what there is, and what people do about it."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request
from starlette.responses import Response

from calslo_dagster.alerting.model import IncidentState
from calslo_dagster.alerting.silences import Silence
from calslo_dagster.pipeline import respond_to_alerts as steps
from calslo_dagster.pipeline.agree_exclusions import agree_exclusion, withdraw_exclusion
from calslo_dagster.pipeline.respond_to_alerts import Answer
from calslo_dagster.pipeline.silence_alerts import add_silence, expire_silence, list_silences
from calslo_dagster.slo.exclusions import Exclusion
from calslo_dagster.slo.windows import Window
from calslo_dagster.store import exclusions, incidents
from calslo_dagster.store.api_tokens import ApiToken, Scope
from calslo_dagster.web.access import needs
from calslo_dagster.web.api.alert_models import (
    Done,
    ExclusionIn,
    ExclusionOut,
    IncidentOut,
    Note,
    Removed,
    SilenceIn,
    SilenceOut,
)
from calslo_dagster.web.api.paging import Part, answer, part
from calslo_dagster.web.api.slos import READ, REFUSED, At, Span
from calslo_dagster.web.front import front_of
from calslo_dagster.web.problems import answers

router: Final = APIRouter(prefix="/api/v1", tags=["alerts"], responses={**REFUSED, **answers(409)})
AlertWriter = Annotated[ApiToken, Depends(needs(Scope.ALERTS))]
SloWriter = Annotated[ApiToken, Depends(needs(Scope.SLOS))]
IncidentId = Annotated[str, Path(pattern="^[0-9a-f]{16,64}$", examples=["75b6e6d35f92f655"])]
Number = Annotated[int, Path(ge=1, le=2**31 - 1)]
_SOURCE: Final = "api"


@router.get("/alerts", operation_id="list_alerts", response_model=Part[IncidentOut], dependencies=READ)
def alert_list(
    request: Request, span: Span, at: At, *, state: Annotated[IncidentState | None, Query()] = None
) -> Response:
    """List the alerts that share an instant with the span, oldest first."""
    with front_of(request).project().store.read() as session:
        found = incidents.between(session, start=span.start, end=span.end)
    return part(request, at, [one for one in found if state in (None, one.state)], IncidentOut.of)


@router.get("/alerts/{incident_id}", operation_id="read_alert", response_model=IncidentOut, dependencies=READ)
def alert(request: Request, incident_id: IncidentId) -> Response:
    """Return one alert."""
    with front_of(request).project().store.read() as session:
        found = steps.find(session, incident_id)
    return answer(request, IncidentOut.of(found))


@router.post("/alerts/{incident_id}/ack", operation_id="acknowledge_alert", response_model=Done)
def acknowledge(request: Request, token: AlertWriter, incident_id: IncidentId, body: Note) -> Response:
    """Take an alert on, in the name of the token; doing it again changes nothing."""
    return _answered(request, Answer.ACK, incident_id, token=token, note=body.note)


@router.post("/alerts/{incident_id}/resolve", operation_id="resolve_alert", response_model=Done)
def resolve(request: Request, token: AlertWriter, incident_id: IncidentId, body: Note) -> Response:
    """Close an alert, in the name of the token; doing it again changes nothing."""
    return _answered(request, Answer.RESOLVE, incident_id, token=token, note=body.note)


def _answered(request: Request, deed: Answer, incident_id: str, *, token: ApiToken, note: str) -> Response:
    front = front_of(request)
    said = steps.respond(front.project(), steps.Response(deed, incident_id, token.name, _SOURCE, note), now=front.now())
    return answer(request, Done(done=said))


@router.get("/silences", operation_id="list_silences", response_model=Part[SilenceOut], dependencies=READ)
def silences(
    request: Request, at: At, *, over: Annotated[bool, Query(description="Those that are over, too.")] = False
) -> Response:
    """List the silences, those that hold first."""
    front = front_of(request)
    return part(request, at, list_silences(front.project(), now=front.now(), is_complete=over), SilenceOut.of)


@router.post("/silences", operation_id="create_silence", response_model=SilenceOut, status_code=201)
def silence(request: Request, token: AlertWriter, body: SilenceIn) -> Response:
    """Agree that some alerts are not told for a while."""
    front = front_of(request)
    now = front.now()
    draft = Silence(
        id="",
        matchers=(),
        starts_at=_aware(body.start) or now,
        ends_at=_aware(body.end),
        reason=body.reason,
        author=token.name,
        created_at=now,
        ticket=body.ticket,
        covers_emergency=body.covers_emergency,
    )
    added, _ = add_silence(front.project(), draft, body.matchers, now=now, source=_SOURCE, is_forced=body.force)
    [found] = [one for one in list_silences(front.project(), now=now, is_complete=True) if one.silence.id == added.id]
    return answer(request, SilenceOut.of(found), status=201)


@router.delete("/silences/{silence_id}", operation_id="expire_silence", response_model=SilenceOut)
def expire(request: Request, token: AlertWriter, silence_id: Number) -> Response:
    """End a silence now; the record of it stays."""
    front = front_of(request)
    known = {one.silence.id for one in list_silences(front.project(), now=front.now(), is_complete=True)}
    if str(silence_id) not in known:
        raise HTTPException(404, f"there is no silence {silence_id}")
    found, _ = expire_silence(front.project(), str(silence_id), by=token.name, now=front.now(), source=_SOURCE)
    return answer(request, SilenceOut.of(found))


@router.get("/exclusions", operation_id="list_exclusions", response_model=Part[ExclusionOut], dependencies=READ)
def exclusion_list(request: Request, at: At) -> Response:
    """List the agreed maintenance that is in the store, by start; that of the settings file is in the file."""
    with front_of(request).project().store.read() as session:
        found = exclusions.all_of(session)
    return part(request, at, found, ExclusionOut.of)


@router.post("/exclusions", operation_id="create_exclusion", response_model=ExclusionOut, status_code=201)
def exclude(request: Request, token: SloWriter, body: ExclusionIn) -> Response:
    """Agree on maintenance that no verdict may rest on; the owner of the token approves it."""
    start, end = _aware(body.start), _aware(body.end)
    if start is None or end is None or start >= end:
        raise HTTPException(422, "the maintenance must end after it starts")
    front = front_of(request)
    names: dict[str, Any] = {"slos": body.slos, "slices": body.slices, "models": body.models}
    wanted = Exclusion(Window(start, end), body.reason, token.name, **names)
    added = agree_exclusion(front.project(), wanted, now=front.now(), source=_SOURCE)
    return answer(request, ExclusionOut.of(added), status=201)


@router.delete("/exclusions/{exclusion_id}", operation_id="remove_exclusion", response_model=Removed)
def include(request: Request, token: SloWriter, exclusion_id: Number) -> Response:
    """Take an exclusion back."""
    front = front_of(request)
    withdraw_exclusion(front.project(), exclusion_id, by=token.name, now=front.now(), source=_SOURCE)
    return answer(request, Removed(id=exclusion_id))


def _aware(at: Any) -> Any:
    """Return the instant; 422 for one without a zone."""
    if at is not None and at.tzinfo is None:
        raise HTTPException(422, "write times with their zone, such as 2026-03-01T12:00:00Z")
    return at
