"""The page of one SLO on one slice: how it stands and why, its course, budget, breaches and evaluations."""

from datetime import timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from calslo_dagster.pipeline.context import step_of
from calslo_dagster.pipeline.read_board import breaches_of
from calslo_dagster.pipeline.read_course import course
from calslo_dagster.reporting.board import BoardFilter, Card
from calslo_dagster.slo.model import EVERYTHING, Measurement, Verdict
from calslo_dagster.slo.windows import Window, window_ends
from calslo_dagster.store import measurements
from calslo_dagster.web.access import form_token
from calslo_dagster.web.front import Front, front_of
from calslo_dagster.web.pages.overview import Reader
from calslo_dagster.web.problems import missing
from calslo_dagster.web.templating import page

router: Final = APIRouter(include_in_schema=False)
RANGES: Final = (1, 2, 7, 14, 28, 90, 365)
_SHOWN: Final = 12
# Windows after the one of the card: they are not complete yet.
_LATER: Final = 4


@router.get("/slos/{name}")
def slo_page(
    request: Request,
    person: Reader,
    name: str,
    *,
    slice: Annotated[str, Query(max_length=200)] = EVERYTHING,  # noqa: A002 - it is the name in the address
    days: Annotated[int, Query(ge=1, le=365)] = 14,
) -> Response:
    """Show one SLO on one slice."""
    front = front_of(request)
    stamp, (card, slices) = front.stamp(), card_on(front, name, slice)
    end = max(front.now(), card.window_end or front.now())
    span = Window(end - timedelta(days=days), end)
    names = {
        "card": card,
        "slices": slices,
        "days": days,
        "ranges": sorted({*RANGES, days}),
        "stamp": stamp,
        "person": person,
        "form_token": form_token(front, person),
        "as_of": front.now(),
        "dagster_url": (front.project().settings.web.dagster_url or "").rstrip("/"),
        "rows": _last_rows(front, card),
        **_course(front, card, span),
    }
    return page(request, "slo.html", names)


def card_on(front: Front, name: str, slice_name: str) -> tuple[Card, list[str]]:
    """Return the card and all slices of the SLO; 404 with what there is for an unknown SLO or slice."""
    project = front.project()
    if name not in project.registry:
        raise missing(f"there is no SLO {name!r}; there are {', '.join(project.registry.names)}")
    board = front.board(BoardFilter(slo=name))
    slices = sorted({card.slice for card in board.cards}, key=lambda one: (one.count("="), one))
    card = board.card(name, slice_name)
    if card is None and slice_name == EVERYTHING and board.cards:
        card = board.cards[0]
    if card is None:
        raise missing(f"{name} is not measured on {slice_name!r}; it is on {', '.join(slices[:5]) or 'nothing'}")
    return card, slices


def _course(front: Front, card: Card, span: Window) -> dict[str, Any]:
    project = front.project()
    most = project.settings.web.most_points
    found = course(project, project.registry.find(card.slo), card.slice, span=span, points=most)
    breaches = breaches_of(project, card.slo, card.slice, span=span)
    last = found.points[-1].at if found.points else span.end
    shaded = [
        Window(max(one.onset, span.start), max(min(one.recovered_at or last, last), one.onset)) for one in breaches
    ]
    return {
        "points": found.points,
        "windows": found.windows,
        "bad": sum(point.verdict is Verdict.BREACHED for point in found.points),
        "breaches": breaches,
        "chart": front.drawing.series(found, shaded) if found.points else "",
    }


def _last_rows(front: Front, card: Card) -> tuple[Measurement, ...]:
    """Return the last evaluations of the slice, newest first."""
    if card.window_end is None:
        return ()
    project = front.project()
    step = step_of(project, project.registry.find(card.slo))
    ends = window_ends(card.window_end - _SHOWN * step, card.window_end + _LATER * step, step)
    with project.store.read() as session:
        found = measurements.at_ends(session, card.slo, card.slice, ends)
    return tuple(reversed(found))[:_SHOWN]
