"""Tests of calibration: each keeps its level, each sees its shape, and together they see all."""

from dataclasses import astuple

import numpy as np
import pytest

from calslo_dagster.stats.omnibus import CalibrationTests, calibration_p_value, calibration_tests
from calslo_dagster.stats.snapshot import Snapshot
from calslo_dagster_tests.builders import snap
from calslo_dagster_tests.stats.formulas import Floats
from calslo_dagster_tests.stats.populations import Population


def rejections(scores: Floats, truth: Floats, count: int = 200) -> dict[str, float]:
    """Return how often each test has a p-value below 0.05."""
    rng = np.random.default_rng(1)
    found = [calibration_tests(one) for one in Population(scores, truth).labelings(count, rng)]
    rows = np.array([[*astuple(one), one.combined] for one in found], dtype=float)
    names = ("bias", "logit", "binned", "cumulative", "combined")
    return dict(zip(names, (rows < 0.05).mean(axis=0).tolist(), strict=True))


def beta(a: float, b: float, events: int) -> Floats:
    drawn: Floats = np.random.default_rng(2).beta(a, b, events)
    return drawn


@pytest.mark.parametrize("scores", [beta(2, 2, 2_000), beta(0.5, 0.5, 1_000), beta(2, 60, 4_000), beta(2, 2, 80)])
def test_a_calibrated_model_is_rejected_no_more_often_than_claimed(scores: Floats) -> None:
    # A share of 300 at 0.05 has an error of 0.0126.
    assert max(rejections(scores, scores, 300).values()) <= 0.095


def test_each_shape_is_seen_by_a_test_and_by_all_together() -> None:
    p = beta(2, 2, 5_000)
    shifted = rejections(p, np.clip(p + 0.03, 0, 1), 60)
    timid = rejections(p, 0.5 + 0.8 * (p - 0.5), 60)
    waved = rejections(p, np.clip(p + 0.06 * np.sin(8 * np.pi * p), 0, 1), 60)

    assert (shifted["bias"], shifted["combined"]) >= (0.9, 0.9)
    assert (timid["logit"], timid["combined"]) >= (0.9, 0.9)
    assert (waved["binned"], waved["combined"]) >= (0.9, 0.8)
    assert timid["bias"] < 0.3
    assert waved["logit"] < 0.5


@pytest.mark.parametrize("empty", [Snapshot(), snap([0.4]), snap([0.4], [1], [0.0])])
def test_without_labels_no_test_can_be_made(empty: Snapshot) -> None:
    assert calibration_tests(empty) == CalibrationTests(None, None, None, None)
    assert calibration_tests(empty).combined is None


def test_certain_scores_leave_nothing_to_test() -> None:
    assert calibration_tests(snap([0.0, 1.0], [0, 1])).combined is None


def test_one_score_is_tested_for_bias_but_not_for_a_slope() -> None:
    found = calibration_tests(snap([0.25] * 400, [1] * 200 + [0] * 200))

    assert found.logit is None
    assert (found.bias or 1.0) < 1e-9
    assert (found.combined or 1.0) < 1e-9


def test_equal_weights_of_any_size_leave_every_p_value_as_it_is() -> None:
    rng = np.random.default_rng(3)
    p, y = rng.random(300), rng.integers(0, 2, 300)

    assert astuple(calibration_tests(snap(p, y, np.full(300, 4.0)))) == pytest.approx(
        astuple(calibration_tests(snap(p, y))), rel=1e-6
    )


def test_the_p_value_as_a_metric_rests_on_the_labelled_events() -> None:
    p = beta(2, 2, 400)
    week = snap([*p, 0.5], [*(p > 0.5).astype(int), None])
    found = calibration_p_value(week)

    assert (found.value, found.events) == (calibration_tests(week).combined, 400)
    assert (found.low, found.high, found.standard_error) == (None, None, None)


@pytest.mark.parametrize(("p", "y", "reason"), [(0.3, None, "no labelled events"), (1.0, 0, "every score is 0 or 1")])
def test_without_a_label_that_chance_decides_there_is_no_p_value(p: float, y: int | None, reason: str) -> None:
    found = calibration_p_value(snap([p] * 3, [y] * 3))

    assert (found.value, found.reason) == (None, reason)
