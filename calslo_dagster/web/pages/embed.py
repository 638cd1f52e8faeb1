"""Cards and charts that other sites show in a frame; the settings say which sites."""

from enum import StrEnum
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from calslo_dagster.pipeline.views.wanted import MOST_DAYS, USUAL_DAYS, View, Wanted
from calslo_dagster.reporting.document import Figure
from calslo_dagster.slo.model import EVERYTHING
from calslo_dagster.web.front import Front, document_of, front_of
from calslo_dagster.web.pages.overview import Reader
from calslo_dagster.web.pages.views import card_on
from calslo_dagster.web.templating import page

router: Final = APIRouter(include_in_schema=False)
Slice = Annotated[str, Query(max_length=200)]


class Chart(StrEnum):
    """A chart of the page of an SLO."""

    SERIES = "series"
    BUDGET = "budget"
    RELIABILITY = "reliability"


# The sections of the page of an SLO that the charts stand in.
_SECTIONS: Final = {Chart.SERIES: "course", Chart.BUDGET: "budget", Chart.RELIABILITY: "reliability"}


@router.get("/embed/card/{name}")
def card(request: Request, _person: Reader, name: str, slice: Slice = EVERYTHING) -> Response:  # noqa: A002 - the name in the address
    """Show one card without anything around it."""
    front = front_of(request)
    found, _ = card_on(front, name, slice)
    return page(request, "card.html", {"card": found, "stamp": front.stamp()})


@router.get("/embed/{chart}/{name}")
def chart(
    request: Request,
    _person: Reader,
    chart: Chart,
    name: str,
    *,
    slice: Slice = EVERYTHING,  # noqa: A002 - it is the name in the address
    days: Annotated[int, Query(ge=1, le=MOST_DAYS)] = USUAL_DAYS,
) -> Response:
    """Show one chart of an SLO with its state, without anything around it."""
    front = front_of(request)
    found, _ = card_on(front, name, slice)
    wanted = Wanted(View.SLO, slo=name, slice=found.slice, days=days)
    names = {"card": found, "stamp": front.stamp(), **_drawn(front, wanted, _SECTIONS[chart])}
    return page(request, "chart.html", names)


def _drawn(front: Front, wanted: Wanted, key: str) -> dict[str, Any]:
    """Return the figure of a section with its drawing; without one, what the section says instead."""
    sections = [one for one in document_of(front, wanted).sections if one.key == key]
    figure: Figure | None = next((one for section in sections for one in section.figures), None)
    return {
        "figure": figure,
        "drawing": front.workshop.drawing(figure) if figure else "",
        "instead": " ".join(text for section in sections for text in section.texts),
    }
