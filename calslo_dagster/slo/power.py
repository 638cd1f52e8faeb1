"""What a measurement could have seen: the evidence in it, and the least miss that so many events would have shown."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from calslo_dagster.slo.limits import passes
from calslo_dagster.slo.model import SLO, Bound, Evidence, Operator
from calslo_dagster.slo.trials import Calibration, Certain, Counts, Rate
from calslo_dagster.stats.ece import null_floor
from calslo_dagster.stats.estimate import Estimate
from calslo_dagster.stats.intervals import HALF_NORMAL_VARIANCE, upper_tail
from calslo_dagster.stats.rate_bets import rate_e_value
from calslo_dagster.stats.sequential import LARGEST_MASS

# The normal quantile at 80 %.
POWER_Z: Final = 0.8416
POWER: Final = 0.80


@dataclass(frozen=True, slots=True)
class Sight:
    """What one look could have seen; see `Measurement` for the fields."""

    e_value: float | None = None
    detectable: float | None = None


BLIND: Final = Sight()


def sight(slo: SLO, evidence: Evidence, estimate: Estimate, fail: Bound | None) -> Sight:
    """Return the evidence of one look against the promise, and the least value that it shows with 80 % power.

    Exact for rates (a mixture of likelihood ratios) and for counts; by normal theory for estimates with a standard
    error: e = 1 / (2 sqrt(p)) of the one-sided p-value (Vovk and Wang 2021). Without a standard error there is neither.
    """
    if estimate.value is None or fail is None or not math.isfinite(estimate.value):
        return BLIND
    match slo.trial:
        case Certain():
            return _certain(slo, estimate, fail)
        case Rate(counts=counts, limit=own):
            limit = fail if own is None else own
            return _of_rate(counts(evidence.current), limit, slo.objective.operator)
        case Calibration():
            return _of_interval(slo, estimate, fail, noise=_calibrated_noise(evidence, estimate))
        case _:
            return _of_interval(slo, estimate, fail, noise=estimate.standard_error)


def p_to_e(p: float) -> float:
    """Return an e-value made of a p-value: of mean at most 1 whenever the p-value is valid (Vovk and Wang 2021)."""
    return min(LARGEST_MASS, 0.5 / math.sqrt(p)) if p > 0 else LARGEST_MASS


def _certain(slo: SLO, estimate: Estimate, fail: Bound) -> Sight:
    is_kept = passes(slo.objective.operator, estimate.value or 0.0, fail)
    if fail == 0 and estimate.events:
        # So small a rate shows at least one hit in four of five windows.
        return Sight(0.0 if is_kept else LARGEST_MASS, 1 - (1 - POWER) ** (1 / estimate.events))
    return Sight(0.0 if is_kept else LARGEST_MASS, fail if isinstance(fail, float) else None)


def _of_rate(counts: Counts, limit: Bound, operator: Operator) -> Sight:
    if isinstance(limit, tuple) or not 0 < limit < 1 or not counts.trials:
        return BLIND
    n = counts.trials
    # Rounding must not make one hit more or less of a limit that is met exactly.
    needed = math.ceil(limit * n - 1e-9) if operator is Operator.BELOW else math.floor(limit * n + 1e-9) + 1
    return Sight(rate_e_value(counts.hits, n, limit), _least_rate(min(needed, n), n))


def _least_rate(hits: int, trials: int) -> float:
    """Return the rate at which so many hits or more come with 80 % probability, by normal theory.

    The larger root of (n p - hits + 1/2)^2 = z^2 n p (1 - p), as in Wilson's interval.
    """
    share, square = (hits - 0.5) / trials, POWER_Z * POWER_Z / trials
    half = POWER_Z * math.sqrt(max(share * (1 - share), 0.0) / trials + square / (4 * trials))
    return min(1.0, (share + square / 2 + half) / (1 + square))


def _of_interval(slo: SLO, estimate: Estimate, fail: Bound, *, noise: float | None) -> Sight:
    if noise is None or estimate.value is None:
        return BLIND
    past, edge = distance_past(slo.objective.operator, estimate.value, fail)
    error = estimate.standard_error or noise
    p = upper_tail(past / error) if error > 0 else float(past <= 0)
    if slo.objective.operator is Operator.EQUAL:
        # Past on either side.
        p = min(1.0, 2 * p)
    return Sight(p_to_e(p), edge(POWER_Z * noise))


def distance_past(operator: Operator, value: float, fail: Bound) -> tuple[float, Callable[[float], float]]:
    """Return how far the value is past its limit, negative while it is kept, and what lies so far past the limit."""
    if isinstance(fail, tuple):
        low, high = fail
        is_low = low - value > value - high
        return (low - value, lambda by: low - by) if is_low else (value - high, lambda by: high + by)
    if operator in (Operator.AT_LEAST, Operator.ABOVE):
        return fail - value, lambda by: fail - by
    if operator is Operator.EQUAL:
        return abs(value - fail), lambda by: fail + by
    return value - fail, lambda by: fail + by


def _calibrated_noise(evidence: Evidence, estimate: Estimate) -> float | None:
    """Return the scatter of a calibration error that is well above its noise, which that near zero understates."""
    floor = null_floor(evidence.current)
    return floor.deviation / math.sqrt(HALF_NORMAL_VARIANCE) if floor else estimate.standard_error
