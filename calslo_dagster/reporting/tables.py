"""Tables: measurements worst first, and rows as Markdown."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from calslo_dagster.slo import health
from calslo_dagster.slo.calibration_table import CalibrationBin
from calslo_dagster.slo.health import Finding
from calslo_dagster.slo.limits import figure, promise
from calslo_dagster.slo.model import EVERYTHING, SLO, Bound, Measurement, Objective, Operator, Verdict

# Slice values come from the log: without escapes a value could break a table, or place a link or an image in it.
_MARKDOWN: Final = re.compile(r"([\\`|*\[\]<>~])")
NOTHING: Final = "-"
_BARS: Final = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement as people read it; `value`, `limit` and `interval` are texts with their unit."""

    slo: str
    title: str
    slice: str
    model: str
    verdict: Verdict
    value: str
    limit: str
    interval: str
    events: int
    window_end: datetime
    is_final: bool
    reason: str
    excess: float


def worst_first(measurements: Iterable[Measurement], slos: Iterable[SLO]) -> list[Row]:
    """Return the measurements by verdict, breaches first, each by how far past its limit it is.

    `slos` give titles, units and operators; a measurement whose SLO is gone is shown by its name and bare numbers.
    """
    by_name = {slo.name: slo for slo in slos}
    findings = [finding(row, by_name.get(row.slo)) for row in measurements]
    return [_row(found, by_name.get(found.row.slo)) for found in health.worst_first(findings)]


def finding(row: Measurement, slo: SLO | None) -> Finding:
    """Return the measurement with its excess; `at most` is assumed for an SLO that is gone."""
    return Finding.of(row, slo.objective.operator if slo else Operator.AT_MOST)


def measurements_markdown(rows: Sequence[Row], limit: int = 50) -> str:
    """Return the first `limit` rows as a Markdown table with a line on the rest."""
    header = ("SLO", "slice", "verdict", "value", "limit", "95 % interval", "events", "why")
    cells = [_cells(row) for row in rows[:limit]]
    rest = len(rows) - len(cells)
    return markdown(header, cells) + (f"\n{rest:,} more rows, none worse than these.\n" if rest else "")


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; cells are escaped, so that whatever a log holds stays text."""
    lines = [list(header), ["---"] * len(header), *([_escaped(cell) for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def bullets(lines: Iterable[str]) -> str:
    """Return a Markdown list; lines are escaped as the cells of a table are."""
    return "".join(f"- {_escaped(line)}\n" for line in lines)


def place(slice_name: str, model: str) -> str:
    """Return the slice with its model, if one is known."""
    return slice_name if model in ("", EVERYTHING) else f"{slice_name} ({model})"


def moment(instant: datetime | None) -> str:
    """Return an instant to the minute, in UTC."""
    return f"{instant:%Y-%m-%d %H:%M}" if instant else NOTHING


def percent(share: float | None) -> str:
    """Return a share in percent with enough digits for three nines."""
    return NOTHING if share is None else f"{share * 100:.5g} %"


def bins_markdown(bins: Sequence[CalibrationBin]) -> str:
    """Return a calibration table as Markdown, one line per bin."""
    header = ("bin", "labelled events", "mean score", "observed", "95 % interval", "gap")
    return markdown(header, [_bin_cells(one) for one in bins])


def _bin_cells(one: CalibrationBin) -> tuple[str, ...]:
    span = f"{one.lower:.4f} to {one.upper:.4f}"
    numbers = (one.mean_score, one.observed, one.gap)
    score, observed, gap = (NOTHING if number is None else f"{number:.4f}" for number in numbers)
    return (span, f"{one.events:,}", score, observed, _interval(one.low, one.high, "ratio"), gap)


def sparkline(values: Sequence[float], width: int = 48) -> str:
    """Return the course of the values as a line of bars from the smallest to the largest, at most `width` long."""
    if not values:
        return NOTHING
    step = max(1.0, len(values) / width)
    picked = [values[int(i * step)] for i in range(int(len(values) / step))]
    low, high = min(picked), max(picked)
    span = (high - low) or 1.0
    return "".join(_BARS[int((value - low) / span * (len(_BARS) - 1))] for value in picked)


def _row(found: Finding, slo: SLO | None) -> Row:
    row, unit = found.row, slo.unit if slo else "ratio"
    return Row(
        slo=row.slo,
        title=slo.title if slo else row.slo,
        slice=row.slice,
        model=row.model,
        verdict=row.verdict,
        value=NOTHING if row.value is None else figure(row.value, unit),
        limit=_limit(row.threshold, slo.objective if slo else None, unit),
        interval=_interval(row.low, row.high, unit),
        events=row.events,
        window_end=row.window_end,
        is_final=row.is_final,
        reason=row.reason,
        excess=found.excess,
    )


def _cells(row: Row) -> tuple[str, ...]:
    where = place(row.slice, row.model)
    return (row.slo, where, row.verdict, row.value, row.limit, row.interval, f"{row.events:,}", row.reason)


def _limit(threshold: Bound | None, objective: Objective | None, unit: str) -> str:
    if threshold is None:
        return NOTHING
    operator = objective.operator if objective else Operator.AT_MOST
    return promise(operator, threshold, unit)


def _interval(low: float | None, high: float | None, unit: str) -> str:
    if low is None and high is None:
        return NOTHING
    ends = (NOTHING if end is None else figure(end, unit) for end in (low, high))
    return " to ".join(ends)


def _escaped(cell: str) -> str:
    return _MARKDOWN.sub(r"\\\1", " ".join(cell.split()))
