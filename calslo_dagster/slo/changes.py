"""Changes to an SLO that work for every SLO, and what is wrong with a definition."""

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any, Final

from calslo_dagster.slo.limits import is_stricter, overridden, passes, promise
from calslo_dagster.slo.model import (
    EVERYTHING,
    SLO,
    Bound,
    Cadence,
    Evidence,
    Limits,
    Objective,
    Operator,
    Override,
    Severity,
)
from calslo_dagster.slo.trials import Calibration, Interval, Mode, Rate, Untestable
from calslo_dagster.slo.windows import STEP, WEEK

_RANGES: Final = {"share": (0.0, 1.0), "us": (0.0, math.inf), "events": (0.0, math.inf)}
# The name becomes an asset key, a SQL view, a metric label and a URL.
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,47}")


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes to one SLO; None leaves a field as it is.

    fail, warn: limits of the operator that the SLO has. For an SLO that computes its limits they replace the computed
    ones. no_warning drops the warn limit. overrides go before those that the SLO has, so that they win.
    """

    fail: Bound | None = None
    warn: Bound | None = None
    no_warning: bool = False
    window: timedelta | None = None
    min_events: int | None = None
    target: float | None = None
    open_after: int | None = None
    open_within: int | None = None
    close_after: int | None = None
    slices: str | None = None
    owner: str | None = None
    severity: Severity | None = None
    runbook: str | None = None
    overrides: tuple[Override, ...] = ()
    mode: Mode | None = None


_TIMING: Final = ("window", "min_events", "target", "open_after", "open_within", "close_after")
_PLAIN: Final = (*_TIMING, "slices", "owner", "severity", "runbook", "mode")


def with_settings(slo: SLO, changes: Changes) -> SLO:
    """Return the SLO with the changes."""
    plain: dict[str, Any] = {name: getattr(changes, name) for name in _PLAIN if getattr(changes, name) is not None}
    is_computed = slo.objective.computed is not None and (changes.fail is not None or changes.warn is not None)
    general = (Override(fail=changes.fail, warn=changes.warn),) if is_computed else ()
    overrides = changes.overrides + slo.overrides + general
    return replace(slo, objective=_objective(slo.objective, changes), overrides=overrides, **plain)


def _objective(objective: Objective, changes: Changes) -> Objective:
    if objective.computed is not None:
        unwarned = partial(_without_warning, computed=objective.computed)
        return replace(objective, computed=unwarned) if changes.no_warning else objective
    base = Limits(fail=objective.limit, warn=objective.warn)
    limits = overridden(objective.operator, base, Override(fail=changes.fail, warn=changes.warn))
    return Objective.of(objective.operator, limits.fail, warn=None if changes.no_warning else limits.warn)


def _without_warning(evidence: Evidence, computed: Callable[[Evidence], Limits]) -> Limits:
    return Limits(fail=computed(evidence).fail)


def problems(slo: SLO) -> tuple[str, ...]:
    """Return what is wrong with the definition, one sentence each; limits that can never or always fire among it."""
    found = (*_form(slo), *_timing(slo), *_limits(slo), *_trial(slo))
    return tuple(f"{slo.name}: {text}" for text in found)


def _form(slo: SLO) -> Iterator[str]:
    if not _NAME.fullmatch(slo.name):
        yield "a name is lower case letters, digits and underscores, starts with a letter and has at most 48 characters"
    if not slo.title.strip():
        yield "it needs a title"
    if slo.min_events < 0:
        yield f"min_events is at least 1, or 0 to judge a count of nothing, not {slo.min_events}"
    if not 0.0 < slo.target <= 1.0:
        yield f"target is a ratio above 0 and up to 1 (0.999 for 99.9 %), not {slo.target}"
    if min(slo.open_after, slo.close_after) < 1:
        yield f"open_after and close_after are at least 1, not {slo.open_after} and {slo.close_after}"


def _trial(slo: SLO) -> Iterator[str]:
    if slo.mode is not Mode.EVIDENCE:
        return
    if isinstance(slo.trial, Untestable) or (slo.pane is not None and isinstance(slo.trial, Interval)):
        yield "mode evidence needs the noise of the value, which nobody knows of this one; write mode: threshold"
    if not isinstance(slo.trial, (Calibration, Rate)):
        return
    operators = (Operator.AT_MOST, Operator.BELOW)
    if slo.objective.operator not in operators:
        yield f"mode evidence takes a promise of at most so much, not {slo.objective.operator}; write mode: threshold"
    if slo.cadence is Cadence.WEEKLY:
        yield "mode evidence follows this SLO by the minute; write cadence: minute, or mode: threshold"
    limits = [slo.objective.limit, *(override.fail for override in slo.overrides)]
    if isinstance(slo.trial, Rate) and slo.trial.limit is None and 0 in limits:
        yield "mode evidence takes a limit above 0, for a single hit misses one of 0 for certain; write mode: threshold"
    if isinstance(slo.trial, Rate) and slo.trial.hit_from is not None:
        yield from _counted(slo, slo.trial.hit_from)


def _counted(slo: SLO, hit_from: float) -> Iterator[str]:
    """Yield what is wrong with the limits of an SLO whose hits have been counted from one limit on."""
    if slo.overrides:
        yield "mode evidence counts events past one limit in all slices; remove overrides, or write mode: threshold"
    if slo.objective.limit != hit_from:
        yield (
            f"mode evidence counts events from {hit_from:g} {slo.unit} on, and fail is {slo.objective.limit}; remove "
            f"fail and set latency_limit_us and parameters.limit_us to it, or write mode: threshold"
        )
    if slo.objective.warn is not None:
        yield f"mode evidence counts no events for warn {slo.objective.warn}; remove warn, or write mode: threshold"


def _timing(slo: SLO) -> Iterator[str]:
    if slo.window < STEP or slo.window % STEP:
        yield f"window is a multiple of {STEP}, not {slo.window}"
    if slo.cadence is Cadence.WEEKLY and slo.window != WEEK:
        yield f"a weekly SLO has a window of 7 days, not {slo.window}"
    if slo.pane is not None and (slo.pane < STEP or slo.pane % STEP or slo.window % slo.pane):
        yield f"pane is a multiple of {STEP} that divides the window of {slo.window}, not {slo.pane}"
    if slo.open_within and slo.open_within < slo.open_after:
        yield f"open_within {slo.open_within} windows never hold the {slo.open_after} that open_after asks for"


def _limits(slo: SLO) -> Iterator[str]:
    operator = slo.objective.operator
    given: list[tuple[str, Bound | None, Bound | None]] = [(EVERYTHING, slo.objective.limit, slo.objective.warn)]
    given += [(o.slices, o.fail, o.warn) for o in slo.overrides]
    for slices, fail, warn in given:
        where = "" if slices == EVERYTHING else f" of {slices}"
        for name, limit in (("fail", fail), ("warn", warn)):
            yield from (f"the {name} limit{where} {text}" for text in _bound(operator, limit, slo.unit))
        if fail is not None and warn is not None and not is_stricter(operator, warn, fail):
            yield f"the warn limit{where}, {warn}, is not stricter than the fail limit, {fail}: it never fires"


def _bound(operator: Operator, limit: Bound | None, unit: str) -> Iterator[str]:
    if limit is None:
        return
    low, high = limit if isinstance(limit, tuple) else (limit, limit)
    if isinstance(limit, tuple) is not (operator is Operator.WITHIN):
        yield f"is {limit}, which does not fit the operator {operator}"
    elif not (math.isfinite(low) and math.isfinite(high)):
        yield f"is {limit}, not a finite number"
    elif low > high:
        yield f"runs backwards: {low} to {high}"
    elif unit in _RANGES:
        yield from _reachable(operator, low, high, _RANGES[unit])


def _reachable(operator: Operator, low: float, high: float, values: tuple[float, float]) -> Iterator[str]:
    """Yield what is wrong when every possible value passes the limit, or none."""
    limit = (low, high) if operator is Operator.WITHIN else low
    told = f"of {promise(operator, limit, 'ratio')}"
    range_told = f"values lie in {values[0]:g} to {values[1]:g}"
    ends = [passes(operator, value, limit) for value in values]
    is_between = values[0] <= high and low <= values[1] and operator in (Operator.WITHIN, Operator.EQUAL)
    if all(ends):
        yield f"{told} can never be missed: {range_told}"
    elif not any(ends) and not is_between:
        yield f"{told} can never be met: {range_told}"
