"""The summary names every metric, in plain numbers that JSON can carry."""

import json

import numpy as np

from calslo_dagster.stats.snapshot import Snapshot
from calslo_dagster.stats.summary import metrics
from calslo_dagster_tests.builders import snap

NAMES = {
    *("n", "n_labeled", "ece_ew10", "ece_ew15", "ece_em15", "mce_ew15", "brier", "log_loss", "debiased_ece"),
    *("debiased_squared_ece", "spiegelhalter_z", "mean_score", "base_rate", "null_floor", "slope", "intercept"),
    *("bad_scores", "clamp_rate", "p99_latency_us", "alpha", "smece", "ece_sweep", "ecce", "calibration_p_value"),
}


def test_a_full_log_has_every_metric() -> None:
    rng = np.random.default_rng(1)
    p = rng.beta(2, 2, 500)
    found = metrics(
        snap(p, rng.random(500) < p, latency=rng.lognormal(5, 1, 500), clamped=p > 0.9, alpha=np.full(500, 0.1))
    )

    assert set(found) == NAMES
    assert all(value is not None for value in found.values())
    assert json.loads(json.dumps(dict(found), allow_nan=False)) == found


def test_nothing_measured_is_null_and_counted_zero() -> None:
    found = metrics(Snapshot())

    assert set(found) == NAMES
    assert {name for name, value in found.items() if value is not None} == {"n", "n_labeled", "bad_scores"}
    assert (found["n"], found["n_labeled"], found["bad_scores"]) == (0, 0, 0)


def test_scores_without_labels_have_the_metrics_that_need_none() -> None:
    found = metrics(snap([0.2, 0.4, None]))

    assert (found["n"], found["n_labeled"], found["bad_scores"]) == (2, 0, 1)
    assert found["mean_score"] is not None
    assert found["ece_em15"] is None
