"""Whether we live, whether we can serve, and whether all of it works."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import PlainTextResponse, Response

from calslo_dagster.errors import CalsloError
from calslo_dagster.pipeline.expose_metrics import expose_metrics
from calslo_dagster.pipeline.roll_up_health import patience_with
from calslo_dagster.slo.model import Cadence
from calslo_dagster.store import evaluations, heartbeats
from calslo_dagster.store.api_tokens import ApiToken, Scope
from calslo_dagster.store.schema import REVISION
from calslo_dagster.store.session import Lock, revision_of
from calslo_dagster.web.access import needs
from calslo_dagster.web.front import Front, front_of

router: Final = APIRouter(include_in_schema=False)
_PROBE: Final = "web probe"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    is_good: bool
    detail: str

    @property
    def line(self) -> str:
        """The check in a line, as Kubernetes writes it."""
        return f"[{'+' if self.is_good else '-'}]{self.name} {self.detail}"


@router.get("/livez")
async def live() -> Response:
    """Say that we are here; nothing slow may ever fail this."""
    return PlainTextResponse("ok")


@router.get("/readyz")
def ready(request: Request) -> Response:
    """Say whether we can serve; with ?verbose, what was looked at."""
    return _told(request, list(_basic(front_of(request))))


@router.get("/metrics")
def metrics(request: Request) -> Response:
    """Tell Prometheus how every SLO stands; a store that cannot be read is an answer, too."""
    front = front_of(request)
    accept = request.headers.get("accept", "")
    body, kind = expose_metrics(front.project(), accept, now=front.now(), counters=front.counters)
    return Response(body, media_type=kind, headers={"Cache-Control": "no-store"})


@router.get("/healthz/deep")
def deep(request: Request, _token: Annotated[ApiToken, Depends(needs(Scope.READ))]) -> Response:
    """Also write, read back and put a board together; needs a token, since it costs something."""
    front = front_of(request)
    return _told(request, [*_basic(front), *_thorough(front)], is_verbose=True)


def _told(request: Request, found: list[Check], *, is_verbose: bool = False) -> Response:
    is_good = all(check.is_good for check in found)
    shown = found if is_verbose or "verbose" in request.query_params else [c for c in found if not c.is_good]
    lines = [*(check.line for check in shown), "ready" if is_good else "not ready"]
    return PlainTextResponse("\n".join(lines) + "\n", 200 if is_good else 503, headers={"Cache-Control": "no-store"})


def _basic(front: Front) -> Iterator[Check]:
    try:
        with front.project().store.read() as session:
            found = revision_of(session.connection())
        yield Check("store", is_good=True, detail="ok")
        is_current = found == REVISION
        yield Check("schema", is_good=is_current, detail="ok" if is_current else f"is at {found}, not {REVISION}")
        yield _freshness(front)
    except CalsloError as error:
        yield Check("store", is_good=False, detail=str(error))


def _freshness(front: Front) -> Check:
    """Look at the SLO that was evaluated last: when even it is late, everything stands still."""
    project, now = front.project(), front.now()
    with project.store.read() as session:
        minutely = [slo for slo in project.registry if slo.cadence is Cadence.MINUTE]
        seen = [(at, slo) for slo in minutely if (at := evaluations.last_look(session, slo.name))]
    if not seen:
        return Check("evaluation", is_good=True, detail="none yet")
    at, slo = max(seen, key=lambda one: one[0])
    is_late = now - at > patience_with(project, slo).evaluation
    told = f"last at {at:%Y-%m-%d %H:%M} UTC"
    return Check(
        "evaluation", is_good=not is_late, detail=f"{told}; check that Dagster's schedules run" if is_late else told
    )


def _thorough(front: Front) -> Iterator[Check]:
    project, now = front.project(), front.now()
    try:
        with project.store.write(Lock.NONE) as session:
            heartbeats.beat(session, _PROBE, now=now, every=timedelta(days=1))
            is_read = any(one.component == _PROBE for one in heartbeats.every(session))
            heartbeats.forget(session, _PROBE)
        yield Check("write", is_good=is_read, detail="ok" if is_read else "what was written was not read back")
        yield Check("board", is_good=True, detail=f"{len(front.board().cards):,} cards")
    except CalsloError as error:
        yield Check("write", is_good=False, detail=str(error))
