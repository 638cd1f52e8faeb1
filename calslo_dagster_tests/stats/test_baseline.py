"""Baselines: ranks, pivot, tolerance, and how many events a verdict needs."""

import numpy as np
import pytest

from calslo_dagster.stats import grid
from calslo_dagster.stats.baseline import Baseline, scaled_tolerance
from calslo_dagster_tests.builders import snap

RNG = np.random.default_rng(5)
CHURN = np.where(RNG.random(20_000) < 0.7, RNG.beta(2, 8, 20_000), RNG.beta(6, 3, 20_000))


def baseline(scores: list[float], tolerance: float | None = None) -> Baseline:
    return Baseline.of(snap(scores, np.zeros(len(scores))), tolerance=tolerance)


def test_blocks_hold_a_sixteenth_of_the_events_each() -> None:
    found = baseline(CHURN.tolist())
    counts = np.bincount(np.searchsorted(found.edges, grid.fine_bins(CHURN), side="right") - 1)

    np.testing.assert_allclose(counts / len(CHURN), 1 / 16, atol=0.008)


def test_moments_are_those_of_the_scores() -> None:
    found = baseline(CHURN.tolist())

    assert found.variance == pytest.approx(float((CHURN * (1 - CHURN)).mean()), rel=1e-4)
    assert found.deviation == pytest.approx(float(np.sqrt(CHURN * (1 - CHURN)).mean()), rel=1e-3)
    assert found.pivot == round(4 * float(np.log(np.median(CHURN) / (1 - np.median(CHURN))))) / 4


def test_a_baseline_does_not_depend_on_labels() -> None:
    scores = CHURN[:500]

    assert Baseline.of(snap(scores, np.zeros(500))) == Baseline.of(snap(scores, np.ones(500)))


def test_without_events_scores_count_as_spread_evenly() -> None:
    found = baseline([])

    assert found.variance == pytest.approx(1 / 6, rel=1e-3)
    assert (found.pivot, found.tolerance) == (0.0, 0.015)
    lower, _ = grid.bin_bounds()
    np.testing.assert_allclose(lower[list(found.edges[:-1])], np.arange(16) / 16, atol=1 / 512)


def test_equal_scores_share_a_block() -> None:
    found = baseline([0.3] * 100)
    at = int(grid.fine_bins(np.array([0.3]))[0])

    assert len({edge for edge in found.edges if edge not in {0, grid.FINE_BINS}}) <= 2
    assert any(low <= at < high for low, high in zip(found.edges, found.edges[1:], strict=False))


def test_the_tolerance_shrinks_with_rare_events() -> None:
    assert scaled_tolerance(0.162) == 0.015
    assert scaled_tolerance(0.0207) == pytest.approx(0.00207)
    assert baseline([0.5], tolerance=0.03).tolerance == 0.03


@pytest.mark.parametrize("tolerance", [-0.01, 1.01, float("nan")])
def test_a_tolerance_that_is_no_error_is_refused(tolerance: float) -> None:
    with pytest.raises(ValueError, match=r"a tolerance lies in \[0, 1\]"):
        baseline([0.5], tolerance=tolerance)


def test_needed_events_are_where_the_noise_comes_down_to_the_tolerance() -> None:
    """Of scores at one half: mean sqrt(30 / (pi N)) / 2 and deviation 1 / (2 sqrt N)."""
    needed = baseline([0.5], tolerance=0.015).needed_events()

    assert needed is not None
    noise = np.sqrt(30 / np.pi / needed) / 2 + 1.645 * 0.5 / np.sqrt(needed)
    assert noise == pytest.approx(0.015, rel=1e-4)
    assert baseline([0.5], tolerance=0.015).needed_events(dispersion=2.0) == pytest.approx(2 * needed, abs=2)


def test_no_number_of_events_shows_an_error_of_zero() -> None:
    assert baseline([0.0, 1.0]).needed_events() is None
