"""Tails against scipy and simulation, combinations and q-values against their definitions."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from calslo_dagster.stats import p_values
from calslo_dagster_tests.strategies import steady

tests_made = st.lists(st.one_of(st.none(), st.floats(1e-12, 1.0)), max_size=12)


@pytest.mark.parametrize("degrees", [1, 2, 3, 9, 10, 59])
@pytest.mark.parametrize("value", [0.0, 1e-9, 0.3, 4.0, 30.0, 300.0])
def test_the_chi_square_tail_is_that_of_scipy(value: float, degrees: int) -> None:
    expected = float(stats.chi2.sf(value, degrees))

    assert p_values.chi_square_tail(value, degrees) == pytest.approx(expected, rel=1e-9, abs=1e-14)


def test_a_chi_square_without_freedom_is_refused() -> None:
    with pytest.raises(ValueError, match="got 0"):
        p_values.chi_square_tail(1.0, 0)


@pytest.mark.parametrize("value", [0.0, 0.05, 0.4, 0.9999, 1.0, 1.36, 3.0])
def test_the_kolmogorov_tail_is_that_of_scipy(value: float) -> None:
    assert p_values.kolmogorov_tail(value) == pytest.approx(float(stats.kstwobign.sf(value)), rel=1e-9, abs=1e-14)


@pytest.mark.parametrize("value", [0.5, 1.0, 1.4999999, 1.5, 2.4977, 6.0])
def test_the_range_tail_is_the_integral_of_fellers_density(value: float) -> None:
    """f(x) = 8 sum (-1)^(k-1) k^2 phi(k x), summed by the trapezoidal rule."""
    x = np.linspace(value, 12.0, 8_001)
    k = np.arange(1, 60)[:, None]
    terms = (-1.0) ** (k - 1) * k * k * np.exp(-((k * x) ** 2) / 2)
    density = 8 / math.sqrt(2 * math.pi) * terms.sum(axis=0)

    assert p_values.range_tail(value) == pytest.approx(float(np.trapezoid(density, x)), abs=2e-6)


def test_the_range_tail_is_that_of_long_random_walks() -> None:
    steps = np.random.default_rng(1).choice([-1.0, 1.0], (2_000, 1_500))
    walks = np.cumsum(steps, axis=1) / math.sqrt(1_500)
    ranges = walks.max(axis=1).clip(0) - walks.min(axis=1).clip(max=0)

    for value in (1.2, 1.6, 2.2):
        # A share of 2,000 has an error of 0.011; a walk misses 1.16 / sqrt(1500) of a range.
        assert p_values.range_tail(value + 0.03) == pytest.approx(float((ranges > value).mean()), abs=0.035)


@pytest.mark.parametrize("tail", [p_values.range_tail, p_values.kolmogorov_tail])
def test_tails_fall_from_one_to_zero(tail: object) -> None:
    assert callable(tail)
    tails = [tail(x) for x in np.linspace(-0.5, 40.0, 300)]

    assert tails == sorted(tails, reverse=True)
    assert tails[0] == 1.0
    assert 0.0 <= tails[-1] < 1e-100


def test_one_p_value_is_its_own_combination() -> None:
    for p in (1e-300, 1e-20, 0.03, 0.5, 0.9):
        assert p_values.cauchy_combination([p]) == pytest.approx(p, rel=1e-9)


@steady
@given(st.lists(st.floats(1e-6, 0.98), min_size=1, max_size=8))
def test_the_cauchy_combination_is_the_definition(known: list[float]) -> None:
    statistic = math.fsum(math.tan((0.5 - p) * math.pi) for p in known) / len(known)
    expected = 0.5 - math.atan(statistic) / math.pi

    assert p_values.cauchy_combination(known) == pytest.approx(expected, rel=1e-6)
    assert p_values.cauchy_combination([None, *known]) == p_values.cauchy_combination(known)


def test_a_combination_keeps_its_level_for_dependent_tests() -> None:
    rng = np.random.default_rng(2)
    shared = rng.normal(size=(4_000, 1))
    z = math.sqrt(0.6) * shared + math.sqrt(0.4) * rng.normal(size=(4_000, 6))
    combined = [p_values.cauchy_combination(row) or 0.0 for row in (2 * stats.norm.sf(np.abs(z))).tolist()]

    # Errors of 0.0016 and 0.0034; the approximation is of the tail.
    assert np.mean(np.array(combined) < 0.01) == pytest.approx(0.01, abs=0.005)
    assert np.mean(np.array(combined) < 0.05) == pytest.approx(0.05, abs=0.015)


def test_a_test_that_fits_too_well_does_not_outweigh_the_evidence_of_another() -> None:
    assert (p_values.cauchy_combination([1e-6, 1.0]) or 1.0) < 1e-5
    assert p_values.cauchy_combination([0.0, 1.0]) == 0.0
    assert (p_values.cauchy_combination([1.0, 1.0]) or 0.0) == pytest.approx(0.99)


def test_without_tests_there_is_no_combination() -> None:
    assert p_values.cauchy_combination([]) is None
    assert p_values.cauchy_combination([None]) is None


@steady
@given(tests_made)
def test_q_values_are_those_of_scipy(made: list[float | None]) -> None:
    known = [p for p in made if p is not None]

    found = p_values.benjamini_hochberg(made), p_values.benjamini_yekutieli(made)
    if known:
        expected = stats.false_discovery_control(known), stats.false_discovery_control(known, method="by")
        for q_values, references in zip(found, expected, strict=True):
            assert [q for q in q_values if q is not None] == pytest.approx(references.tolist(), rel=1e-12)
    for q_values in found:
        assert [q is None for q in q_values] == [p is None for p in made]


def test_discoveries_among_slices_are_mostly_true() -> None:
    rng = np.random.default_rng(3)
    shares = []
    for _ in range(200):
        z = rng.normal(size=50) + np.where(np.arange(50) < 10, 4.0, 0.0)
        q = p_values.benjamini_hochberg(stats.norm.sf(z).tolist())
        found = [i for i, value in enumerate(q) if value is not None and value <= 0.1]
        shares.append(sum(i >= 10 for i in found) / max(1, len(found)))

    # The rate is at most 0.1 times 40 / 50, with an error of 0.006.
    assert np.mean(shares) == pytest.approx(0.08, abs=0.02)
