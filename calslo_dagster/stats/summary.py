"""All metrics of one snapshot at once, as plain numbers by name."""

from collections.abc import Mapping

from calslo_dagster.stats.cumulative import cumulative_error
from calslo_dagster.stats.ece import (
    debiased_ece,
    debiased_squared_ece,
    equal_mass_ece,
    equal_width_ece,
    mce,
    null_floor,
)
from calslo_dagster.stats.latency import p99
from calslo_dagster.stats.omnibus import calibration_p_value
from calslo_dagster.stats.rates import base_rate, clamp_rate, mean_alpha, mean_score
from calslo_dagster.stats.recalibration import recalibration
from calslo_dagster.stats.scores import brier, log_loss, spiegelhalter_z
from calslo_dagster.stats.smooth import smooth_error
from calslo_dagster.stats.snapshot import Snapshot
from calslo_dagster.stats.sweep import ece_sweep


def metrics(snapshot: Snapshot, *, slow_us: float | None = None) -> Mapping[str, float | None]:
    """Return every metric of the snapshot by name, None where it has no value; the object that `evaluate` prints.

    `slow_us` is the latency limit at which slow events were counted, see `latency.quantile`.
    """
    fit, floor, smooth = recalibration(snapshot), null_floor(snapshot), smooth_error(snapshot)
    estimates = {
        "ece_ew10": equal_width_ece(snapshot, 10),
        "ece_ew15": equal_width_ece(snapshot, 15),
        "ece_em15": equal_mass_ece(snapshot, 15),
        "mce_ew15": mce(snapshot, 15),
        "ece_sweep": ece_sweep(snapshot),
        "ecce": cumulative_error(snapshot),
        "calibration_p_value": calibration_p_value(snapshot),
        "brier": brier(snapshot),
        "log_loss": log_loss(snapshot),
        "debiased_ece": debiased_ece(snapshot),
        "debiased_squared_ece": debiased_squared_ece(snapshot),
        "spiegelhalter_z": spiegelhalter_z(snapshot),
        "mean_score": mean_score(snapshot),
        "base_rate": base_rate(snapshot),
        "slope": fit.slope,
        "intercept": fit.intercept,
        "clamp_rate": clamp_rate(snapshot),
        "p99_latency_us": p99(snapshot, slow_us=slow_us),
        "alpha": mean_alpha(snapshot),
    }
    return {
        "n": snapshot.events,
        "n_labeled": snapshot.labeled,
        "bad_scores": snapshot.bad_scores,
        "null_floor": floor.mean if floor else None,
        "smece": smooth.value if smooth else None,
        **{name: estimate.value for name, estimate in estimates.items()},
    }
