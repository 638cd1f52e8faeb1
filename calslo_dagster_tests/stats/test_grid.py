"""The fine grid: one bin per score, bounds that hold, and coarse bins that are exact unions."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given

from calslo_dagster.stats import grid
from calslo_dagster_tests.stats import formulas
from calslo_dagster_tests.strategies import EDGES, ODD_SCORES, scores, steady


def array(*values: float) -> grid.Floats:
    return np.array(values, dtype=np.float64)


def cell_by_definition(score: float) -> int:
    """Return the cell in exact rational arithmetic: 512ths down to 1/32, 16 parts of each octave below, mirrored."""
    exact = Fraction(score)
    folded = 1 - exact if exact >= Fraction(1, 2) else exact
    edges = [Fraction(k, 65536) for k in range(16)]
    edges += [Fraction(16 + k, 16) / 2 ** (o + 1) for o in range(11, 4, -1) for k in range(16)]
    edges += [Fraction(k, 512) for k in range(16, 256)]
    k = sum(folded >= edge for edge in edges[1:])
    return 735 - k if exact >= Fraction(1, 2) else k


@steady
@given(scores)
def test_a_score_lies_in_the_cell_that_exact_arithmetic_finds(score: float) -> None:
    assert grid.cells_of(array(score)).tolist() == [cell_by_definition(score)]


@steady
@given(scores)
def test_a_cell_is_cut_at_the_multiples_of_a_sixtieth(score: float) -> None:
    passed = sum(score >= m / 60 for m in range(1, 60))

    assert grid.fine_bins(array(score)).tolist() == [cell_by_definition(score) + passed]


@steady
@given(scores)
def test_a_score_lies_within_the_bounds_of_its_fine_bin(score: float) -> None:
    lower, upper = grid.bin_bounds()
    at = grid.fine_bins(array(score))[0]

    assert lower[at] <= score <= upper[at]


@steady
@given(scores, scores)
def test_a_higher_score_never_lies_in_a_lower_bin(first: float, second: float) -> None:
    low, high = sorted([first, second])
    bins = grid.fine_bins(array(low, high))

    assert bins[0] <= bins[1]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60])
def test_equal_width_bins_are_exact_on_and_beside_every_bound(count: int) -> None:
    """One ulp decides: a bound belongs to the bin above it, its lower neighbour to the bin below."""
    points = {*EDGES, *ODD_SCORES, *(k / count for k in range(count + 1))}
    beside = {math.nextafter(p, towards) for p in points for towards in (0.0, 1.0)}
    p = np.array(sorted(points | beside), dtype=np.float64) + 0.0

    np.testing.assert_array_equal(grid.equal_width_bins(count)[grid.fine_bins(p)], formulas.width_bins(p, count))


@pytest.mark.parametrize("decimals", [1, 2, 3])
def test_scores_of_few_decimals_fall_into_the_width_bin_of_their_decimal_value(decimals: int) -> None:
    p = np.array([k / 10**decimals for k in range(10**decimals + 1)])
    expected = [min(k * 15 // 10**decimals, 14) for k in range(10**decimals + 1)]

    assert grid.equal_width_bins(15)[grid.fine_bins(p)].tolist() == expected


def test_bounds_cover_the_range_without_gap() -> None:
    lower, upper = grid.bin_bounds()

    assert (lower[0], upper[-1]) == (0.0, 1.0)
    np.testing.assert_array_equal(upper[:-1], lower[1:])


def test_relative_resolution_holds_down_to_one_in_four_thousand() -> None:
    lower, upper = grid.bin_bounds()
    rare = (lower >= 2.0**-12) & (upper <= 0.5)

    assert ((upper - lower)[rare] / lower[rare]).max() <= 1 / 16
    assert (upper - lower).max() == 1 / 512


def test_every_bin_but_two_can_be_reached_and_the_last_one_is_that_of_one() -> None:
    lower, upper = grid.bin_bounds()
    points = np.sort(np.concatenate([(lower + upper) / 2, lower, upper]))
    missing = sorted(set(range(grid.FINE_BINS)) - set(grid.fine_bins(points).tolist()))

    assert grid.FINE_BINS == len(lower) == 795
    assert [(lower[k], upper[k]) for k in missing] == [(0.25, 0.25), (0.5, 0.5)]
    assert grid.fine_bins(array(0.0, 1.0)).tolist() == [0, 794]


@pytest.mark.parametrize("count", [7, 8, 61, 25])
def test_a_number_of_bins_that_does_not_divide_sixty_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match=f"divides 60, got {count}"):
        grid.equal_width_bins(count)


@pytest.mark.parametrize("score", [-1e-300, 1.0000000000000002, math.nan, math.inf, -math.inf])
def test_a_score_that_is_no_probability_is_refused(score: float) -> None:
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
        grid.fine_bins(array(0.5, score))


def test_what_the_caches_share_cannot_be_written_to() -> None:
    shared = (grid.lower_half_edges(), grid.multiples(), *grid.bin_bounds(), grid.equal_width_bins(10))

    assert not any(cached.flags.writeable for cached in shared)
