"""Reliability diagrams as SVG: what scores claimed against what happened, with the interval of each rate."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

from calslo_dagster.slo.calibration_table import CalibrationBin
from calslo_dagster.slo.limits import plain
from calslo_dagster.slo.model import Measurement, Verdict

SIDE: Final = 340
LEFT: Final = 64
TOP: Final = 112
PITCH: Final = SIDE + 100
HEIGHT: Final = TOP + SIDE + 92
GOOD: Final = "#1d6f42"
BAD: Final = "#b3261e"
INK: Final = "#24292f"
FAINT: Final = "#d0d7de"
STYLE: Final = f"""
text {{ font-family: system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; font-size: 13px; fill: {INK}; }}
.title {{ font-size: 18px; font-weight: 600; }}
.small {{ font-size: 12px; fill: #57606a; }}
.grid {{ stroke: {FAINT}; stroke-width: 1; }}
.ideal {{ stroke: #57606a; stroke-width: 1.5; stroke-dasharray: 5 4; }}
.interval {{ stroke-width: 2; stroke-linecap: round; }}
"""


@dataclass(frozen=True, slots=True)
class Panel:
    """A measurement with the calibration table of its window."""

    row: Measurement
    bins: tuple[CalibrationBin, ...]


def reliability_svg(title: str, panels: Sequence[Panel]) -> str:
    """Return the panels side by side under one title."""
    width = LEFT + PITCH * len(panels) - 40
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT}" width="{width}" height="{HEIGHT}">',
        f"<title>{escape(title)}</title><style>{STYLE}</style>",
        f'<rect width="{width}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text class="title" x="{LEFT}" y="34">{escape(title)}</text>',
    ]
    for place, panel in enumerate(panels):
        parts.append(f'<g transform="translate({LEFT + place * PITCH} {TOP})">')
        parts += [*_heading(panel.row), *_frame(), *(mark for one in panel.bins for mark in _marks(one)), "</g>"]
    parts.append(_legend())
    return "\n".join([*parts, "</svg>"]) + "\n"


def _heading(row: Measurement) -> Iterator[str]:
    colour = BAD if row.verdict is Verdict.BREACHED else GOOD
    limit = plain(row.threshold) if isinstance(row.threshold, float) else "-"
    value = "-" if row.value is None else plain(row.value)
    yield f'<text x="0" y="-46">24 h to {row.window_end:%Y-%m-%d %H:%M} UTC, {row.labeled:,} labelled events</text>'
    yield (
        f'<text x="0" y="-22" style="fill: {colour}; font-weight: 600">{row.verdict}: '
        f"{value}, promised at most {limit}</text>"
    )


def _frame() -> Iterator[str]:
    for tick in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        x, y = _place(tick, tick)
        yield f'<line class="grid" x1="{x}" y1="0" x2="{x}" y2="{SIDE}"/>'
        yield f'<line class="grid" x1="0" y1="{y}" x2="{SIDE}" y2="{y}"/>'
        yield f'<text class="small" x="{x}" y="{SIDE + 18}" text-anchor="middle">{tick:g}</text>'
        yield f'<text class="small" x="-8" y="{y + 4}" text-anchor="end">{tick:g}</text>'
    yield f'<line class="ideal" x1="0" y1="{SIDE}" x2="{SIDE}" y2="0"/>'
    yield f'<text class="small" x="{SIDE / 2}" y="{SIDE + 38}" text-anchor="middle">mean score of the bin</text>'
    yield (
        f'<text class="small" transform="translate(-40 {SIDE / 2}) rotate(-90)" text-anchor="middle">'
        "observed rate</text>"
    )


def _marks(one: CalibrationBin) -> Iterator[str]:
    if one.mean_score is None or one.observed is None or one.low is None or one.high is None:
        return
    colour = GOOD if one.is_consistent else BAD
    x, y = _place(one.mean_score, one.observed)
    (_, low), (_, high) = _place(0.0, one.low), _place(0.0, one.high)
    yield f'<line class="interval" x1="{x}" y1="{low}" x2="{x}" y2="{high}" stroke="{colour}"/>'
    yield f'<circle cx="{x}" cy="{y}" r="4.5" fill="{colour}"/>'


def _place(score: float, rate: float) -> tuple[float, float]:
    return round(score * SIDE, 1), round((1 - rate) * SIDE, 1)


def _legend() -> str:
    y = HEIGHT - 24
    return "\n".join(
        [
            f'<circle cx="{LEFT + 6}" cy="{y - 4}" r="4.5" fill="{GOOD}"/>',
            f'<text class="small" x="{LEFT + 18}" y="{y}">a bin whose 95 % interval holds its mean score</text>',
            f'<circle cx="{LEFT + 322}" cy="{y - 4}" r="4.5" fill="{BAD}"/>',
            f'<text class="small" x="{LEFT + 334}" y="{y}">a bin that claimed something else than what happened</text>',
        ]
    )
