"""Coarse bins: placement in integers, nothing lost in a cut, ties kept together."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calslo_dagster.stats.bins import Binned, default_bins, equal_mass_bins
from calslo_dagster.stats.snapshot import Snapshot
from calslo_dagster_tests.builders import Event, snap, snap_events
from calslo_dagster_tests.stats import formulas
from calslo_dagster_tests.strategies import labeled_batches, steady, weighted_batches


@pytest.mark.parametrize(
    ("events", "bins"), [(0, 1), (1, 1), (3, 1), (4, 2), (225, 15), (3_999, 63), (4_000, 15), (10**9, 15)]
)
def test_the_default_number_of_bins_is_the_root_of_a_small_sample(events: int, bins: int) -> None:
    assert default_bins(events) == bins


@steady
@given(st.lists(st.integers(0, 30), min_size=1, max_size=30), st.integers(1, 40))
def test_placement_is_the_rational_formula(counts: list[int], bins: int) -> None:
    total, before, expected = sum(counts), 0, []
    for count in counts:
        expected.append(min(bins - 1, bins * (2 * before + count) // (2 * total)) if total else 0)
        before += count

    assert equal_mass_bins(np.array(counts), bins).tolist() == expected


def test_placement_survives_counts_that_fill_64_bits() -> None:
    counts = np.array([1, 2, 3, 2]) * (2**58 + 12_345)

    assert equal_mass_bins(counts, 4).tolist() == equal_mass_bins(np.array([1, 2, 3, 2]), 4).tolist()


def test_no_bins_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1, got 0"):
        equal_mass_bins(np.array([1]), 0)


@steady
@given(weighted_batches, st.integers(1, 30))
def test_a_cut_loses_nothing(batch: list[Event], bins: int) -> None:
    whole = snap_events(batch)
    sums = Binned.equal_mass(whole, bins)

    assert sums.total_events == len(batch)
    for name, values in (("w_lab", sums.weight), ("w2_lab", sums.square_weight), ("ws_lab", sums.score)):
        assert values.sum() == pytest.approx(whole.cell(name).sum(), rel=1e-12)
    assert sums.label.sum() == pytest.approx(whole.cell("wy_lab").sum(), rel=1e-12, abs=1e-9)
    assert (sums.lower <= sums.upper).all()
    assert (np.diff(sums.index) > 0).all()
    assert sums.index.min() >= 0
    assert sums.index.max() < bins


def test_equal_mass_bins_hold_equal_mass() -> None:
    p = np.random.default_rng(5).beta(2, 2, 3_000)
    sums = Binned.equal_mass(snap(p, np.zeros(len(p))), 15)

    assert sums.events.tolist() == [200.0] * 15


@pytest.mark.parametrize("steps", [10, 20, 60])
def test_equal_scores_share_a_bin_as_in_the_definition(steps: int) -> None:
    """With at most one score per fine bin nothing is cut, and the result is the definition's to the last event."""
    rng = np.random.default_rng(steps)
    p = np.round(rng.beta(2, 3, 700) * steps) / steps
    y = (rng.random(700) < p).astype(float)
    sums = Binned.equal_mass(snap(p, y), 15)
    expected = formulas.gap_per_bin(p, y, np.ones(700), formulas.mass_bins(p, 15))

    assert sums.index.tolist() == sorted(expected)
    np.testing.assert_allclose(sums.gap, [expected[k][0] for k in sums.index.tolist()], atol=1e-6)
    np.testing.assert_allclose(sums.events, [expected[k][1] for k in sums.index.tolist()], atol=1e-9)


def test_a_clamped_score_that_dominates_its_fine_bin_is_not_cut() -> None:
    """40% at the clamp fill six of fifteen bins' mass but one bin, with two stray scores in the same fine bin."""
    p = np.concatenate([np.full(400, 0.98), [0.9796, 0.9804], np.linspace(0.1, 0.9, 598)])
    sums = Binned.equal_mass(snap(p, np.zeros(1_000)), 15)

    assert sums.events.max() >= 400
    assert len(sums.index) <= 10


@steady
@given(labeled_batches, st.integers(2, 6), st.integers(1, 20))
def test_an_integer_weight_counts_as_that_many_events(batch: list[Event], times: int, bins: int) -> None:
    repeated = Binned.equal_mass(snap_events(batch * times), bins)
    weighted = Binned.equal_mass(snap_events([Event(e.score, e.label, float(times)) for e in batch]), bins)

    assert weighted.index.tolist() == repeated.index.tolist()
    np.testing.assert_allclose(weighted.weight, repeated.weight, atol=1e-9)
    # Where a fine bin is cut, rounding of its variance moves up to a hundredth of an event.
    np.testing.assert_allclose(weighted.gap, repeated.gap, atol=0.01 * times)


def test_the_model_variance_of_weighted_events_is_that_of_the_definition() -> None:
    p, w = np.array([0.2, 0.2, 0.7, 0.7]), np.array([1.0, 1.0, 3.0, 3.0])
    sums = Binned.equal_width(snap(p, [0, 1, 1, 0], w), 10)

    np.testing.assert_allclose(sums.model_variance, [2 * 0.16, 2 * 9 * 0.21], atol=1e-8)


def test_label_variance_and_effective_size() -> None:
    sums = Binned.equal_width(snap([0.5, 0.5, 0.5, 0.5], [1, 0, 0, 0]), 1)

    assert (sums.label_variance.tolist(), sums.size.tolist(), sums.unit) == ([0.75], [4.0], 1.0)


@pytest.mark.parametrize("cut", [Binned.equal_mass, Binned.equal_width])
def test_without_labelled_weight_there_are_no_bins(cut: object) -> None:
    assert callable(cut)
    for empty in (Snapshot(), snap([0.5, 0.6]), snap([0.5], [1], [0.0])):
        assert len(cut(empty, 15).index) == 0


def test_bounds_are_those_of_the_width_or_enclose_the_scores() -> None:
    p = np.linspace(0.01, 0.99, 99)
    width = Binned.equal_width(snap(p, np.zeros(99)), 10)
    mass = Binned.equal_mass(snap(p, np.zeros(99)), 10)

    np.testing.assert_allclose(width.lower, np.arange(10) / 10)
    assert (width.upper[-1], mass.upper[-1] >= 0.99, mass.lower[0] <= 0.01) == (1.0, True, True)
    np.testing.assert_allclose(mass.upper[:-1], mass.lower[1:])
    assert math.isclose(mass.lower[5], 0.5, abs_tol=0.02)
