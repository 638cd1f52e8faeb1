"""Week over week: each drift metric of two snapshots, its change, and whether chance alone explains it."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields

from calslo_dagster.stats.bins import DEFAULT_BINS
from calslo_dagster.stats.ece import debiased_ece, equal_mass_ece
from calslo_dagster.stats.estimate import Estimate
from calslo_dagster.stats.intervals import LEVEL, around, two_sided_z
from calslo_dagster.stats.rates import base_rate, clamp_rate, mean_alpha, mean_score
from calslo_dagster.stats.recalibration import recalibration
from calslo_dagster.stats.remembered import remembered
from calslo_dagster.stats.scores import brier, log_loss
from calslo_dagster.stats.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class DriftMetrics:
    """The metrics of one snapshot that drift reports compare, each with its standard error.

    aece: equal-mass ECE; dece: debiased ECE; slope: calibration slope; mean_score: all events; alpha: mean clamp alpha.
    """

    aece: Estimate
    dece: Estimate
    brier: Estimate
    log_loss: Estimate
    slope: Estimate
    mean_score: Estimate
    base_rate: Estimate
    clamp_rate: Estimate
    alpha: Estimate

    def items(self) -> tuple[tuple[str, Estimate], ...]:
        """Return the metrics by name, in the order of the report."""
        return tuple((name, getattr(self, name)) for name in METRICS)


METRICS = tuple(field.name for field in fields(DriftMetrics))
# Alpha has its own unit and its own SLO; the others are judged by one limit.
JUDGED = tuple(name for name in METRICS if name != "alpha")


@dataclass(frozen=True, slots=True)
class Delta:
    """The change of one metric: `change` is current less baseline, with its standard error and interval.

    `change.events` is the smaller of both event counts, since that one limits what the change can show.
    """

    metric: str
    current: Estimate
    baseline: Estimate
    change: Estimate


@remembered
def metric_values(snapshot: Snapshot, bins: int = DEFAULT_BINS) -> DriftMetrics:
    """Return every drift metric of the snapshot; those that it cannot give have a reason instead of a value."""
    return DriftMetrics(
        aece=equal_mass_ece(snapshot, bins),
        dece=debiased_ece(snapshot, bins),
        brier=brier(snapshot),
        log_loss=log_loss(snapshot),
        slope=recalibration(snapshot).slope,
        mean_score=mean_score(snapshot),
        base_rate=base_rate(snapshot),
        clamp_rate=clamp_rate(snapshot),
        alpha=mean_alpha(snapshot),
    )


def deltas(current: DriftMetrics, baseline: DriftMetrics, *, level: float = LEVEL) -> tuple[Delta, ...]:
    """Return the change of every metric, in the order of `METRICS`.

    Both weeks are independent samples: se = sqrt(se1^2 + se2^2), interval = change -+ z se. The plug-in ECE of the
    smaller week is biased upwards the more, by the difference of the null floors when the model is calibrated; DECE
    corrects part of that, so read both.
    """
    pairs = zip(current.items(), baseline.items(), strict=True)
    return tuple(Delta(name, now, before, change(now, before, level=level)) for (name, now), (_, before) in pairs)


def change(current: Estimate, baseline: Estimate, *, level: float = LEVEL) -> Estimate:
    """Return current less baseline of two independent estimates, with its interval where both have an error."""
    events = min(current.events, baseline.events)
    if current.value is None or baseline.value is None:
        return Estimate.missing(_why(current, baseline), events)
    value = current.value - baseline.value
    if current.standard_error is None or baseline.standard_error is None:
        return Estimate(value, events=events)
    return around(value, math.hypot(current.standard_error, baseline.standard_error), events=events, level=level)


def largest_change(changes: Iterable[Delta], *, level: float = LEVEL) -> Estimate:
    """Return the largest absolute change among those measured, with an interval that holds for all at once.

    The interval joins those of |change| at level 1 - (1 - level) / m for m metrics (Bonferroni). The reason names the
    metric that changed most, events are the fewest behind any change. Without any measured change there is no value.
    """
    measured = [delta for delta in changes if delta.change.is_measured]
    if not measured:
        return Estimate.missing("no metric is known for both spans")
    z = two_sided_z(1 - (1 - level) / len(measured))
    sizes = [abs(delta.change.value or 0.0) for delta in measured]
    errors = [delta.change.standard_error or 0.0 for delta in measured]
    value = max(sizes)
    return Estimate(
        value,
        low=max(max(0.0, size - z * error) for size, error in zip(sizes, errors, strict=True)),
        high=max(size + z * error for size, error in zip(sizes, errors, strict=True)),
        events=min(delta.change.events for delta in measured),
        reason=measured[sizes.index(value)].metric,
    )


def _why(current: Estimate, baseline: Estimate) -> str:
    if current.value is None:
        return f"now: {current.reason}"
    return f"before: {baseline.reason}"
