"""Routes about files: any view in any format, and the reports of weeks and months."""

from dataclasses import replace
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from calslo_dagster.exports.render import MEDIA_TYPES, Format
from calslo_dagster.pipeline.views.wanted import View
from calslo_dagster.web.api.slos import READ, REFUSED
from calslo_dagster.web.pages.files import Filters, file_of

_FILES: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {kind.partition(";")[0]: {} for kind in MEDIA_TYPES.values()}},
    304: {},
}
router: Final = APIRouter(
    prefix="/api/v1",
    tags=["files"],
    dependencies=READ,
    responses={**REFUSED, **_FILES},
    default_response_class=Response,
)
Table = Annotated[str, Query(max_length=200, description="Which table a CSV file holds; the main one unless told.")]


@router.get("/exports/{view}", operation_id="export_view")
def export(
    request: Request,
    view: View,
    *,
    wanted: Filters,
    form: Annotated[Format, Query(alias="format")] = Format.JSON,
    table: Table = "",
) -> Response:
    """Return a view as a file, with the same filters as its page; the same bytes as `calslo export` gives."""
    return file_of(request, replace(wanted, view=view), form, table)


@router.get("/reports/{name}", operation_id="read_report")
def report(
    request: Request,
    name: Annotated[str, Path(max_length=8, examples=["2026-W10"])],
    *,
    wanted: Filters,
    form: Annotated[Format, Query(alias="format")] = Format.JSON,
    table: Table = "",
) -> Response:
    """Return the report of an ISO week or a month, such as 2026-W10 or 2026-03."""
    return file_of(request, replace(wanted, view=View.REPORT, period=name), form, table)
