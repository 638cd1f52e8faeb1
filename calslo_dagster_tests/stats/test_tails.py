"""Tails in closed form agree with simulation where that reaches, and with exact values beyond."""

import math

import numpy as np
import pytest

from calslo_dagster.stats.intervals import HALF_NORMAL_MEAN, HALF_NORMAL_VARIANCE, upper_tail
from calslo_dagster.stats.tails import (
    HALF_NORMAL_THIRD,
    absolute_sum_tail,
    binomial_tail,
    cornish_fisher_tail,
    poisson_interval,
)

UNEQUAL = np.array([0.02, 0.5, 1.0, 0.7, 0.2])


@pytest.mark.parametrize("limit", [0.5, 1.2, 1.9, 1.93, 2.5, 3.5, 4.5])
def test_the_tail_of_a_sum_of_half_normals_is_that_of_a_simulated_one(limit: float) -> None:
    drawn = np.abs(np.random.default_rng(5).standard_normal((400_000, len(UNEQUAL)))) @ UNEQUAL
    share = float((drawn > limit).mean())

    # Four deviations of the simulated share, and what the formula is off by for as few as five terms.
    slack = 4 * math.sqrt(share * (1 - share) / len(drawn)) + 0.02 * share
    assert absolute_sum_tail(UNEQUAL, limit) == pytest.approx(share, abs=slack)


@pytest.mark.parametrize("z", [0.5, 2.0, 4.0, 6.0])
def test_of_one_term_it_is_the_two_sided_tail_of_a_normal_however_far_out(z: float) -> None:
    """One term is as far from a sum as can be, and the relative error still is a few percent."""
    assert absolute_sum_tail(np.array([3.0]), 3 * z) == pytest.approx(2 * upper_tail(z), rel=0.08)


def test_far_below_the_mean_all_is_past_the_limit() -> None:
    for limit in (1e-12, 1e-3, 0.05):
        assert absolute_sum_tail(np.full(15, 0.02), limit) == pytest.approx(1.0, abs=2e-9 if limit < 0.05 else 1e-3)


def test_far_above_it_none_is() -> None:
    assert absolute_sum_tail(np.array([1e-4, 1e-9]), 1.0) == 0.0


def test_nothing_scatters_without_a_deviation() -> None:
    assert absolute_sum_tail(np.zeros(3), 0.1) == 0.0
    assert absolute_sum_tail(np.zeros(3), -0.1) == 1.0
    assert absolute_sum_tail(UNEQUAL, 0.0) == 1.0


def test_cornish_fisher_corrects_for_skewness_where_that_is_mild() -> None:
    terms = np.ones(15)
    deviation = math.sqrt(15 * HALF_NORMAL_VARIANCE)
    skewness = HALF_NORMAL_THIRD * 15 / deviation**3

    for z in (-1.0, 0.0, 1.0, 2.0, 3.0):
        exact = absolute_sum_tail(terms, 15 * HALF_NORMAL_MEAN + z * deviation)
        assert cornish_fisher_tail(z, skewness) == pytest.approx(exact, rel=0.2)
    assert cornish_fisher_tail(1.5, 0.0) == pytest.approx(upper_tail(1.5))
    assert cornish_fisher_tail(-9.0, 1.5) == 1.0


def test_the_binomial_tail_is_exact() -> None:
    assert binomial_tail(1, 3, 0.5) == pytest.approx(0.5)
    assert binomial_tail(-1, 3, 0.5) == 1.0
    assert binomial_tail(3, 3, 0.5) == 0.0


def test_the_poisson_interval_is_that_of_the_tables() -> None:
    """Garwood 1936: 0 to 3.69 for no event, 4.80 to 18.39 for ten."""
    assert poisson_interval(0) == pytest.approx((0.0, 3.689), abs=1e-3)
    assert poisson_interval(10) == pytest.approx((4.795, 18.39), abs=1e-2)
