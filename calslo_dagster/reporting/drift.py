"""The weekly drift report: which metric of which slice moved, and whether chance alone explains it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from calslo_dagster.reporting.tables import NOTHING, markdown
from calslo_dagster.slo.limits import plain
from calslo_dagster.stats.drift import Delta


class Movement(StrEnum):
    """What the interval of a change says about the limit, most urgent first.

    past: certainly past the limit, either way; moved: certainly not zero, and at or past the limit as measured;
    unclear: too few events to say; steady: certainly within the limit; unmeasured: unknown for one of the weeks.
    """

    PAST = "past"
    MOVED = "moved"
    UNCLEAR = "unclear"
    STEADY = "steady"
    UNMEASURED = "unmeasured"


_ORDER: Final = tuple(Movement)


@dataclass(frozen=True, slots=True)
class DriftRow:
    """The change of one metric of one slice from the week before to the week that starts at `week`."""

    week: datetime
    slice: str
    metric: str
    baseline: float | None
    current: float | None
    change: float | None
    low: float | None
    high: float | None
    events: int
    movement: Movement
    reason: str


def drift_rows(week: datetime, changes: Mapping[str, Iterable[Delta]], limit: float) -> list[DriftRow]:
    """Return the rows of all slices, the largest certain movements first."""
    rows = [_row(week, name, delta, limit) for name, deltas in changes.items() for delta in deltas]
    return sorted(rows, key=lambda r: (_ORDER.index(r.movement), -abs(r.change or 0.0), r.slice, r.metric))


def movers(rows: Sequence[DriftRow]) -> list[DriftRow]:
    """Return the rows that moved beyond what chance explains, in their order."""
    return [row for row in rows if row.movement in (Movement.PAST, Movement.MOVED)]


def drift_markdown(rows: Sequence[DriftRow]) -> str:
    """Return the rows as a Markdown table."""
    header = ("slice", "metric", "before", "now", "change", "95 % interval", "events", "movement")
    return markdown(header, [_cells(row) for row in rows])


def _row(week: datetime, name: str, delta: Delta, limit: float) -> DriftRow:
    change = delta.change
    return DriftRow(
        week=week,
        slice=name,
        metric=delta.metric,
        baseline=delta.baseline.value,
        current=delta.current.value,
        change=change.value,
        low=change.low,
        high=change.high,
        events=change.events,
        movement=_movement(delta, limit),
        reason=change.reason,
    )


def _movement(delta: Delta, limit: float) -> Movement:
    value, low, high = delta.change.value, delta.change.low, delta.change.high
    if value is None:
        return Movement.UNMEASURED
    if low is None or high is None:
        return Movement.UNCLEAR
    if low > limit or high < -limit:
        return Movement.PAST
    if abs(value) >= limit and not low <= 0 <= high:
        return Movement.MOVED
    return Movement.STEADY if -limit < low and high < limit else Movement.UNCLEAR


def _cells(row: DriftRow) -> tuple[str, ...]:
    interval = NOTHING if row.low is None or row.high is None else f"{_signed(row.low)} to {_signed(row.high)}"
    return (
        row.slice,
        row.metric,
        _number(row.baseline),
        _number(row.current),
        NOTHING if row.change is None else _signed(row.change),
        interval,
        f"{row.events:,}",
        row.movement,
    )


def _number(value: float | None) -> str:
    return NOTHING if value is None else plain(value)


def _signed(value: float) -> str:
    return f"+{plain(value)}" if value > 0 else plain(value)
