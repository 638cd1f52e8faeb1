"""Trends in words: which slices are heading for a breach, how likely, and when."""

from collections.abc import Iterable, Sequence
from typing import Final

from calslo_dagster.reporting.tables import NOTHING, markdown
from calslo_dagster.slo.slice_trends import Quantity, SliceTrend, worst_first
from calslo_dagster.stats.trend import CONDITION, PAST, Direction

NO_TRENDS: Final = "None yet: `calibration_trends` tells them once a day."


def likely(probability: float | None) -> str:
    """Return a probability in whole percent, never as certain as 0 % or 100 %."""
    if probability is None:
        return NOTHING
    if probability >= 0.995:
        return "over 99 %"
    return "under 1 %" if probability < 0.005 else f"{probability * 100:.0f} %"


def outlook(row: SliceTrend) -> str:
    """Return what is to be expected of the slice: direction, probability of a breach, and when if that is known."""
    if row.direction is Direction.UNKNOWN:
        return row.reason
    heading = f"{row.direction} ({likely(row.probability)})"
    if row.reason == PAST:
        return f"{heading}, {PAST}"
    when = f"about {row.breach_on} {CONDITION}" if row.breach_on else row.reason
    return f"{heading}, {likely(row.p30)} to breach within 30 days, {when}"


def sentences(rows: Iterable[SliceTrend], limit: int) -> list[str]:
    """Return a sentence for each slice, the likeliest breach first; those without enough data are counted."""
    ranked = worst_first(rows)
    known = [row for row in ranked if row.direction is not Direction.UNKNOWN]
    told = [f"{row.slice}: {outlook(row)}" for row in known[:limit]]
    if rest := len(known) - len(told):
        told.append(f"{rest:,} more slices, none likelier to breach")
    if silent := [row for row in ranked if row.direction is Direction.UNKNOWN]:
        told.append(f"{silent[0].slice}: {outlook(silent[0])}")
        told += [f"{len(silent) - 1:,} more slices without enough data"] if len(silent) > 1 else []
    return told


def trends_markdown(rows: Iterable[SliceTrend], limit: int) -> str:
    """Return the slices as a Markdown table, the likeliest breach first."""
    rows = list(rows)
    header = (
        "slice",
        "direction",
        "likely",
        "within 7 days",
        "within 30 days",
        "breach about",
        "shift a day",
        "slope a day",
        "why",
    )
    by_key = {(row.slice, row.quantity): row for row in rows}
    ranked = worst_first(rows)
    lines = [
        _cells(row, by_key.get((row.slice, Quantity.SHIFT)), by_key.get((row.slice, Quantity.SLOPE)))
        for row in ranked[:limit]
    ]
    rest = len(ranked) - len(lines)
    return markdown(header, lines) + (f"\n{rest:,} more slices, none likelier to breach.\n" if rest else "")


def trend_lines(rows: Iterable[SliceTrend], limit: int) -> str:
    """Return the sentences as a Markdown table, in which slice names stay text; says so where there are none."""
    found = sentences(rows, limit)
    return markdown(("where slices are heading",), [(line,) for line in found]) if found else NO_TRENDS


def _cells(row: SliceTrend, shift: SliceTrend | None, slope: SliceTrend | None) -> Sequence[str]:
    date = str(row.breach_on) if row.breach_on else NOTHING
    odds = (likely(row.probability), likely(row.p7), likely(row.p30))
    return (row.slice, row.direction, *odds, date, _per_day(shift), _per_day(slope), row.reason)


def _per_day(row: SliceTrend | None) -> str:
    if row is None or row.per_day is None or row.se is None:
        return NOTHING
    return f"{row.per_day:+.2g} ± {row.se:.1g}"
