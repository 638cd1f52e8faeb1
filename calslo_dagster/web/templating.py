"""Pages from templates: everything is escaped, and what a template lacks is an error."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final
from urllib.parse import quote

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import HTMLResponse

from calslo_dagster import __version__
from calslo_dagster.exports.page import LOADER
from calslo_dagster.reporting.board import NOTHING, Card
from calslo_dagster.reporting.document import percent, pieces
from calslo_dagster.reporting.points import Point
from calslo_dagster.reporting.states import WORDS
from calslo_dagster.slo.limits import figure as told
from calslo_dagster.slo.model import Bound

THEMES: Final = ("light", "dark")
_STEPS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"))


def page(
    request: Request,
    template: str,
    names: Mapping[str, Any],
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> HTMLResponse:
    """Return the page, in the theme that was asked for by `?theme=` or once chosen."""
    query = f"?{request.url.query}" if request.url.query else ""
    around: dict[str, Any] = {
        "theme": theme_of(request),
        "here": request.url.path,
        "path_here": request.url.path + query,
        "person": None,
        "form_token": "",
        "as_of": None,
    }
    told_apart = {"Cache-Control": "no-cache", "Vary": "Cookie", **(headers or {})}
    content = _environment().get_template(template).render({**around, **names})
    return HTMLResponse(content, status, headers=told_apart)


def theme_of(request: Request) -> str:
    """Return the theme that was chosen; empty for the one of the system."""
    asked = request.query_params.get("theme") or request.cookies.get("calslo_theme", "")
    return asked if asked in THEMES else ""


@cache
def _environment() -> Environment:
    from calslo_dagster.web.assets import address  # noqa: PLC0415 - it answers errors with pages

    made = Environment(
        loader=ChoiceLoader([PackageLoader("calslo_dagster.web"), LOADER]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Callable[..., Any]] = {
        "moment": moment,
        "age": age,
        "percent": percent,
        "shortened": shortened,
        "marked": marked,
    }
    made.filters.update(filters)
    made.globals.update(
        asset=address,
        version=__version__,
        words=WORDS,
        figure=figure,
        interval=interval,
        slo_link=slo_link,
        pieces=pieces,
    )
    return made


def moment(at: datetime) -> Markup:
    """Return the instant with its zone, to the minute."""
    exact = at.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(f"{exact:%Y-%m-%dT%H:%M:%SZ}", f"{exact:%Y-%m-%d %H:%M} UTC")


def age(seconds: float | None) -> str:
    """Return how long ago something was, in its largest unit."""
    if seconds is None:
        return "never"
    size, unit = next(((size, unit) for size, unit in _STEPS if seconds >= size), (1, "s"))
    return f"{int(seconds // size)} {unit} ago"


def shortened(text: str, most: int) -> str:
    """Return the text cut at a word."""
    return text if len(text) <= most else f"{text[:most].rpartition(' ')[0]} …"


def marked(text: str) -> Markup:
    """Return the text with what stands between backticks as code."""
    code = Markup("<code>{}</code>")
    return Markup("").join(code.format(piece) if is_code else escape(piece) for piece, is_code in pieces(text))


def figure(value: Bound | None, unit: str) -> str:
    """Return a number, or a pair of limits, with its unit; a dash for none."""
    if value is None:
        return NOTHING
    return " to ".join(told(end, unit) for end in value) if isinstance(value, tuple) else told(value, unit)


def interval(point: Point, unit: str) -> str:
    """Return the interval of a point."""
    if point.low is None and point.high is None:
        return NOTHING
    return f"{figure(point.low, unit)} to {figure(point.high, unit)}"


def slo_link(card: Card) -> str:
    """Return the path of the page of a card."""
    return f"/slos/{quote(card.slo)}?slice={quote(card.slice, safe='')}"
