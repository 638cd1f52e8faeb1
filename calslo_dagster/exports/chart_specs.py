"""Vega-Lite specifications of the charts beside the course: reliability diagrams, budgets and trends."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Final

from calslo_dagster.exports.charts import SCHEMA, SENTINELS, config
from calslo_dagster.reporting.budget_course import BudgetCourse
from calslo_dagster.slo.calibration_table import CalibrationBin
from calslo_dagster.slo.slice_trends import SliceTrend
from calslo_dagster.stats.intervals import LEVEL, clopper_pearson

_SIDE: Final = 380
_WIDTH: Final = 860
# A bin of one score has no width, and would be as high as no chart is.
_THINNEST: Final = 0.002
_QUIET: Final = {"aria": False}


def reliability_spec(bins: Sequence[CalibrationBin]) -> dict[str, Any]:
    """Return the reliability diagram: observed rate against mean score, with the density of the scores below.

    The band around each rate holds in all bins together with 95 % (Bonferroni), since of 15 intervals of 95 % each one
    misses every other time; a triangle is a bin whose band does not hold the mean score.
    """
    rows = [_bin(one, len(bins)) for one in bins if one.mean_score is not None]
    top = min(1.0, 1.05 * max((max(row["score"], row["far"]) for row in rows), default=1.0))
    domain = {"domain": [0, top], "nice": False}
    x = {"field": "score", "type": "quantitative", "title": "Mean score", "scale": domain}
    y = {"field": "rate", "type": "quantitative", "title": "Observed rate", "scale": domain}
    upper = {
        "width": _SIDE,
        "height": _SIDE,
        "layer": [
            _diagonal(top),
            _rule({"opacity": 0.3, "strokeWidth": 5}, x, {**y, "field": "near"}, "far"),
            _rule({"strokeWidth": 1.4}, x, {**y, "field": "low"}, "high"),
            _points(x, y, is_off=False),
            _points(x, y, is_off=True),
        ],
    }
    return _whole({"data": {"values": rows}, "spacing": 8, "vconcat": [upper, _histogram(top)]})


def _bin(one: CalibrationBin, bins: int) -> dict[str, Any]:
    rate, score = one.observed or 0.0, one.mean_score or 0.0
    near, far = clopper_pearson(rate * one.size, one.size, 1 - (1 - LEVEL) / max(1, bins))
    return {
        "score": score,
        "rate": rate,
        "low": one.low,
        "high": one.high,
        "near": near,
        "far": far,
        "off": not near <= score <= far,
        "lower": one.lower,
        "upper": one.upper,
        "density": one.events / max(one.upper - one.lower, _THINNEST),
    }


def off_bins(bins: Sequence[CalibrationBin]) -> int:
    """Return how many bins the diagram marks as off, all together at 95 %."""
    return sum(_bin(one, len(bins))["off"] for one in bins if one.mean_score is not None)


def _rule(look: dict[str, Any], x: Mapping[str, Any], y: Mapping[str, Any], high: str) -> dict[str, Any]:
    mark = {"type": "rule", "color": SENTINELS["band"], **look, **_QUIET}
    return {"mark": mark, "encoding": {"x": x, "y": y, "y2": {"field": high}}}


def _points(x: Mapping[str, Any], y: Mapping[str, Any], *, is_off: bool) -> dict[str, Any]:
    colour, shape = ("breached", "triangle-up") if is_off else ("band", "circle")
    mark = {"type": "point", "filled": True, "size": 62, "opacity": 1, "shape": shape, "color": SENTINELS[colour]}
    which = "datum.off" if is_off else "!datum.off"
    return {"mark": {**mark, **_QUIET}, "transform": [{"filter": which}], "encoding": {"x": x, "y": y}}


def _diagonal(top: float) -> dict[str, Any]:
    at = {"type": "quantitative"}
    return {
        "data": {"values": [{"a": 0, "b": 0}, {"a": top, "b": top}]},
        "mark": {"type": "line", "color": SENTINELS["muted"], "strokeDash": [5, 4], "strokeWidth": 1.2, **_QUIET},
        "encoding": {"x": {"field": "a", **at}, "y": {"field": "b", **at}},
    }


def _histogram(top: float) -> dict[str, Any]:
    scale = {"domain": [0, top], "nice": False, "clamp": True}
    return {
        "width": _SIDE,
        "height": 70,
        "mark": {"type": "rect", "color": SENTINELS["muted"], "opacity": 0.55, **_QUIET},
        "encoding": {
            "x": {"field": "lower", "type": "quantitative", "title": None, "scale": scale, "axis": {"labels": False}},
            "x2": {"field": "upper"},
            "y": {
                "field": "density",
                "type": "quantitative",
                "title": "Events",
                "axis": {"labels": False, "ticks": False},
            },
            "y2": {"datum": 0},
        },
    }


def budget_spec(course: BudgetCourse) -> dict[str, Any]:
    """Return the budget that was left at the end of each day, the line of zero, and where the pace leads."""
    rows = [{"day": _day(one.day), "left": one.left} for one in course.days]
    ahead = [{"day": _day(one.day), "left": one.left} for one in course.ahead]
    x = {"field": "day", "type": "temporal", "title": None, "scale": {"type": "utc"}, "axis": {"tickCount": 8}}
    y = {"field": "left", "type": "quantitative", "title": "Windows left"}
    line = {"type": "line", "color": SENTINELS["band"], "strokeWidth": 1.8, "interpolate": "step-after", **_QUIET}
    zero = {"type": "rule", "color": SENTINELS["breached"], "strokeDash": [5, 3], **_QUIET}
    layers: list[dict[str, Any]] = [
        {"data": {"values": [{"zero": 0}]}, "mark": zero, "encoding": {"y": {"field": "zero", "type": "quantitative"}}},
        {"data": {"values": rows}, "mark": line, "encoding": {"x": x, "y": y}},
    ]
    if ahead:
        dashed = {"type": "line", "color": SENTINELS["muted"], "strokeDash": [3, 3], "strokeWidth": 1.4, **_QUIET}
        layers.append({"data": {"values": ahead}, "mark": dashed, "encoding": {"x": x, "y": y}})
    return _whole({"width": _WIDTH, "height": 180, "layer": layers})


def trend_spec(last: SliceTrend) -> dict[str, Any]:
    """Return the forecast of 30 days with its 10 to 90 % interval and the limits."""
    low, middle, high = last.forecast
    rows = [
        {"day": _day(last.day + timedelta(days=n)), "low": a, "middle": b, "high": c}
        for n, (a, b, c) in enumerate(zip(low, middle, high, strict=True))
    ]
    limits = [{"limit": end} for end in (last.limit_low, last.limit_high) if end is not None]
    x = {"field": "day", "type": "temporal", "title": None, "scale": {"type": "utc"}, "axis": {"tickCount": 8}}
    y = {"type": "quantitative", "title": None, "scale": {"zero": False}}
    band = {"type": "area", "color": SENTINELS["band"], "opacity": 0.18, **_QUIET}
    line = {"type": "line", "color": SENTINELS["band"], "strokeWidth": 1.8, **_QUIET}
    rule = {"type": "rule", "color": SENTINELS["breached"], "strokeDash": [5, 3], **_QUIET}
    layers: list[dict[str, Any]] = [
        {"mark": band, "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}}},
        {"mark": line, "encoding": {"x": x, "y": {**y, "field": "middle"}}},
    ]
    if limits:
        layers.append({"data": {"values": limits}, "mark": rule, "encoding": {"y": {**y, "field": "limit"}}})
    return _whole({"width": _WIDTH, "height": 180, "data": {"values": rows}, "layer": layers})


def _day(day: date) -> str:
    return f"{day:%Y-%m-%d}T00:00:00Z"


def _whole(spec: dict[str, Any]) -> dict[str, Any]:
    return {"$schema": SCHEMA, "background": None, **spec, "config": config()}
