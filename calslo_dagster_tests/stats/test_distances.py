"""Distances between score distributions: definitions, symmetry, and floors and p-values against repetition."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from calslo_dagster.stats.distances import Distance, jensen_shannon, kolmogorov_smirnov, population_stability
from calslo_dagster.stats.snapshot import Snapshot, merge
from calslo_dagster_tests.builders import snap

Measure = Callable[[Snapshot, Snapshot], Distance | None]
MEASURES: list[Measure] = [population_stability, jensen_shannon, kolmogorov_smirnov]


def distance(measure: Measure, current: Snapshot, baseline: Snapshot) -> Distance:
    found = measure(current, baseline)
    assert found is not None
    return found


def test_the_stability_index_is_the_definition() -> None:
    """Ten scores of equal mass before, so each is a bin."""
    scores = (np.arange(10) + 0.5) / 10
    before, after = np.full(10, 30), np.array([5, 10, 20, 30, 35, 40, 40, 50, 60, 10])
    a, c = (after + 0.5) / (after.sum() + 5), (before + 0.5) / (before.sum() + 5)
    found = distance(population_stability, snap(np.repeat(scores, after)), snap(np.repeat(scores, before)))

    assert found.value == pytest.approx(float(((a - c) * np.log(a / c)).sum()), rel=1e-12)
    assert found.events == 300
    assert found.p_value < 1e-6


def test_jensen_shannon_is_the_definition() -> None:
    scores = np.array([0.1, 0.5, 0.9])
    found = distance(jensen_shannon, snap(np.repeat(scores, [10, 20, 70])), snap(np.repeat(scores, [40, 40, 20])))
    a, c = np.array([0.1, 0.2, 0.7]), np.array([0.4, 0.4, 0.2])
    middle = (a + c) / 2
    expected = float((a * np.log2(a / middle)).sum() + (c * np.log2(c / middle)).sum()) / 2

    assert found.value == pytest.approx(expected, abs=1e-12)


def test_kolmogorov_smirnov_is_that_of_scipy_to_the_mass_of_a_fine_bin() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.beta(2, 3, 900), rng.beta(2.4, 3, 700)
    found = distance(kolmogorov_smirnov, snap(a), snap(b))
    exact = stats.ks_2samp(a, b)

    assert found.value == pytest.approx(exact.statistic, abs=0.01)
    assert found.value <= exact.statistic + 1e-12
    assert found.p_value == pytest.approx(exact.pvalue, rel=0.7)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("shape", [(2.0, 2.0), (0.5, 0.5), (1.0, 60.0)])
def test_floors_and_p_values_are_those_of_repetition(measure: Measure, shape: tuple[float, float]) -> None:
    rng = np.random.default_rng(2)
    pairs = [(snap(rng.beta(*shape, 300)), snap(rng.beta(*shape, 500))) for _ in range(60)]
    found = [distance(measure, a, b) for a, b in pairs]

    # The mean of 60 is known to 6%; the level at 0.1 to 0.039; bins and repeats make p-values larger, never smaller.
    assert np.mean([one.value for one in found]) == pytest.approx(np.mean([one.floor for one in found]), rel=0.2)
    assert np.mean([one.p_value < 0.1 for one in found]) <= 0.22
    assert 0.3 < np.mean([one.p_value for one in found]) < 0.75


@pytest.mark.parametrize("measure", MEASURES)
def test_a_moved_distribution_is_told_from_chance(measure: Measure) -> None:
    rng = np.random.default_rng(3)
    found = distance(measure, snap(rng.beta(2, 3, 800)), snap(rng.beta(3, 3, 800)))

    assert found.value > 3 * found.floor
    assert found.p_value < 1e-6


@pytest.mark.parametrize("measure", [jensen_shannon, kolmogorov_smirnov])
def test_the_order_of_the_spans_does_not_matter(measure: Measure) -> None:
    rng = np.random.default_rng(4)
    a, b = snap(rng.beta(2, 3, 200)), snap(rng.beta(3, 3, 300))

    assert distance(measure, a, b) == distance(measure, b, a)


@pytest.mark.parametrize(("measure", "most"), [(jensen_shannon, 1.0), (kolmogorov_smirnov, 1.0)])
def test_distributions_without_a_common_score_are_as_far_apart_as_can_be(measure: Measure, most: float) -> None:
    found = distance(measure, snap([0.1] * 50), snap([0.9] * 80))

    assert found.value == pytest.approx(most, abs=1e-12)
    assert found.p_value < 1e-12


@pytest.mark.parametrize("measure", MEASURES)
def test_equal_spans_have_no_distance(measure: Measure) -> None:
    same = snap(np.random.default_rng(5).random(300))
    found = distance(measure, same, same)

    assert found.value == pytest.approx(0.0, abs=1e-12)
    assert found.p_value == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("measure", MEASURES)
def test_one_score_on_both_sides_has_no_distance(measure: Measure) -> None:
    found = distance(measure, snap([0.4] * 9), snap([0.4] * 90))

    assert (found.value, found.p_value) == (0.0, 1.0)


def test_a_bin_that_empties_keeps_the_stability_index_finite() -> None:
    found = distance(population_stability, snap([0.9] * 50), snap(np.linspace(0.1, 0.9, 50)))

    assert math.isfinite(found.value)
    assert found.value > 1.0


@pytest.mark.parametrize("measure", MEASURES)
def test_weights_count_as_mass_and_take_from_the_evidence(measure: Measure) -> None:
    rng = np.random.default_rng(6)
    a, b, w = rng.beta(2, 3, 300), rng.beta(2.6, 3, 300), rng.choice([1.0, 9.0], 300)
    plain = distance(measure, snap(a, a > 0.5), snap(b, b > 0.5))
    doubled = distance(measure, snap(a, a > 0.5, np.full(300, 2.0)), snap(b, b > 0.5, np.full(300, 2.0)))
    uneven = distance(measure, snap(a, a > 0.5, w), snap(b, b > 0.5, w))

    assert (doubled.value, doubled.floor) == pytest.approx((plain.value, plain.floor), rel=1e-9)
    assert uneven.floor > 1.2 * plain.floor


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("empty", [Snapshot(), snap([0.3], [1], [0.0])])
def test_a_span_without_scores_has_no_distance(measure: Measure, empty: Snapshot) -> None:
    assert measure(empty, snap([0.5])) is None
    assert measure(snap([0.5]), empty) is None


@pytest.mark.parametrize("measure", MEASURES)
def test_parts_merge_into_the_whole(measure: Measure) -> None:
    rng = np.random.default_rng(7)
    scores, before = rng.random(100), snap(rng.random(80))

    assert distance(measure, merge([snap(scores[:30]), snap(scores[30:])]), before) == distance(
        measure, snap(scores), before
    )
