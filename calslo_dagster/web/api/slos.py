"""Routes about promises: what they are, how they stand, and what was measured."""

from datetime import datetime, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request
from starlette.responses import Response

from calslo_dagster.pipeline.project import Project
from calslo_dagster.reporting.board import BoardFilter
from calslo_dagster.slo.model import SLO
from calslo_dagster.slo.windows import Window
from calslo_dagster.store import measurements
from calslo_dagster.store.api_tokens import Scope
from calslo_dagster.web.access import needs
from calslo_dagster.web.api.models import BoardOut, CardOut, HealthOut, MeasurementOut, SloOut
from calslo_dagster.web.api.paging import Part, Place, answer, part, place
from calslo_dagster.web.front import front_of
from calslo_dagster.web.pages.overview import wanted_of
from calslo_dagster.web.problems import answers, missing

READ: Final = [Depends(needs(Scope.READ))]
REFUSED: Final = answers(400, 401, 403, 404, 413, 415, 422, 429, 503)
router: Final = APIRouter(prefix="/api/v1", tags=["SLOs"], dependencies=READ, responses=REFUSED)
At = Annotated[Place, Depends(place)]
SloName = Annotated[str, Path(max_length=100, examples=["ece_bound"])]
LONGEST: Final = timedelta(days=400)
_DAY: Final = timedelta(days=1)


def span_of(
    request: Request,
    start: Annotated[datetime | None, Query(description="A day before the end unless told.")] = None,
    end: Annotated[datetime | None, Query(description="Now unless told.")] = None,
) -> Window:
    """Return the span that was asked for; 400 for one without a zone, without length, or of many years."""
    if any(at is not None and at.tzinfo is None for at in (start, end)):
        raise HTTPException(400, "write times with their zone, such as 2026-03-01T12:00:00Z")
    try:
        until = end or front_of(request).now()
        since = start or until - _DAY
        is_fit = timedelta(0) < until - since <= LONGEST
    except OverflowError as error:
        raise HTTPException(400, "there is no time as early as this") from error
    if not is_fit:
        raise HTTPException(400, f"from start to end must be more than nothing and at most {LONGEST.days} days")
    return Window(since, until)


Span = Annotated[Window, Depends(span_of)]


def slo_of(project: Project, name: str) -> SLO:
    """Return the SLO of that name; 404 with the names that there are."""
    if name not in project.registry:
        raise missing(f"there is no SLO {name!r}; there are {', '.join(project.registry.names)}")
    return project.registry.find(name)


@router.get("/slos", operation_id="list_slos", response_model=Part[SloOut])
def slos(request: Request, at: At) -> Response:
    """List the promises, as they are defined now."""
    registry = front_of(request).project().registry
    return part(request, at, list(registry), lambda one: SloOut.of(one, registry.hash_of(one.name)))


@router.get("/slos/{name}", operation_id="read_slo", response_model=SloOut)
def slo(request: Request, name: SloName) -> Response:
    """Return one promise."""
    project = front_of(request).project()
    return answer(request, SloOut.of(slo_of(project, name), project.registry.hash_of(name)))


@router.get("/board", operation_id="read_board", response_model=BoardOut)
def board(request: Request, wanted: Annotated[BoardFilter, Depends(wanted_of)], at: At) -> Response:
    """Return how every SLO stands on every slice now, worst first; the pages show the same."""
    found = front_of(request).board(wanted)
    start = int(at.after or 0)
    shown = [CardOut.of(card) for card in found.cards[start : start + at.limit]]
    end = start + len(shown)
    following = at.sealed(request, str(end)) if end < len(found.cards) else None
    return answer(request, BoardOut.of(found, shown, following))


@router.get("/health", operation_id="read_health", response_model=HealthOut)
def health(request: Request, wanted: Annotated[BoardFilter, Depends(wanted_of)]) -> Response:
    """Return the health of everything, or of what the filter takes."""
    return answer(request, HealthOut.model_validate(front_of(request).board(wanted).health))


@router.get("/slos/{name}/measurements", operation_id="list_measurements", response_model=Part[MeasurementOut])
def measured(
    request: Request,
    name: SloName,
    span: Span,
    at: At,
    *,
    slice: Annotated[str | None, Query(max_length=200)] = None,  # noqa: A002 - it is the name in the address
) -> Response:
    """List what was measured in windows that end in the span, by window end and slice."""
    project = front_of(request).project()
    slo_of(project, name)
    after_end, _, after_slice = at.after.partition(" ")
    after = (datetime.fromisoformat(after_end), after_slice) if at.after else None
    with project.store.read() as session:
        rows = measurements.page(
            session, name, start=span.start, end=span.end, slice_name=slice, after=after, limit=at.limit + 1
        )
    shown = rows[: at.limit]
    last = shown[-1] if len(rows) > at.limit else None
    following = at.sealed(request, f"{last.window_end.isoformat()} {last.slice}") if last else None
    items = [MeasurementOut.of(row) for row in shown]
    return answer(request, Part[MeasurementOut](items=items, next_cursor=following))
