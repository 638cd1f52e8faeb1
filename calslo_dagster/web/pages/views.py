"""The pages of all views but the board: one SLO, calibration, drift, reports, settings and the audit log."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from calslo_dagster.pipeline.views.wanted import MOST_DAYS, USUAL_DAYS, View, Wanted
from calslo_dagster.reporting.board import BoardFilter, Card
from calslo_dagster.reporting.periods import month_before, week_before
from calslo_dagster.slo.model import EVERYTHING
from calslo_dagster.slo.windows import DAY, WEEK
from calslo_dagster.web.access import Person, form_token
from calslo_dagster.web.front import Front, document_of, front_of
from calslo_dagster.web.pages.overview import Reader, files_of
from calslo_dagster.web.problems import missing
from calslo_dagster.web.templating import page

router: Final = APIRouter(include_in_schema=False)
RANGES: Final = (1, 2, 7, 14, 28, 90, 365)
_WEEKS, _MONTHS = 8, 3
Name = Annotated[str, Query(max_length=200)]
Days = Annotated[int, Query(ge=1, le=MOST_DAYS)]


@dataclass(frozen=True, slots=True)
class Choice:
    """A field of the form above a view; without options it is typed."""

    name: str
    title: str
    value: str
    options: tuple[tuple[str, str], ...] = ()


@router.get("/slos/{name}")
def slo_page(
    request: Request,
    person: Reader,
    name: str,
    *,
    slice: Name = "",  # noqa: A002 - it is the name in the address
    days: Days = USUAL_DAYS,
) -> Response:
    """Show one SLO on one slice."""
    front = front_of(request)
    card, slices = card_on(front, name, slice or EVERYTHING)
    choices = (
        Choice("slice", "Slice", card.slice, tuple((one, _spoken(one)) for one in slices)),
        range_choice(days),
    )
    wanted = Wanted(View.SLO, slo=name, slice=card.slice, days=days)
    return _shown(request, person, wanted, choices, card=card)


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


@router.get("/calibration")
def calibration(request: Request, person: Reader, *, slice: Name = "", days: Days = 7) -> Response:  # noqa: A002
    """Show the calibration tables, mask mismatches first."""
    wanted = Wanted(View.CALIBRATION, slice=slice.strip(), days=days)
    ranges = tuple((str(n), _days(n)) for n in (1, 2, 7, 14, 28))
    return _shown(request, person, wanted, (slice_choice(slice), Choice("days", "Time range", str(days), ranges)))


@router.get("/drift")
def drift(request: Request, person: Reader, *, slice: Name = "") -> Response:  # noqa: A002 - the name in the address
    """Show how slices moved from week to week."""
    return _shown(request, person, Wanted(View.DRIFT, slice=slice.strip()), (slice_choice(slice),))


@router.get("/reports")
def reports(request: Request, person: Reader, *, period: Name = "", slo: Name = "", slice: Name = "") -> Response:  # noqa: A002
    """Show the report of a week or a month."""
    front = front_of(request)
    names = _periods(front.now())
    wanted = Wanted(View.REPORT, slo=slo.strip(), slice=slice.strip(), period=period.strip() or names[0])
    known = dict.fromkeys((*names, wanted.period))
    slos = (("", "any"), *((one, one) for one in front.project().registry.names))
    choices = (
        Choice("period", "Week or month", wanted.period, tuple((one, one) for one in known)),
        Choice("slo", "SLO", wanted.slo, slos),
        slice_choice(slice),
    )
    return _shown(request, person, wanted, choices)


@router.get("/settings")
def settings(request: Request, person: Reader) -> Response:
    """Show the settings in force."""
    return _shown(request, person, Wanted(View.SETTINGS), ())


@router.get("/audit")
def audit(request: Request, person: Reader, *, days: Days = USUAL_DAYS) -> Response:
    """Show what was decided and done."""
    return _shown(request, person, Wanted(View.AUDIT, days=days), (range_choice(days),))


def _periods(now: datetime) -> list[str]:
    """Return the weeks and months that are over, the newest first."""
    weeks = [week_before(now - n * WEEK).name for n in range(_WEEKS)]
    months = dict.fromkeys(month_before(now - 30 * n * DAY).name for n in range(_MONTHS))
    return [*weeks, *months]


def slice_choice(value: str) -> Choice:
    """Return the field for the pattern of slices."""
    return Choice("slice", "Slice", value)


def range_choice(days: int) -> Choice:
    """Return the field for the days back."""
    return Choice("days", "Time range", str(days), tuple((str(n), _days(n)) for n in sorted({*RANGES, days})))


def _days(number: int) -> str:
    return f"{number} day{'s' if number > 1 else ''}"


def _spoken(slice_name: str) -> str:
    return "everything" if slice_name == EVERYTHING else slice_name.replace(",", ", ")


def _shown(
    request: Request, person: Person | None, wanted: Wanted, choices: Sequence[Choice], *, card: Card | None = None
) -> Response:
    front = front_of(request)
    stamp = front.stamp()
    document = document_of(front, wanted)
    names: dict[str, Any] = {
        "document": document,
        "drawings": front.workshop.drawings(document),
        "choices": choices,
        "card": card,
        "links": files_of(wanted),
        "stamp": stamp,
        "person": person,
        "form_token": form_token(front, person),
        "as_of": front.now(),
    }
    return page(request, "view.html", names)
