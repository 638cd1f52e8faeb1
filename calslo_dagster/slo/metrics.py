"""The one table of metrics that a declarative SLO may name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np

from calslo_dagster.errors import SettingsError
from calslo_dagster.slo.parameters import unknown_name
from calslo_dagster.stats.batch import Batch, Values
from calslo_dagster.stats.bias import mean_bias
from calslo_dagster.stats.cumulative import cumulative_error
from calslo_dagster.stats.ece import debiased_ece, debiased_squared_ece, equal_mass_ece, equal_width_ece, mce
from calslo_dagster.stats.estimate import Estimate
from calslo_dagster.stats.latency import quantile, slow_rate
from calslo_dagster.stats.omnibus import calibration_p_value
from calslo_dagster.stats.rates import bad_score_rate, base_rate, clamp_rate, labeled_share, mean_alpha, mean_score
from calslo_dagster.stats.recalibration import recalibration
from calslo_dagster.stats.scores import brier, log_loss, spiegelhalter_z
from calslo_dagster.stats.smooth import smooth_ece
from calslo_dagster.stats.snapshot import BAD_REASONS, Snapshot
from calslo_dagster.stats.sweep import ece_sweep


@dataclass(frozen=True, slots=True)
class Metric:
    """A number that a snapshot gives: its name, what it is, its unit, the columns it needs, and its function."""

    name: str
    text: str
    unit: str
    needs: frozenset[str]
    measure: Callable[[Snapshot], Estimate]


def metric(name: str) -> Metric:
    """Return the metric of that name; an unknown name is refused with the nearest one."""
    if name not in METRICS:
        raise SettingsError(f"{unknown_name('metric', name, METRICS)} Metrics: {', '.join(METRICS)}")
    return METRICS[name]


def _slope(snapshot: Snapshot) -> Estimate:
    return recalibration(snapshot).slope


def _intercept(snapshot: Snapshot) -> Estimate:
    return recalibration(snapshot).intercept


def _count(snapshot: Snapshot, name: str) -> Estimate:
    """Return a count with the rows it was counted among, so that a zero rests on the rows that were seen."""
    rows = snapshot.events + sum(snapshot.count(reason) for reason in BAD_REASONS)
    return Estimate(float(snapshot.count(name)), events=rows)


def _count_many(batch: Batch, name: str) -> Values:
    return Values(batch.count(name).astype(np.float64), batch.rows)


def _bad_scores(snapshot: Snapshot) -> Estimate:
    rows = snapshot.events + sum(snapshot.count(reason) for reason in BAD_REASONS)
    return Estimate(float(snapshot.bad_scores), events=rows)


def _bad_scores_many(batch: Batch) -> Values:
    return Values(batch.bad_scores.astype(np.float64), batch.rows)


_SCORE: Final = frozenset({"score"})
_LABEL: Final = frozenset({"score", "label"})
_LATENCY: Final = frozenset({"score", "latency_us"})
_ECE: Final = "expected calibration error"

_ALL: Final = (
    Metric("ece_ew10", f"{_ECE}, 10 equal-width bins", "ratio", _LABEL, partial(equal_width_ece, bins=10)),
    Metric("ece_ew15", f"{_ECE}, 15 equal-width bins", "ratio", _LABEL, partial(equal_width_ece, bins=15)),
    Metric("ece_em15", f"{_ECE}, 15 equal-mass bins", "ratio", _LABEL, partial(equal_mass_ece, bins=15)),
    Metric("mce_ew15", "largest gap of 15 equal-width bins", "ratio", _LABEL, partial(mce, bins=15)),
    Metric("debiased_ece", f"{_ECE} less its estimated bias", "ratio", _LABEL, debiased_ece),
    Metric("debiased_squared_ece", "debiased squared calibration error", "ratio", _LABEL, debiased_squared_ece),
    Metric("smece", "smooth calibration error, without bins", "ratio", _LABEL, smooth_ece),
    Metric("ece_sweep", f"{_ECE}, as many equal-mass bins as keep rates rising", "ratio", _LABEL, ece_sweep),
    Metric("ecce", "largest calibration error over a span of scores, cumulated", "ratio", _LABEL, cumulative_error),
    Metric("calibration_p_value", "p-value of perfect calibration", "ratio", _LABEL, calibration_p_value),
    Metric("brier", "Brier score", "ratio", _LABEL, brier),
    Metric("log_loss", "log loss in nats", "ratio", _LABEL, log_loss),
    Metric("spiegelhalter_z", "Spiegelhalter's Z, 0 when calibrated", "ratio", _LABEL, spiegelhalter_z),
    Metric("mean_bias", "mean score less base rate", "ratio", _LABEL, mean_bias),
    Metric("slope", "calibration slope, 1 when calibrated", "ratio", _LABEL, _slope),
    Metric("intercept", "calibration intercept, 0 when calibrated", "ratio", _LABEL, _intercept),
    Metric("mean_score", "mean score", "ratio", _SCORE, mean_score),
    Metric("base_rate", "share of positive labels", "share", _LABEL, base_rate),
    Metric("labeled_share", "share of events with a label", "share", _SCORE, labeled_share),
    Metric("clamp_rate", "share of clamped events", "share", _SCORE | {"clamped"}, clamp_rate),
    Metric("alpha", "mean clamp alpha", "ratio", _SCORE | {"clamp_alpha"}, mean_alpha),
    Metric("bad_score_rate", "share of scores that are no probability", "share", _SCORE, bad_score_rate),
    Metric("p50_latency_us", "median latency", "us", _LATENCY, partial(quantile, share=0.50)),
    Metric("p95_latency_us", "95th percentile of latency", "us", _LATENCY, partial(quantile, share=0.95)),
    Metric("p99_latency_us", "99th percentile of latency", "us", _LATENCY, partial(quantile, share=0.99)),
    Metric("slow_rate", "share of events at or over the latency limit", "share", _LATENCY, slow_rate),
    Metric("n", "events with a valid score", "events", _SCORE, partial(_count, name="n")),
    Metric("n_labeled", "events with a label", "events", _SCORE, partial(_count, name="n_lab")),
    Metric("n_clamped", "clamped events", "events", _SCORE, partial(_count, name="n_clamped")),
    Metric("n_slow", "events at or over the latency limit", "events", _LATENCY, partial(_count, name="n_slow")),
    Metric("bad_scores", "scores that are no probability", "events", _SCORE, _bad_scores),
    Metric("bad_labels", "labels other than 0 and 1", "events", _LABEL, partial(_count, name="bad_label")),
    Metric("duplicates", "repeated prediction ids", "events", _SCORE, partial(_count, name="duplicates")),
    Metric("conflicts", "prediction ids with both labels", "events", _LABEL, partial(_count, name="conflicts")),
)
METRICS: Final[Mapping[str, Metric]] = {m.name: m for m in _ALL}
# Largest gaps, p-values and quantiles come without a standard error.
NOISE_UNKNOWN: Final = frozenset(
    {"mce_ew15", "calibration_p_value", "p50_latency_us", "p95_latency_us", "p99_latency_us"}
)
