"""The availability table: what was promised, what is proven, the budget left and the mean times."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from calslo_dagster.reporting.tables import NOTHING, markdown, percent, place
from calslo_dagster.slo.availability import Promise, Tally
from calslo_dagster.slo.budget import Budget, budget
from calslo_dagster.slo.reliability import Exposure, MeanTime, Reliability, reliability
from calslo_dagster.slo.windows import spoken

_ORDER: Final = (Promise.BROKEN, Promise.UNDETERMINED, Promise.KEPT)
_HEADER: Final = (
    *("SLO", "slice", "target", "promise", "availability by window"),
    *("coverage", "budget left", "MTTR", "MTTF", "MTBF"),
)


@dataclass(frozen=True, slots=True)
class Observed:
    """What was observed of one track in a period."""

    slo: str
    slice: str
    model: str
    target: float
    tally: Tally
    exposure: Exposure


@dataclass(frozen=True, slots=True)
class AvailabilityRow:
    """One track's availability by window, with its coverage and bounds, budget and mean times."""

    slo: str
    slice: str
    model: str
    target: float
    promise: Promise
    tally: Tally
    budget: Budget
    times: Reliability


def availability_rows(observed: Iterable[Observed]) -> list[AvailabilityRow]:
    """Return the rows, broken promises first, then undetermined ones, each by the budget left at worst."""
    rows = [
        AvailabilityRow(
            slo=o.slo,
            slice=o.slice,
            model=o.model,
            target=o.target,
            promise=o.tally.promise(o.target),
            tally=o.tally,
            budget=budget(o.tally, o.target),
            times=reliability(o.exposure),
        )
        for o in observed
    ]
    return sorted(rows, key=lambda r: (_ORDER.index(r.promise), r.budget.left_at_worst, r.slo, r.slice, r.model))


def availability_markdown(rows: Sequence[AvailabilityRow]) -> str:
    """Return the rows as a Markdown table."""
    return markdown(_HEADER, [_cells(row) for row in rows])


def mean_time(time: MeanTime) -> str:
    """Return a mean time with its interval, or the bound that is all that is known."""
    if time.value is None:
        return NOTHING if time.low is None else f"over {spoken(time.low)}"
    if time.low is None or time.high is None:
        return spoken(time.value)
    return f"{spoken(time.value)} ({spoken(time.low)} to {spoken(time.high)})"


def _cells(row: AvailabilityRow) -> tuple[str, ...]:
    tally = row.tally
    bounds = percent(tally.low) if tally.low == tally.high else f"{percent(tally.low)} to {percent(tally.high)}"
    return (
        row.slo,
        place(row.slice, row.model),
        percent(row.target),
        row.promise,
        bounds,
        percent(tally.coverage),
        f"{row.budget.left} of {row.budget.allowed} windows",
        mean_time(row.times.mttr),
        mean_time(row.times.mttf),
        mean_time(row.times.mtbf),
    )
