"""Dispersion: found where labels come in clusters, not where they are off."""

import numpy as np
import pytest

from calslo_dagster.stats.batches import Floats
from calslo_dagster.stats.overdispersion import dispersion


def residuals(cluster: int, *, drift: float = 0.0) -> tuple[Floats, Floats]:
    """Return 5,000 batches of 60 events with scores of one half, in clusters of equal labels."""
    positives = np.random.default_rng(2).binomial(60 // cluster, 0.5 + drift, 5_000) * cluster
    return positives.astype(np.float64) - 30.0, np.full(5_000, 15.0)


@pytest.mark.parametrize("cluster", [1, 2, 3])
def test_clusters_of_equal_labels_multiply_the_variance_by_their_size(cluster: int) -> None:
    """5,000 differences have a standard error of phi sqrt(3 / 5,000)."""
    assert dispersion(*residuals(cluster)) == pytest.approx(cluster, rel=0.1)


def test_a_constant_error_is_no_dispersion() -> None:
    assert dispersion(*residuals(1, drift=0.1)) == pytest.approx(1.0, abs=0.1)


def test_it_is_never_below_one_nor_above_its_cap() -> None:
    assert dispersion(np.zeros(10), np.ones(10)) == 1.0
    assert dispersion(*residuals(20)) == 5.0


def test_batches_without_variance_are_left_out() -> None:
    assert dispersion(np.array([4.0, 1.0, 8.0]), np.array([4.0, 0.0, 4.0])) == 2.0
    assert dispersion(np.array([]), np.array([])) == dispersion(np.ones(1), np.ones(1)) == 1.0


def test_shapes_must_match() -> None:
    with pytest.raises(ValueError, match="one residual per variance"):
        dispersion(np.zeros(3), np.zeros(2))
