"""Intervals: against the exact or independent result, and their coverage in simulation."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from calslo_dagster.stats import intervals
from calslo_dagster.stats.bias import mean_bias
from calslo_dagster.stats.ece import debiased_ece, equal_mass_ece, mce
from calslo_dagster.stats.grid import Floats
from calslo_dagster_tests.stats.populations import Population
from calslo_dagster_tests.strategies import steady

DRAWS = 120
# Scores with a known shape, and how the true rate follows from them.
SHAPES: dict[str, Callable[[np.random.Generator, int], Floats]] = {
    "balanced": lambda rng, n: rng.beta(2, 2, n),
    "extreme": lambda rng, n: rng.beta(0.5, 0.5, n),
    "rare": lambda rng, n: special.expit(rng.normal(-4, 0.6, n)),
}
TRUTHS: dict[str, Callable[[Floats], Floats]] = {
    "calibrated": lambda p: p,
    "shifted": lambda p: np.clip(p + 0.02, 0, 1),
    "overconfident": lambda p: 0.5 + 0.85 * (p - 0.5),
}


def true_errors(population: Population) -> tuple[float, float, float]:
    """Return the binned L1 error, the largest gap of a width bin, and the bias, of the truth itself."""
    expected = population.expected()
    values = equal_mass_ece(expected).value, mce(expected).value
    assert values[0] is not None
    assert values[1] is not None
    return values[0], values[1], float((population.scores - population.truth).mean())


@pytest.mark.parametrize("events", [300, 2_000])
@pytest.mark.parametrize("truth", TRUTHS)
@pytest.mark.parametrize("shape", SHAPES)
def test_intervals_cover_the_truth_as_often_as_they_claim(shape: str, truth: str, events: int) -> None:
    """At 95%, at most 13 of 120 draws may miss: the 99.8th percentile of binomial(120, 0.05)."""
    rng = np.random.default_rng([events, *map(ord, shape + truth)])
    scores = SHAPES[shape](rng, events)
    population = Population(scores, TRUTHS[truth](scores))
    targets = true_errors(population)
    misses = np.zeros(4, dtype=int)
    for drawn in population.labelings(DRAWS, rng):
        estimates = equal_mass_ece(drawn), mce(drawn), mean_bias(drawn), debiased_ece(drawn)
        for i, (estimate, target) in enumerate(zip(estimates, (*targets, targets[0]), strict=True)):
            assert estimate.low is not None
            assert estimate.high is not None
            misses[i] += not estimate.low - 1e-9 <= target <= estimate.high + 1e-9

    assert (misses <= 13).all(), misses


@pytest.mark.parametrize("level", [0.8, 0.9, 0.95, 0.99])
def test_the_normal_quantile_is_that_of_scipy(level: float) -> None:
    assert intervals.two_sided_z(level) == pytest.approx(stats.norm.ppf((1 + level) / 2), rel=1e-12)
    assert intervals.upper_tail(intervals.two_sided_z(level)) == pytest.approx((1 - level) / 2, rel=1e-12)


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0])
def test_a_level_that_is_no_probability_is_refused(level: float) -> None:
    with pytest.raises(ValueError, match="confidence level"):
        intervals.two_sided_z(level)


@pytest.mark.parametrize(("k", "n"), [(0, 1), (1, 1), (0, 20), (3, 20), (20, 20), (500, 1000)])
def test_proportion_intervals_are_those_of_scipy(k: int, n: int) -> None:
    test = stats.binomtest(k, n)
    exact = test.proportion_ci(0.95, "exact")

    assert intervals.clopper_pearson(k, n) == pytest.approx((exact.low, exact.high), abs=1e-10)


def test_without_trials_a_proportion_may_be_anything() -> None:
    assert intervals.clopper_pearson(0, 0) == (0.0, 1.0)


@steady
@given(st.integers(1, 4_000), st.sampled_from([0.01, 0.5, 0.9, 0.99, 0.999]), st.sampled_from([0.9, 0.95]))
def test_order_statistics_cover_at_least_their_level(events: int, share: float, level: float) -> None:
    """By scipy's binomial: each tail outside the ranks holds at most its part, and the next rank inside more."""
    low, high = intervals.quantile_ranks(events, share, level)
    tail, law = (1 - level) / 2, stats.binom(events, share)

    assert law.cdf((low or 0) - 1) <= tail + 1e-12
    assert law.cdf(low or 0) > tail - 1e-12
    assert high is None or law.sf(high - 1) <= tail + 1e-12
    assert law.sf((high or events + 1) - 2) > tail - 1e-12


def test_a_high_quantile_of_few_events_has_no_upper_bound() -> None:
    assert intervals.quantile_ranks(367, 0.99)[1] is None
    assert intervals.quantile_ranks(368, 0.99)[1] == 368
    assert intervals.quantile_ranks(0, 0.99) == (None, None)


def test_ranks_of_a_billion_events_are_found() -> None:
    low, high = intervals.quantile_ranks(10**9, 0.99)

    assert low is not None
    assert high is not None
    half = 1.96 * math.sqrt(1e9 * 0.99 * 0.01)
    assert (low - 0.99e9, high - 0.99e9) == pytest.approx((-half, half), rel=1e-3)


def test_effective_size_is_kishs() -> None:
    assert intervals.effective_size(5.0, 5.0) == 5.0
    assert intervals.effective_size(10.0 + 1.0, 100.0 + 1.0) == pytest.approx(121 / 101)
    assert intervals.effective_size(0.0, 0.0) == 0.0


@pytest.mark.parametrize("mean", [0.0, 0.3, 1.0, -2.0, 8.0])
@pytest.mark.parametrize("deviation", [0.0, 0.5, 1.0])
def test_the_folded_normal_is_that_of_scipy(mean: float, deviation: float) -> None:
    got = intervals.folded_normal(np.array([mean]), np.array([deviation]))
    law = stats.foldnorm(abs(mean) / deviation, scale=deviation) if deviation else None

    assert got[0][0] == pytest.approx(law.mean() if law else abs(mean), abs=1e-9)
    assert got[1][0] == pytest.approx(law.var() if law else 0.0, abs=1e-9)


def test_a_share_of_zero_is_not_certain() -> None:
    zero = intervals.proportion(0.0, 50.0, events=50)

    assert (zero.value, zero.low) == (0.0, 0.0)
    assert (zero.high or 0.0) > 0.05
    assert (zero.standard_error or 0.0) > 0.01


def test_one_value_has_a_mean_and_no_error() -> None:
    single = intervals.sample_mean(0.4, 0.16, 1.0, events=1)

    assert (single.value, single.low, single.high, single.standard_error) == (0.4, None, None, None)
