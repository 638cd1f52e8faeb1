"""Judge many windows of one slice at once, with the verdicts and limits that `measure` gives each by itself.

An indicator, or a function that computes limits, has this path if a function of its name with `_many` behind it stands
in the same module: it takes `Windows` in the place of the evidence, and the same arguments by name. It may return None
where it cannot tell; then the windows are measured one by one, as those of every other indicator are.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from calslo_dagster.slo.limits import overridden, override_for
from calslo_dagster.slo.model import SLO, Bound, Limits, Manifest, Operator, Verdict
from calslo_dagster.stats.batch import Batch, Floats, Ints, Values

Codes = NDArray[np.int8]

# A verdict as a small number: its place here.
VERDICTS: Final = tuple(Verdict)
CODE: Final = {verdict: code for code, verdict in enumerate(VERDICTS)}
_SUFFIX: Final = "_many"
_COMPARED: Final[Mapping[Operator, Callable[[Floats, Any], NDArray[np.bool_]]]] = {
    Operator.AT_MOST: np.less_equal,
    Operator.BELOW: np.less,
    Operator.AT_LEAST: np.greater_equal,
    Operator.ABOVE: np.greater,
    Operator.EQUAL: np.equal,
}


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """Many windows of one slice, in the order of time.

    expected: the different sets of manifests of the versions seen; kind: which of them each window has, (windows,).
    """

    batch: Batch
    expected: tuple[Mapping[str, Manifest], ...]
    kind: Ints


@dataclass(frozen=True, slots=True, eq=False)
class ManyLimits:
    """The limits of each window, each shape (windows,)."""

    fail: Floats
    warn: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """The verdict of each window as its place in `VERDICTS`, its value, NaN for none, and its fail limit."""

    codes: Codes
    values: Floats
    fails: Sequence[Bound | None]


def many_of(function: Callable[..., Any]) -> Callable[..., Any] | None:
    """Return the function that does for many windows what this one does for one; None if there is none."""
    if isinstance(function, partial):
        found = many_of(function.func)
        return found and partial(found, *function.args, **function.keywords)
    module = sys.modules.get(getattr(function, "__module__", None) or "")
    named: Callable[..., Any] | None = getattr(module, f"{getattr(function, '__name__', '')}{_SUFFIX}", None)
    return named


def judged_many(slo: SLO, windows: Windows, *, slice_name: str, models: Sequence[str]) -> Judged | None:
    """Return the verdicts of all windows, exclusions left aside; None if the SLO has to be measured one by one.

    models: the model of each kind of window.
    """
    indicator, computed = many_of(slo.sli), slo.objective.computed
    limits = many_of(computed) if computed else None
    if indicator is None or slo.pane is not None or (computed and limits is None):
        return None
    found: Values | None = indicator(windows)
    if found is None:
        return None
    base = limits(windows) if limits else None
    codes, fails = np.empty(len(windows.batch), dtype=np.int8), list[Bound | None]([None] * len(windows.batch))
    for kind, model in enumerate(models):
        rows = np.flatnonzero(windows.kind == kind)
        applied = _limits(slo, base, rows, slice_name=slice_name, model=model)
        codes[rows] = _codes(slo, Values(found.value[rows], found.events[rows]), applied)
        for row, limit in zip(rows.tolist(), _each(applied.fail, len(rows)), strict=True):
            fails[row] = limit
    return Judged(codes, found.value, fails)


@dataclass(frozen=True, slots=True, eq=False)
class _Applied:
    """One limit for all windows, or one for each of them."""

    fail: Bound | Floats | None
    warn: Bound | Floats | None


def _limits(slo: SLO, base: ManyLimits | None, rows: Ints, *, slice_name: str, model: str) -> _Applied:
    """Return the limits that `limits_for` gives these windows."""
    override = override_for(slo, slice_name, model)
    if base is None:
        limits = Limits(fail=slo.objective.limit, warn=slo.objective.warn)
        limits = overridden(slo.objective.operator, limits, override) if override else limits
        return _Applied(limits.fail, limits.warn)
    if override is None:
        return _Applied(base.fail[rows], base.warn[rows])
    pairs = zip(base.fail[rows].tolist(), base.warn[rows].tolist(), strict=True)
    each = [overridden(slo.objective.operator, Limits(fail, warn), override) for fail, warn in pairs]
    return _Applied(_numbers([one.fail for one in each]), _numbers([one.warn for one in each]))


def _numbers(limits: Sequence[Bound | None]) -> Floats:
    """Return the limits as numbers, NaN for none; limits that are computed are never pairs."""
    return np.array([np.nan if limit is None else limit for limit in limits], dtype=np.float64)


def _each(limit: Bound | Floats | None, windows: int) -> Iterator[Bound | None]:
    if isinstance(limit, np.ndarray):
        yield from limit.tolist()
    else:
        yield from (limit for _ in range(windows))


def _codes(slo: SLO, found: Values, limits: _Applied) -> Codes:
    """Return the verdicts as `judge` gives them, the strongest last."""
    codes = np.full(len(found.value), CODE[Verdict.MEETING], dtype=np.int8)
    codes[_misses(slo.objective.operator, found.value, limits.warn)] = CODE[Verdict.WARNING]
    codes[_misses(slo.objective.operator, found.value, limits.fail)] = CODE[Verdict.BREACHED]
    if limits.fail is None and limits.warn is None:
        codes[:] = CODE[Verdict.UNKNOWN]
    codes[found.events < slo.min_events] = CODE[Verdict.UNKNOWN]
    codes[np.isinf(found.value)] = CODE[Verdict.ERROR]
    codes[np.isnan(found.value)] = CODE[Verdict.UNKNOWN]
    return codes


def _misses(operator: Operator, values: Floats, limit: Bound | Floats | None) -> NDArray[np.bool_]:
    """Whether each value is past the limit; none is where there is no limit."""
    if limit is None:
        return np.zeros(len(values), dtype=np.bool_)
    if isinstance(limit, tuple):
        return ~((limit[0] <= values) & (values <= limit[1]))
    missed: NDArray[np.bool_] = ~_COMPARED[operator](values, limit) & ~np.isnan(limit)
    return missed
