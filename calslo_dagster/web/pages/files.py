"""Files of any view, from the buttons of its page: the same bytes as `calslo export` and the REST API give."""

from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from typing import Annotated, Final

from fastapi import APIRouter, Depends, HTTPException, Query
from starlette.requests import Request
from starlette.responses import Response

from calslo_dagster.exports.render import MEDIA_TYPES, Format
from calslo_dagster.pipeline.views.wanted import MOST_DAYS, USUAL_DAYS, View, Wanted, file_name
from calslo_dagster.reporting.board import BoardFilter
from calslo_dagster.reporting.states import State
from calslo_dagster.web.front import front_of
from calslo_dagster.web.pages.overview import Reader

router: Final = APIRouter(include_in_schema=False)
Name = Annotated[str, Query(max_length=200)]


def filters(
    *,
    slo: Name = "",
    slice: Name = "",  # noqa: A002 - it is the name in the address
    model: Name = "",
    severity: Name = "",
    state: Annotated[str, Query(max_length=200, description="States, with commas between them.")] = "",
    days: Annotated[int, Query(ge=1, le=MOST_DAYS, description="How far back, where the view goes back.")] = USUAL_DAYS,
    until: Annotated[datetime | None, Query(description="Until when; the newest there is unless told.")] = None,
    period: Annotated[str, Query(max_length=8, description="Of a report: 2026-W10, or 2026-03.")] = "",
) -> Wanted:
    """Return the filters that an address asks for."""
    if until is not None and until.tzinfo is None:
        raise HTTPException(400, "write times with their zone, such as 2026-03-01T12:00:00Z")
    words = [one for one in state.split(",") if one]
    if stray := next((one for one in words if one not in set(State)), None):
        raise HTTPException(400, f"there is no state {stray!r}; there are {', '.join(State)}")
    found = BoardFilter(slo.strip(), slice.strip(), model.strip(), frozenset(State(one) for one in words))
    return Wanted(
        View.OVERVIEW,
        slo=found.slo,
        slice=found.slice,
        model=found.model,
        severity=severity.strip(),
        states=found.states,
        days=days,
        until=until,
        period=period.strip(),
    )


Filters = Annotated[Wanted, Depends(filters)]


@router.get("/exports/{view}.{form}")
def file(request: Request, _person: Reader, view: View, form: Format, *, wanted: Filters, table: Name = "") -> Response:
    """Return the view as a file."""
    return file_of(request, replace(wanted, view=view), form, table)


def file_of(request: Request, wanted: Wanted, form: Format, table: str) -> Response:
    """Return the answer that holds the file, or 304 if it is what the client has."""
    front = front_of(request)
    content = front.workshop.file(wanted, form.value, table, now=front.now())
    tag = f'"{sha256(content).hexdigest()[:24]}"'
    headers = {
        "Cache-Control": "private, no-cache",
        "Content-Disposition": f'attachment; filename="{file_name(wanted, form)}"',
        "ETag": tag,
        "Vary": "Authorization, Cookie",
    }
    known = {one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")}
    if known & {tag, "*"}:
        return Response(status_code=304, headers=headers)
    if form in (Format.SVG, Format.HTML):
        # Should a browser open it all the same, it may do nothing.
        headers["Content-Security-Policy"] = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    return Response(content, headers=headers, media_type=MEDIA_TYPES[form])
