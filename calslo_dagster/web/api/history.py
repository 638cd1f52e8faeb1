"""Routes about the past: breaches, availability, drift, calibration tables, and what was fitted."""

from datetime import timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from calslo_dagster.errors import SnapshotError
from calslo_dagster.slo.slices import matches
from calslo_dagster.slo.windows import DAY, day_of
from calslo_dagster.store import availability, breaches, drift, manifests
from calslo_dagster.web.api.history_models import AvailabilityOut, BreachOut, DriftOut, ManifestOut, TableOut
from calslo_dagster.web.api.paging import Part, part
from calslo_dagster.web.api.slos import READ, REFUSED, At, Span
from calslo_dagster.web.front import front_of
from calslo_dagster.web.problems import missing

router: Final = APIRouter(prefix="/api/v1", tags=["history"], dependencies=READ, responses=REFUSED)
Name = Annotated[str, Query(max_length=200, description="Exact, or a shell pattern; everything unless told.")]
_MOST_DAYS: Final = 31


def _is(pattern: str, name: str) -> bool:
    return not pattern or pattern == name or (pattern != "*" and matches(pattern, name))


@router.get("/breaches", operation_id="list_breaches", response_model=Part[BreachOut])
def breach_list(request: Request, span: Span, at: At, *, slo: Name = "", slice: Name = "") -> Response:  # noqa: A002
    """List the breaches that share an instant with the span, oldest first."""
    with front_of(request).project().store.read() as session:
        found = breaches.between(session, start=span.start, end=span.end)
    rows = [row for row in found if _is(slo, row.slo) and _is(slice, row.slice)]
    return part(request, at, rows, BreachOut.of)


@router.get("/availability", operation_id="list_availability", response_model=Part[AvailabilityOut])
def available(
    request: Request,
    at: At,
    *,
    slo: Name = "",
    slice: Name = "",  # noqa: A002 - it is the name in the address
    period_days: Annotated[int | None, Query(ge=1, le=400)] = None,
) -> Response:
    """List how well each target was kept over each period, as of the last report."""
    with front_of(request).project().store.read() as session:
        found = availability.latest(session, period_days=period_days)
    rows = [row for row in found if _is(slo, row.slo) and _is(slice, row.slice)]
    return part(request, at, rows, AvailabilityOut.of)


@router.get("/drift", operation_id="list_drift", response_model=Part[DriftOut])
def drifted(
    request: Request,
    at: At,
    *,
    weeks: Annotated[int, Query(ge=1, le=60, description="How many weeks back.")] = 4,
    slice: Name = "",  # noqa: A002 - it is the name in the address
    metric: Name = "",
) -> Response:
    """List how each metric of each slice changed from week to week."""
    front = front_of(request)
    with front.project().store.read() as session:
        found = drift.history(session, since=front.now() - timedelta(weeks=weeks))
    rows = [row for row in found if _is(slice, row.slice) and _is(metric, row.metric)]
    return part(request, at, rows, DriftOut.of)


@router.get("/manifests", operation_id="list_manifests", response_model=Part[ManifestOut])
def manifest_list(request: Request, at: At, *, model: Name = "", slice: Name = "") -> Response:  # noqa: A002
    """List what the calibrators were fitted on, by model, slice and version."""
    with front_of(request).project().store.read() as session:
        found = manifests.every(session)
    rows = [one for one in found if _is(model, one.model) and _is(slice, one.slice)]
    return part(request, at, rows, ManifestOut.of)


@router.get("/calibration-tables", operation_id="list_calibration_tables", response_model=Part[TableOut])
def tables(request: Request, span: Span, at: At, *, slice: Name = "") -> Response:  # noqa: A002
    """List the calibration of each slice over the days of the span, mask mismatches first; at most 31 days."""
    first, last = day_of(span.start + timedelta.resolution), day_of(span.end)
    days = [first + n * DAY for n in range((last - first).days + 1)]
    if len(days) > _MOST_DAYS:
        raise missing(f"tables are made for {_MOST_DAYS} days at most; this span has {len(days)}")
    try:
        found = front_of(request).workshop.tables(days)
    except SnapshotError as error:
        raise missing(str(error)) from error
    return part(request, at, [one for one in found if _is(slice, one.slice)], TableOut.of)
