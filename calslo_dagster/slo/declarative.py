"""Declarative SLOs: a metric, an operator and limits, written as settings instead of code."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import partial
from typing import Final

import numpy as np

from calslo_dagster.errors import SettingsError
from calslo_dagster.slo.limits import plain
from calslo_dagster.slo.many import Windows, many_of
from calslo_dagster.slo.metrics import NOISE_UNKNOWN, Metric, metric
from calslo_dagster.slo.model import EVERYTHING, SLO, Bound, Cadence, Evidence, Objective, Operator, Override, Severity
from calslo_dagster.slo.trials import BY_INTERVAL, Certain, Counts, Mode, Rate, Trial, Untestable
from calslo_dagster.slo.windows import DAY, STEP
from calslo_dagster.stats.batch import Values
from calslo_dagster.stats.estimate import Estimate
from calslo_dagster.stats.snapshot import Snapshot

# A day of quarter hours or a week of hours: enough panes for a 95th percentile, few enough to measure each minute.
_LONGEST_BY_STEP: Final = DAY


class Aggregation(StrEnum):
    """How a window's value comes about: from all its events at once, or from the values of its panes."""

    WINDOW = "window"
    MEAN = "mean"
    MEDIAN = "median"
    P95 = "p95"
    P99 = "p99"
    MAX = "max"
    MIN = "min"
    SUM = "sum"
    COUNT = "count"


_AGGREGATES: Final[Mapping[Aggregation, Callable[[Sequence[float]], float]]] = {
    Aggregation.MEAN: lambda values: float(np.mean(values)),
    Aggregation.MEDIAN: lambda values: float(np.median(values)),
    # The nearest rank from above: a percentile is then a value that a pane really had.
    Aggregation.P95: lambda values: float(np.quantile(values, 0.95, method="inverted_cdf")),
    Aggregation.P99: lambda values: float(np.quantile(values, 0.99, method="inverted_cdf")),
    Aggregation.MAX: max,
    Aggregation.MIN: min,
    Aggregation.SUM: sum,
    Aggregation.COUNT: lambda values: float(len(values)),
}


@dataclass(frozen=True, slots=True)
class Declaration:
    """An SLO in settings.

    metric: a name of `metrics.METRICS`; fail, warn: limits of the operator, a pair for `within`; aggregation: over the
    values of the window's panes, `window` for the metric of the whole window; pane: length of a pane, 15 minutes for
    windows up to a day and an hour beyond; pane_min_events: panes with fewer events have no value.
    """

    name: str
    metric: str
    operator: Operator
    fail: Bound
    warn: Bound | None = None
    title: str = ""
    window: timedelta = DAY
    cadence: Cadence = Cadence.MINUTE
    aggregation: Aggregation = Aggregation.WINDOW
    pane: timedelta | None = None
    pane_min_events: int = 1
    min_events: int = 1
    target: float = 0.99
    slices: str = EVERYTHING
    description: str = ""
    runbook: str = ""
    owner: str = ""
    severity: Severity = Severity.CRITICAL
    open_after: int = 1
    open_within: int = 0
    close_after: int = 2
    overrides: tuple[Override, ...] = ()
    mode: Mode = Mode.THRESHOLD


def declared(declaration: Declaration) -> SLO:
    """Return the SLO that the declaration describes; an unknown metric is refused with the list of metrics."""
    try:
        measured = metric(declaration.metric)
    except SettingsError as error:
        raise SettingsError(f"{declaration.name}: {error}") from error
    return SLO(
        name=declaration.name,
        title=declaration.title or _title(measured, declaration.aggregation),
        sli=_indicator(measured, declaration),
        objective=Objective.of(declaration.operator, declaration.fail, warn=declaration.warn),
        window=declaration.window,
        cadence=declaration.cadence,
        min_events=declaration.min_events,
        target=declaration.target,
        unit="panes" if declaration.aggregation is Aggregation.COUNT else measured.unit,
        needs=measured.needs,
        description=declaration.description or f"{_title(measured, declaration.aggregation)} keeps its limit.",
        runbook=declaration.runbook,
        owner=declaration.owner,
        severity=declaration.severity,
        open_after=declaration.open_after,
        open_within=declaration.open_within,
        close_after=declaration.close_after,
        slices=declaration.slices,
        overrides=declaration.overrides,
        pane=_pane(declaration),
        mode=declaration.mode,
        trial=_trial(measured, declaration),
    )


def whole_window(evidence: Evidence, measured: Metric) -> Estimate:
    """Return the metric of the whole window."""
    return measured.measure(evidence.current)


def whole_window_many(windows: Windows, measured: Metric) -> Values | None:
    """Return what `whole_window` does, of every window; None for a metric that is measured one by one."""
    found = many_of(measured.measure)
    values: Values | None = found(windows.batch) if found else None
    return values


def over_panes(evidence: Evidence, measured: Metric, aggregation: Aggregation, least: int) -> Estimate:
    """Return the aggregate of the metric over the window's panes, without those of fewer than `least` events."""
    estimates = [measured.measure(pane) for pane in evidence.panes]
    values = [(e.value, e.events) for e in estimates if e.value is not None and e.events >= least]
    if not values:
        return Estimate.missing(f"none of {len(estimates)} panes gives {measured.name}")
    found = _AGGREGATES[aggregation]([value for value, _ in values])
    reason = f"{aggregation} over {len(values)} of {len(estimates)} panes"
    if aggregation in (Aggregation.MEAN, Aggregation.MEDIAN, Aggregation.SUM):
        reason += f", the largest {plain(max(value for value, _ in values))}"
    return Estimate(found, events=sum(events for _, events in values), reason=reason)


def _indicator(measured: Metric, declaration: Declaration) -> Callable[[Evidence], Estimate]:
    if declaration.aggregation is Aggregation.WINDOW:
        return partial(whole_window, measured=measured)
    least = declaration.pane_min_events
    return partial(over_panes, measured=measured, aggregation=declaration.aggregation, least=least)


def _trial(measured: Metric, declaration: Declaration) -> Trial:
    """Return how the promise is put to the test: rates event by event, counts by nothing, the rest by its interval."""
    if declaration.aggregation is Aggregation.COUNT or measured.unit == "events":
        return Certain()
    is_upper = declaration.operator in (Operator.AT_MOST, Operator.BELOW)
    is_plain = declaration.aggregation is Aggregation.WINDOW and declaration.cadence is Cadence.MINUTE
    if measured.name in _COUNTS and is_upper and is_plain:
        return Rate(_COUNTS[measured.name])
    is_noise_known = declaration.aggregation is Aggregation.WINDOW and measured.name not in NOISE_UNKNOWN
    return BY_INTERVAL if is_noise_known else Untestable()


def _clamped(snapshot: Snapshot) -> Counts:
    return Counts(snapshot.count("n_clamped"), snapshot.count("n_clamp_known"))


def _slow(snapshot: Snapshot) -> Counts:
    return Counts(snapshot.count("n_slow"), snapshot.count("n_latency"))


_COUNTS: Final[Mapping[str, Callable[[Snapshot], Counts]]] = {"clamp_rate": _clamped, "slow_rate": _slow}


def _pane(declaration: Declaration) -> timedelta | None:
    if declaration.aggregation is Aggregation.WINDOW:
        return None
    default = STEP if declaration.window <= _LONGEST_BY_STEP else timedelta(hours=1)
    return declaration.pane or default


def _title(measured: Metric, aggregation: Aggregation) -> str:
    text = measured.text[:1].upper() + measured.text[1:]
    return text if aggregation is Aggregation.WINDOW else f"{text} ({aggregation} over panes)"
