"""How sure an estimate is of its limit: the verdict of an SLO in evidence mode that has no detector of its own.

A miss is a breach where an estimate at the limit would miss it so far in less than the false alarms allowed, over all
the windows of all slices that are looked at. That holds however the windows depend on each other, for rates add.
"""

import math
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist
from typing import Final

from calslo_dagster.slo.limits import passes, promise
from calslo_dagster.slo.model import SLO, Bound, Limits, Operator, Verdict
from calslo_dagster.slo.power import distance_past
from calslo_dagster.slo.trials import BY_INTERVAL, Interval
from calslo_dagster.stats.estimate import Estimate

# One-sided 95 %.
CERTAIN_Z: Final = 1.645
# Standard errors of fewer events say nothing of chances as small as those of a false alarm.
FEWEST_EVENTS: Final = 30


@dataclass(frozen=True, slots=True)
class Surety:
    """A verdict, what it says of the limit, and how many more events a verdict takes, where it is unknown."""

    verdict: Verdict
    words: str
    needed: int | None = None


def surety(slo: SLO, estimate: Estimate, limits: Limits, looks: float) -> Surety:
    """Return what the estimate's standard error allows to say, with `looks` windows in 30 days."""
    value, error, fail = estimate.value, estimate.standard_error, limits.fail
    if value is None or error is None or fail is None or estimate.events < FEWEST_EVENTS:
        return _unknown(estimate, fail)
    trial = slo.trial if isinstance(slo.trial, Interval) else BY_INTERVAL
    past = distance_past(slo.objective.operator, value, fail)[0] + trial.allowance * error
    looks *= _ways(slo)
    limit = promise(slo.objective.operator, fail, slo.unit)
    is_missed = not passes(slo.objective.operator, value, fail)
    if is_missed and past > alarm_z(slo.alarms.breaches / looks) * error:
        return Surety(Verdict.BREACHED, f"which no chance explains; it must be {limit}")
    if is_missed:
        return Surety(Verdict.WARNING, f"past its limit, but by chance perhaps; it must be {limit}")
    if limits.warn is not None and _is_past(slo, estimate, limits.warn, looks):
        limit = promise(slo.objective.operator, limits.warn, slo.unit)
        return Surety(Verdict.WARNING, f"which no chance explains; it should be {limit}")
    if past + CERTAIN_Z * error <= 0 and slo.objective.operator is not Operator.EQUAL:
        return Surety(Verdict.MEETING, "within its limits with 95 %")
    return Surety(Verdict.UNKNOWN, f"too near to tell from its limit, {limit}", _needed(estimate, past, error))


def _unknown(estimate: Estimate, fail: Bound | None) -> Surety:
    if None in (estimate.value, estimate.standard_error, fail):
        return Surety(Verdict.UNKNOWN, "whose noise nobody knows; write mode: threshold")
    few = f"from fewer events than the {FEWEST_EVENTS} that its noise is known from"
    return Surety(Verdict.UNKNOWN, few, max(1, FEWEST_EVENTS - estimate.events))


def _ways(slo: SLO) -> int:
    """Return in how many ways one look may be a false alarm: each part, and above as well as below one value."""
    parts = slo.trial.parts if isinstance(slo.trial, Interval) else 1
    return parts * 2 if slo.objective.operator is Operator.EQUAL else parts


def _is_past(slo: SLO, estimate: Estimate, warn: Bound, looks: float) -> bool:
    past, _ = distance_past(slo.objective.operator, estimate.value or 0.0, warn)
    return past > 0 and past > alarm_z(slo.alarms.warnings / looks) * (estimate.standard_error or 0.0)


@cache
def alarm_z(share: float) -> float:
    """Return by how many standard errors a value must miss its limit, if `share` of the looks may be false alarms."""
    return NormalDist().inv_cdf(1 - share) if share < 0.5 else 0.0


def _needed(estimate: Estimate, past: float, error: float) -> int | None:
    """Return how many more events would show that the limit is kept, if the value stays what it is."""
    if past >= 0 or not estimate.events:
        return None
    return max(1, math.ceil(estimate.events * ((CERTAIN_Z * error / past) ** 2 - 1)))
