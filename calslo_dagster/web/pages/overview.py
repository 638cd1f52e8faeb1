"""The overview: health, counts, active alerts, and every promise, worst first."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from calslo_dagster.exports.render import Format
from calslo_dagster.pipeline.views.wanted import View, Wanted
from calslo_dagster.reporting.board import Board, BoardFilter
from calslo_dagster.reporting.states import State
from calslo_dagster.web.access import Person, form_token, reader
from calslo_dagster.web.front import front_of
from calslo_dagster.web.svg import sparkline
from calslo_dagster.web.templating import page

router: Final = APIRouter(include_in_schema=False)
Reader = Annotated[Person | None, Depends(reader)]
_LONGEST: Final = 200


def wanted_of(
    slo: Annotated[str, Query(max_length=_LONGEST)] = "",
    slice: Annotated[str, Query(max_length=_LONGEST)] = "",  # noqa: A002 - it is the name in the address
    model: Annotated[str, Query(max_length=_LONGEST)] = "",
    state: Annotated[list[State | str], Query(max_length=10)] = [],  # noqa: B006 - FastAPI copies it
) -> BoardFilter:
    """Return the filter that an address asks for; a state that does not exist is none."""
    known = frozenset(State(one) for one in state if one in set(State))
    return BoardFilter(slo.strip(), slice.strip(), model.strip(), known)


@router.get("/")
def overview(
    request: Request,
    person: Reader,
    wanted: Annotated[BoardFilter, Depends(wanted_of)],
    number: Annotated[int, Query(alias="page", ge=1, le=100_000)] = 1,
) -> Response:
    """Show how all stands."""
    front = front_of(request)
    settings, stamp = front.project().settings.web, front.stamp()
    board = front.board(wanted)
    pages = max(1, -(-len(board.cards) // settings.rows_per_page))
    number = min(number, pages)
    cards = board.cards[(number - 1) * settings.rows_per_page : number * settings.rows_per_page]
    courses = front.courses(cards)
    sparks = {
        key: sparkline(courses[key], card.threshold, card.unit)
        for card in cards
        if (key := (card.slo, card.slice)) in courses
    }
    names = {
        "board": board,
        "stamp": stamp,
        "cards": cards,
        "sparks": sparks,
        "wanted": wanted,
        "total": len(board.cards),
        "number": number,
        "pages": pages,
        "rows_per_page": settings.rows_per_page,
        "names": {"slos": front.project().registry.names},
        "links": _files(wanted),
        "is_filtered": wanted != BoardFilter(),
        "is_empty": _is_empty(board),
        "link": _links(wanted),
        "person": person,
        "form_token": form_token(front, person),
        "as_of": board.now,
    }
    return page(request, "overview.html", names)


def _files(wanted: BoardFilter) -> Mapping[str, str]:
    asked = Wanted(View.OVERVIEW, slo=wanted.slo, slice=wanted.slice, model=wanted.model, states=wanted.states)
    return files_of(asked)


def _is_empty(board: Board) -> bool:
    """Whether nothing was ever measured."""
    return set(board.counts) == set(State) and board.counts[State.NEVER] == sum(board.counts.values())


def _links(wanted: BoardFilter) -> Callable[..., str]:
    """Return what makes the address of this view with some parts changed."""
    now: Mapping[str, Any] = {
        "slo": wanted.slo,
        "slice": wanted.slice,
        "model": wanted.model,
        "state": sorted(wanted.states),
    }

    def link(**changes: Any) -> str:
        query = {name: value for name, value in {**now, **changes}.items() if value and (name, value) != ("page", 1)}
        return "/?" + urlencode(query, doseq=True) if query else "/"

    return link


def files_of(wanted: Wanted) -> Mapping[str, str]:
    """Return the addresses of the files of a view, by the names of their formats."""
    told = f"?{urlencode(wanted.stated)}" if wanted.stated else ""
    return {form.name: f"/exports/{wanted.view.value}.{form.value}{told}" for form in Format}
