"""Limits: which ones apply to a slice, how a value compares with one, and how far past it is."""

import math
from typing import Final

from calslo_dagster.slo.model import SLO, Bound, Evidence, Limits, Operator, Override
from calslo_dagster.slo.slices import matches

# A limit of zero has no relative excess; there one percentage point past it counts as once the limit.
_ZERO_LIMIT_UNIT: Final = 0.01
_WORDS: Final = {
    Operator.AT_MOST: "at most",
    Operator.BELOW: "below",
    Operator.AT_LEAST: "at least",
    Operator.ABOVE: "above",
    Operator.EQUAL: "equal to",
}


def own_limits(slo: SLO, slice_name: str, model: str) -> tuple[float | None, float | None]:
    """Return the fail and the warn limit that an override gives this slice and model, None where it gives none."""
    found = override_for(slo, slice_name, model)
    fail, warn = (found.fail, found.warn) if found else (None, None)
    return fail if isinstance(fail, float) else None, warn if isinstance(warn, float) else None


def limits_for(slo: SLO, evidence: Evidence, slice_name: str, model: str) -> Limits:
    """Return the limits of this slice and model: the objective's, changed by the first override that matches."""
    base = slo.objective.limits(evidence)
    override = override_for(slo, slice_name, model)
    return overridden(slo.objective.operator, base, override) if override else base


def override_for(slo: SLO, slice_name: str, model: str) -> Override | None:
    """Return the first override that matches the slice and the model; None for none."""
    return next((o for o in slo.overrides if matches(o.slices, slice_name) and matches(o.models, model)), None)


def overridden(operator: Operator, base: Limits, override: Override) -> Limits:
    """Return the limits with the override's in place of those that it gives."""
    fail = base.fail if override.fail is None else override.fail
    if override.warn is not None:
        return Limits(fail=fail, warn=override.warn)
    return Limits(fail=fail, warn=base.warn if is_stricter(operator, base.warn, fail) else None)


def is_stricter(operator: Operator, warn: Bound | None, fail: Bound | None) -> bool:
    """Whether every value that passes `warn` passes `fail` too and some value tells them apart."""
    if warn is None or fail is None or operator is Operator.EQUAL:
        return warn is not None and operator is not Operator.EQUAL
    if isinstance(warn, tuple) and isinstance(fail, tuple):
        return fail[0] <= warn[0] <= warn[1] <= fail[1] and warn != fail
    if isinstance(warn, tuple) or isinstance(fail, tuple):
        return False
    return warn < fail if operator in (Operator.AT_MOST, Operator.BELOW) else warn > fail


def passes(operator: Operator, value: float, limit: Bound) -> bool:
    """Whether the value keeps the limit; NaN never does. The ends of `within` belong to it."""
    if isinstance(limit, tuple):
        return limit[0] <= value <= limit[1]
    match operator:
        case Operator.AT_MOST:
            return value <= limit
        case Operator.BELOW:
            return value < limit
        case Operator.AT_LEAST:
            return value >= limit
        case Operator.ABOVE:
            return value > limit
        case _:
            return value == limit


def excess(operator: Operator, value: float, limit: Bound) -> float:
    """Return how far the value is past the limit, in multiples of the limit; negative while it is kept.

    A ranking number: 0 is at the limit, 1 is twice an upper limit. For `within` the multiple is of the range's
    half-width, for `==` every difference counts as past.
    """
    if isinstance(limit, tuple):
        low, high = limit
        half = (high - low) / 2 or _ZERO_LIMIT_UNIT
        return max(low - value, value - high) / half
    unit = abs(limit) or _ZERO_LIMIT_UNIT
    match operator:
        case Operator.AT_MOST | Operator.BELOW:
            return (value - limit) / unit
        case Operator.AT_LEAST | Operator.ABOVE:
            return (limit - value) / unit
        case _:
            return abs(value - limit) / unit


def figure(value: float, unit: str) -> str:
    """Return the value as people read it: shares in percent, numbers with four significant digits."""
    if unit == "share":
        return f"{value * 100:.4g} %"
    return f"{plain(value)} us" if unit == "us" else plain(value) if unit == "ratio" else f"{plain(value)} {unit}"


def plain(value: float) -> str:
    """Return a number with up to four significant digits, without an exponent where that is readable."""
    size = abs(value)
    if value == 0 or not math.isfinite(value):
        return f"{value + 0.0:g}"
    if size >= 1e15 or size < 1e-6:
        return f"{value:.3e}"
    if size >= 1000:
        return f"{value:,.0f}"
    return f"{value:.{3 - math.floor(math.log10(size))}f}".rstrip("0").rstrip(".")


def signed(value: float) -> str:
    """Return a number as `plain` does, with its sign."""
    return f"+{plain(value)}" if value > 0 else plain(value)


def promise(operator: Operator, limit: Bound, unit: str) -> str:
    """Return the limit in words: `at most 0.0150`, `between 5 % and 10 %`."""
    if isinstance(limit, tuple):
        return f"between {figure(limit[0], unit)} and {figure(limit[1], unit)}"
    return f"{_WORDS[operator]} {figure(limit, unit)}"
