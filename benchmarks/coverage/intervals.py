"""The intervals under test: of each, what it says of a snapshot and what it should hold."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, Final

from calslo_dagster.stats.bias import mean_bias
from calslo_dagster.stats.bins import Binned
from calslo_dagster.stats.cumulative import cumulative_error
from calslo_dagster.stats.deltas import centred_ece, centred_ece_change
from calslo_dagster.stats.ece import debiased_ece, debiased_squared_ece, equal_mass_ece, equal_width_ece, mce
from calslo_dagster.stats.estimate import Estimate
from calslo_dagster.stats.excess import brier_change, brier_parts
from calslo_dagster.stats.latch import error_reading
from calslo_dagster.stats.rates import base_rate, mean_score
from calslo_dagster.stats.recalibration import recalibration
from calslo_dagster.stats.reliability import reliability_curve
from calslo_dagster.stats.scores import brier, log_loss, spiegelhalter_z
from calslo_dagster.stats.smooth import smooth_ece, smooth_error
from calslo_dagster.stats.snapshot import Snapshot

End = float | None
Weeks = tuple[Snapshot, Snapshot]
# A snapshot, or two weeks of them.
Drawn = Any
# Of what was drawn and of its average: the ends, and the truths that they should hold.
Bounds = Callable[[Drawn, Drawn], list[tuple[End, End, float]]]
ROUNDING: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Interval:
    """One interval of the product.

    bounds: the ends for a snapshot, with the truth; missing: what share may miss; effort: one in so many repetitions
    tries it, for what takes long.
    """

    bounds: Bounds
    missing: float = 0.05
    effort: int = 1


def _of(estimator: Callable[[Snapshot], Estimate], truth: Callable[[Snapshot], float | None]) -> Interval:
    def bounds(drawn: Snapshot, expected: Snapshot) -> list[tuple[End, End, float]]:
        found, true = estimator(drawn), truth(expected)
        return [] if found.value is None or true is None else [(found.low, found.high, true)]

    return Interval(bounds)


def _value(estimator: Callable[[Snapshot], Estimate]) -> Callable[[Snapshot], float | None]:
    remembered: dict[int, tuple[Snapshot, float | None]] = {}

    def truth(expected: Snapshot) -> float | None:
        if id(expected) not in remembered:
            remembered.clear()
            remembered[id(expected)] = expected, estimator(expected).value
        return remembered[id(expected)][1]

    return truth


def _same(estimator: Callable[[Snapshot], Estimate]) -> Interval:
    return _of(estimator, _value(estimator))


def _squared(expected: Snapshot) -> float:
    sums = Binned.equal_mass(expected, 15)
    return float((sums.gap**2 / sums.weight).sum()) / sums.total_weight


def _reading(end: str, drawn: Snapshot, expected: Snapshot) -> list[tuple[End, End, float]]:
    now, true = error_reading(drawn), error_reading(expected)
    if now is None or true is None:
        return []
    return [(now.low, None, true.value) if end == "low" else (None, now.high, true.value)]


def _curve(drawn: Snapshot, expected: Snapshot) -> list[tuple[End, End, float]]:
    rows = zip(reliability_curve(drawn), reliability_curve(expected), strict=True)
    return [(found.low, found.high, true.rate) for found, true in rows]


def _smooth(drawn: Snapshot, expected: Snapshot) -> list[tuple[End, End, float]]:
    found, true = smooth_ece(drawn), smooth_error(expected)
    return [] if true is None else [(found.low, found.high, true.value)]


ECE: Final = _value(equal_mass_ece)
# Errors of calibration, which take the scores as given: only labels are drawn anew.
GIVEN: Final[Mapping[str, Interval]] = MappingProxyType(
    {
        "equal-mass ECE": _same(equal_mass_ece),
        "equal-width ECE, 10 bins": _same(partial(equal_width_ece, bins=10)),
        "equal-width ECE, 15 bins": _same(partial(equal_width_ece, bins=15)),
        "largest gap (MCE)": _same(mce),
        "debiased ECE": _of(debiased_ece, ECE),
        "centred ECE": _of(centred_ece, ECE),
        "debiased squared ECE": _of(debiased_squared_ece, _squared),
        "mean bias": _same(mean_bias),
        "cumulative error": _same(cumulative_error),
        "smooth ECE": Interval(_smooth, effort=10),
        "reading, low end": Interval(partial(_reading, "low")),
        "reading, high end": Interval(partial(_reading, "high")),
        "rate of a bin": Interval(_curve),
        "excess of the Brier score": _same(lambda s: brier_parts(s).excess),
        "Spiegelhalter's Z": _same(spiegelhalter_z),
    }
)
# Those that take the events as drawn from all there could be.
DRAWN: Final[Mapping[str, Interval]] = MappingProxyType(
    {
        "Brier score": _same(brier),
        "sharpness": _same(lambda s: brier_parts(s).sharpness),
        "log loss": _same(log_loss),
        "mean score": _same(mean_score),
        "base rate": _same(base_rate),
        "slope": _same(lambda s: recalibration(s).slope),
        "intercept": _same(lambda s: recalibration(s).intercept),
    }
)


def _ece_change(drawn: Weeks, expected: Weeks) -> list[tuple[End, End, float]]:
    found = centred_ece_change(*drawn)
    true = [equal_mass_ece(one).value or 0.0 for one in expected]
    return [(found.low, found.high, true[0] - true[1])]


def _excess_change(drawn: Weeks, expected: Weeks) -> list[tuple[End, End, float]]:
    found, true = brier_change(*drawn).excess, [brier_parts(one).excess.value or 0.0 for one in expected]
    return [(found.low, found.high, true[0] - true[1])]


# From a week to one with a tenth of its events.
CHANGES: Final[Mapping[str, Interval]] = MappingProxyType(
    {"change of the centred ECE": Interval(_ece_change), "change of the excess": Interval(_excess_change)}
)


def is_missed(low: End, high: End, truth: float) -> tuple[bool, bool]:
    """Return whether the truth lies below, or above."""
    slack = ROUNDING * (1 + abs(truth))
    return low is not None and truth < low - slack, high is not None and truth > high + slack


def nominal(name: str) -> float:
    """Return what share of that interval may miss."""
    return {**GIVEN, **DRAWN, **CHANGES}[name].missing
