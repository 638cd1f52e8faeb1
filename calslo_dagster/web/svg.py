"""Small drawings that pages hold as SVG: nothing but shapes, coloured by the theme."""

from itertools import groupby
from typing import Final

from markupsafe import Markup, escape

from calslo_dagster.pipeline.read_sparks import Spark
from calslo_dagster.slo.limits import figure
from calslo_dagster.slo.model import Bound, Verdict

_WIDTH, _HEIGHT, _PAD = 96.0, 26.0, 3.0
_GAP: Final = "–"
_SVG: Final = Markup('<svg class="spark" viewBox="0 0 96 26" role="img" aria-label="{}">{}</svg>')


def sparkline(spark: Spark, limit: Bound | None, unit: str) -> Markup:
    """Return the course with its limit, a dot on each breach; windows without a value are gaps."""
    known = [value for value in spark.values if value is not None]
    if not known:
        return escape(_GAP)
    ends = [*known, *_ends(limit, known)]
    low, high = min(ends), max(ends)
    points = [(n, value, verdict) for n, (value, verdict) in enumerate(zip(spark.values, spark.verdicts, strict=True))]
    step = (_WIDTH - 2 * _PAD) / max(1, len(points) - 1)

    def at(n: int, value: float) -> tuple[str, str]:
        share = (value - low) / (high - low) if high > low else 0.5
        return f"{_PAD + n * step:.1f}", f"{_HEIGHT - _PAD - share * (_HEIGHT - 2 * _PAD):.1f}"

    parts = [f'<path class="limit" d="M0 {at(0, end)[1]}H{_WIDTH:g}"/>' for end in _ends(limit, known)]
    for is_known, run in groupby(points, key=lambda one: one[1] is not None):
        spots = [",".join(at(n, value)) for n, value, _ in run if value is not None]
        parts += [f'<polyline points="{" ".join(spots)}"/>'] if is_known and len(spots) > 1 else []
    marked = [(*at(n, v), w) for n, v, w in points if v is not None and (w is Verdict.BREACHED or n == len(points) - 1)]
    parts += [
        f'<circle class="{"bad" if w is Verdict.BREACHED else "last"}" cx="{x}" cy="{y}" r="2"/>' for x, y, w in marked
    ]
    bad = sum(verdict is Verdict.BREACHED for verdict in spark.verdicts)
    told = f"{spark.spoken}: {figure(min(known), unit)} to {figure(max(known), unit)}, {bad} of {len(points)} breached"
    shapes = Markup("".join(parts))  # noqa: S704 - numbers and our own words only
    return _SVG.format(told, shapes)


def _ends(limit: Bound | None, known: list[float]) -> list[float]:
    """Return the ends of the limit that the drawing can show without flattening the course."""
    found = [] if limit is None else list(limit) if isinstance(limit, tuple) else [limit]
    reach = 3 * (max(known) - min(known)) or abs(max(known)) or 1.0
    return [end for end in found if min(known) - reach <= end <= max(known) + reach]
