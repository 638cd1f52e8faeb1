"""Charts from Vega-Lite specifications, drawn as SVG without a browser; needs the extra `charts`.

The drawing holds sentinel colours, which `themed` turns into the variables of a page's theme, so that one drawing
serves the light and the dark one.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec
from typing import Any, Final

from calslo_dagster.reporting.points import Course, Point
from calslo_dagster.slo.limits import figure
from calslo_dagster.slo.model import Verdict

VEGA_LITE: Final = "6.4"
SCHEMA: Final = f"https://vega.github.io/schema/vega-lite/v{VEGA_LITE[0]}.json"
# Colours that nobody else writes, each standing for a name of the theme.
SENTINELS: Final = {
    name: f"#0{n:x}000{n:x}"
    for n, name in enumerate(("ink", "muted", "line", "panel", "band", "breached", "zone", "link"), start=1)
}
_FIELDS: Final = ("value", "low", "high", "limit", "warn")
_GAPS: Final = 1.5


class ChartsMissingError(ModuleNotFoundError):
    """The extra that draws charts is not installed."""


@dataclass(frozen=True, slots=True)
class Size:
    """The inner width and height of a chart in pixels."""

    width: int = 860
    height: int = 240


USUAL: Final = Size()


def can_draw() -> bool:
    """Whether what draws is installed."""
    return find_spec("vl_convert") is not None


def series_spec(course: Course, breaches: Iterable[tuple[datetime, datetime]], size: Size = USUAL) -> dict[str, Any]:
    """Return the Vega-Lite specification of a course: value, interval, limits, and where it was breached."""
    rows = [_row(point, segment) for point, segment in zip(course.points, _segments(course.points), strict=True)]
    spans = [{"from": iso(start), "to": iso(end)} for start, end in breaches]
    at = {"field": "at", "type": "temporal", "title": None, "scale": {"type": "utc"}, "axis": {"tickCount": 8}}
    share = course.unit == "share"
    y = {
        "type": "quantitative",
        "title": None,
        "axis": {"format": ".3~%" if share else ".3~s" if course.unit == "us" else ".3~g"},
    }
    own = {"x": at, "detail": {"field": "segment"}}
    return {
        "$schema": SCHEMA,
        "width": size.width,
        "height": size.height,
        "background": None,
        "data": {"values": rows},
        "layer": [
            *([_breaches(spans)] if spans else []),
            _mark({"type": "area", "color": SENTINELS["band"], "opacity": 0.16}, own, y | {"field": "low"}, y2="high"),
            _mark(
                {
                    "type": "line",
                    "color": SENTINELS["breached"],
                    "strokeDash": [5, 3],
                    "strokeWidth": 1.2,
                    "interpolate": "step-before",
                },
                {"x": at},
                y | {"field": "limit"},
            ),
            _mark({"type": "line", "color": SENTINELS["band"], "strokeWidth": 1.6}, own, y | {"field": "value"}),
            _bad(at, y),
        ],
        "config": config(),
    }


def _mark(mark: dict[str, Any], shared: dict[str, Any], y: dict[str, Any], *, y2: str = "") -> dict[str, Any]:
    upper = {"y2": {"field": y2}} if y2 else {}
    needed = [f"isValid(datum.{name})" for name in (y["field"], y2) if name]
    # Told once by the label of the whole drawing and by the table beside it, not point by point.
    quiet = {**mark, "aria": False}
    return {"mark": quiet, "transform": [{"filter": " && ".join(needed)}], "encoding": {**shared, "y": y, **upper}}


def _bad(at: dict[str, Any], y: dict[str, Any]) -> dict[str, Any]:
    mark = {
        "type": "point",
        "shape": "triangle-up",
        "filled": True,
        "color": SENTINELS["breached"],
        "size": 55,
        "aria": False,
    }
    return {
        "mark": {**mark, "opacity": 1},
        "transform": [{"filter": "datum.bad && isValid(datum.value)"}],
        "encoding": {"x": at, "y": y | {"field": "value"}},
    }


def _breaches(spans: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    x = {"field": "from", "type": "temporal", "scale": {"type": "utc"}}
    mark = {"type": "rect", "color": SENTINELS["zone"], "opacity": 0.1, "aria": False}
    return {"data": {"values": list(spans)}, "mark": mark, "encoding": {"x": x, "x2": {"field": "to"}}}


def config() -> dict[str, Any]:
    """Return what all charts look like."""
    ink, muted, line = (SENTINELS[name] for name in ("ink", "muted", "line"))
    axis = {"labelColor": muted, "titleColor": ink, "gridColor": line, "domainColor": line, "tickColor": line}
    return {
        "font": "Liberation Sans",
        "view": {"stroke": None},
        "axis": {**axis, "labelFontSize": 12, "gridWidth": 1},
        "axisX": {"grid": False},
    }


def _row(point: Point, segment: int) -> dict[str, Any]:
    limit, warn = (_upper(bound) for bound in (point.threshold, point.warn_threshold))
    numbers = dict(zip(_FIELDS, (point.value, point.low, point.high, limit, warn), strict=True))
    return {"at": iso(point.at), "segment": segment, "bad": point.verdict is Verdict.BREACHED, **numbers}


def _upper(bound: object) -> float | None:
    return float(bound[1]) if isinstance(bound, tuple) else bound if isinstance(bound, float | int) else None


def _segments(points: Sequence[Point]) -> list[int]:
    """Return the number of the unbroken run that each point is in, so that no line crosses what is not known."""
    found, number, was_known = [], 0, True
    for point in points:
        is_known = point.value is not None
        number += is_known and not was_known
        found.append(number)
        was_known = is_known
    return found


def iso(at: datetime) -> str:
    """Return an instant as the charts read it."""
    return at.isoformat().replace("+00:00", "Z")


def described(course: Course) -> str:
    """Return the course in words, for those who do not see the drawing."""
    known = [point.value for point in course.points if point.value is not None]
    if not known:
        return "No value is known."
    bad = sum(point.verdict is Verdict.BREACHED for point in course.points)
    span = f"{course.points[0].at:%Y-%m-%d %H:%M} to {course.points[-1].at:%Y-%m-%d %H:%M} UTC"
    low, high, last = (figure(value, course.unit) for value in (min(known), max(known), known[-1]))
    return f"{span}: between {low} and {high}, last {last}; {bad} of {len(course.points)} windows breached."


def drawn(spec: Mapping[str, Any]) -> str:
    """Return the drawing as SVG with sentinel colours; ChartsMissingError without the extra."""
    try:
        import vl_convert  # noqa: PLC0415 - large, and only those who draw need it
    except ModuleNotFoundError as error:
        raise ChartsMissingError('charts need more: run `pip install "calslo_dagster[charts]"`') from error
    svg: str = vl_convert.vegalite_to_svg(dict(spec), vl_version=VEGA_LITE)
    return svg


def coloured(svg: str, colours: Mapping[str, str]) -> str:
    """Return the drawing in these colours, by their names in a theme."""
    for name, colour in SENTINELS.items():
        svg = re.sub(re.escape(colour), colours[name], svg, flags=re.IGNORECASE)
    return svg


def themed(svg: str, title: str) -> str:
    """Return the drawing in the colours of the page's theme, with its description."""
    svg = coloured(svg, {name: f"var(--{name})" for name in SENTINELS})
    escaped = title.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    opening, _, rest = svg.partition(">")
    # The page says what it is; the drawing's own roles would name each line and tick.
    plain = re.sub(r' (aria-[a-z]+|role)="[^"]*"', "", rest)
    return f'{opening} role="img"><title>{escaped}</title>{plain}'
