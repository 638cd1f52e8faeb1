"""Slope and intercept against a logistic regression over every single event."""

import numpy as np
import pytest
from scipy.special import expit, logit

from calslo_dagster.stats.recalibration import recalibration
from calslo_dagster.stats.snapshot import Snapshot
from calslo_dagster_tests.builders import snap
from calslo_dagster_tests.stats import formulas


@pytest.mark.parametrize("shape", [(2.0, 2.0), (0.8, 0.8), (1.0, 20.0), (9.0, 2.0)])
@pytest.mark.parametrize(("intercept", "slope"), [(0.0, 1.0), (-0.4, 0.8), (0.3, 1.3)])
def test_the_grouped_fit_is_near_that_over_all_events(
    shape: tuple[float, float], intercept: float, slope: float
) -> None:
    rng = np.random.default_rng(21)
    p = np.clip(rng.beta(*shape, 4_000), 1e-4, 1 - 1e-4)
    y = (rng.random(4_000) < expit(intercept + slope * logit(p))).astype(float)
    expected = formulas.logistic_fit(logit(p), y)
    fit = recalibration(snap(p, y))

    # A twentieth of the sampling error: what grouping into fine bins may cost.
    error = expected[2]
    assert fit.slope.value == pytest.approx(expected[1], abs=0.05 * error)
    assert fit.intercept.value == pytest.approx(expected[0], abs=0.05 * error * max(1.0, abs(logit(p)).mean()))
    assert fit.slope.standard_error == pytest.approx(error, rel=0.01)
    assert fit.slope.events == 4_000


def test_intervals_cover_a_calibrated_model() -> None:
    rng = np.random.default_rng(22)
    misses = 0
    for _ in range(100):
        p = rng.beta(2, 2, 400)
        fit = recalibration(snap(p, rng.random(400) < p))
        misses += not (fit.slope.low or 0.0) <= 1.0 <= (fit.slope.high or 0.0)

    # The 99.8th percentile of binomial(100, 0.05).
    assert misses <= 12


def test_repeating_events_shrinks_errors_and_weighting_them_does_not() -> None:
    """Weights say what an event stands for, not how often it was seen."""
    rng = np.random.default_rng(23)
    p = np.round(rng.beta(2, 2, 300), 2).clip(0.01, 0.99)
    y = (rng.random(300) < p).astype(float)
    once, fourfold = recalibration(snap(p, y)), recalibration(snap(np.tile(p, 4), np.tile(y, 4)))
    weighted = recalibration(snap(p, y, np.full(300, 4.0)))

    for other in (fourfold, weighted):
        assert other.slope.value == pytest.approx(once.slope.value, abs=1e-6)
    assert fourfold.slope.standard_error == pytest.approx((once.slope.standard_error or 0.0) / 2, rel=1e-6)
    assert weighted.slope.standard_error == pytest.approx(once.slope.standard_error, rel=1e-6)


@pytest.mark.parametrize(
    ("p", "y", "reason"),
    [
        ([], [], "no labelled events"),
        ([0.2, 0.8], [1, 1], "the labels are all of one class"),
        ([0.2, 0.8], [0, 0], "the labels are all of one class"),
        ([0.3, 0.3], [0, 1], "the scores are all alike"),
        ([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1], "the score separates the labels"),
        ([0.1, 0.2, 0.8, 0.9], [1, 1, 0, 0], "the score separates the labels"),
    ],
)
def test_where_no_fit_exists_the_reason_is_given(p: list[float], y: list[int], reason: str) -> None:
    fit = recalibration(snap(p, y))

    assert (fit.slope.value, fit.slope.reason) == (None, reason)
    assert (fit.intercept.value, fit.intercept.reason) == (None, reason)


def test_certain_scores_are_bounded_by_the_grid() -> None:
    fit = recalibration(snap([0.0, 0.0, 0.0, 0.5, 0.5, 1.0, 1.0, 1.0], [0, 1, 0, 0, 1, 1, 1, 0]))

    assert fit.slope.is_measured
    assert 0.0 < (fit.slope.value or 0.0) < 0.2


def test_nothing_at_all_has_no_slope() -> None:
    assert recalibration(Snapshot()).slope.events == 0
