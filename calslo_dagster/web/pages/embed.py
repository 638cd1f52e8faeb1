"""Cards that other sites show in a frame; the settings say which sites."""

from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from calslo_dagster.slo.model import EVERYTHING
from calslo_dagster.web.front import front_of
from calslo_dagster.web.pages.overview import Reader
from calslo_dagster.web.pages.views import card_on
from calslo_dagster.web.templating import page

router: Final = APIRouter(include_in_schema=False)


@router.get("/embed/card/{name}")
def card(
    request: Request,
    _person: Reader,
    name: str,
    slice: Annotated[str, Query(max_length=200)] = EVERYTHING,  # noqa: A002 - it is the name in the address
) -> Response:
    """Show one card without anything around it."""
    found, _ = card_on(front_of(request), name, slice)
    return page(request, "card.html", {"card": found})
