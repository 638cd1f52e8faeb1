"""What a limit on the calibration error means for a shift and for a slope, and the shift of a day."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import binom

from calslo_dagster.stats.tolerance import logit_shift, shift_limits, slope_limits
from calslo_dagster_tests.builders import snap

Floats = NDArray[np.float64]
SCORES = np.random.default_rng(3).beta(2, 5, 2_000)


def error(scores: Floats, truth: Floats) -> float:
    return float(np.abs(truth - scores).mean())


@pytest.mark.parametrize("limit", [0.015, 0.05, 0.2])
def test_the_shift_at_the_limit_has_the_error_of_the_limit(limit: float) -> None:
    low, high = shift_limits(snap(SCORES, [0] * len(SCORES)), limit)

    assert low < 0 < high
    for shift in (low, high):
        # Scores of one fine bin are taken as their mean.
        assert error(SCORES, expit(logit(SCORES) + shift)) == pytest.approx(limit, rel=0.001)


def test_the_slope_at_the_limit_has_the_error_of_the_limit_and_keeps_the_mean() -> None:
    low, high = slope_limits(snap(SCORES, [0] * len(SCORES)), 0.03)

    assert 0 < low < 1 < high
    for slope in (low, high):
        line = slope * logit(SCORES)
        moves = np.linspace(-3, 3, 6_001)
        move = moves[np.argmin([abs(expit(line + m).mean() - SCORES.mean()) for m in moves[::10]]) * 10]
        near = moves[np.abs(moves - move) < 0.02]
        move = near[np.argmin([abs(expit(line + m).mean() - SCORES.mean()) for m in near])]
        assert error(SCORES, expit(line + move)) == pytest.approx(0.03, rel=0.01)


def test_rare_events_cannot_be_overstated_by_more_than_their_scores() -> None:
    low, high = shift_limits(snap([0.02] * 50, [0] * 50), 0.05)

    assert low == -math.inf
    assert high == pytest.approx(logit(0.07) - logit(0.02))


def test_scores_that_are_all_alike_have_no_slope_to_break_a_limit() -> None:
    assert slope_limits(snap([0.3] * 50, [0] * 50), 0.01) == (-math.inf, math.inf)


@pytest.mark.parametrize("limits", [shift_limits, slope_limits])
def test_without_a_limit_or_labels_there_is_nothing_to_translate(limits: object) -> None:
    assert callable(limits)
    with pytest.raises(ValueError, match="above 0"):
        limits(snap([0.3], [1]), 0.0)
    with pytest.raises(ValueError, match="holds none"):
        limits(snap([0.3]), 0.01)


def test_a_shifted_model_shows_its_shift() -> None:
    rng = np.random.default_rng(4)
    scores = rng.beta(2, 5, 20_000)
    labels = rng.random(20_000) < expit(logit(scores) + 0.4)

    found = logit_shift(snap(scores, labels.astype(float)))

    assert found.value is not None
    assert found.standard_error is not None
    assert abs(found.value - 0.4) < 3 * found.standard_error
    assert found.standard_error == pytest.approx(1 / math.sqrt(20_000 * (scores * (1 - scores)).mean()), rel=0.01)


@pytest.mark.parametrize(("label", "sign"), [(0, -1), (1, 1)])
def test_a_day_of_one_class_has_a_shift_too(label: int, sign: int) -> None:
    found = logit_shift(snap([0.1, 0.2, 0.3] * 10, [label] * 30))

    assert found.value is not None
    assert math.copysign(1, found.value) == sign
    assert abs(found.value) < 10


def test_small_days_are_right_on_average() -> None:
    """With two positives a day; without the penalty, days without any would have no shift at all."""
    counts = np.arange(12)
    shares = binom.pmf(counts, 100, 0.02)
    shifts = [logit_shift(snap([0.02] * 100, [1] * n + [0] * (100 - n))).value for n in counts.tolist()]

    assert abs(float(shares @ np.array(shifts, dtype=np.float64))) < 0.1


def test_weights_count_as_events() -> None:
    plain = logit_shift(snap([0.2] * 40, [1] * 10 + [0] * 30))
    heavy = logit_shift(snap([0.2] * 40, [1] * 10 + [0] * 30, [3.0] * 40))

    assert heavy.value == pytest.approx(plain.value)
    assert heavy.standard_error == pytest.approx(plain.standard_error)


def test_no_labels_give_no_shift() -> None:
    assert logit_shift(snap([0.2, 0.3])).value is None
