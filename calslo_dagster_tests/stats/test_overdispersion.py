"""Dispersion: found where labels come in clusters, not where they are off."""

import numpy as np
import pytest

from calslo_dagster.stats.batches import Floats
from calslo_dagster.stats.overdispersion import Noise, dispersion


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


def noise(cluster: int, batches: int, *, days: int = 1) -> Noise:
    found, parts = Noise(), [np.split(one[: batches * days], days) for one in residuals(cluster)]
    for day, (some, variances) in enumerate(zip(*parts, strict=True)):
        found = found.next_day() if day else found
        for one, variance in zip(some, variances, strict=True):
            found = found.after(float(one), float(variance))
    return found


def test_batch_by_batch_it_is_the_same_but_for_the_weight_of_32_prior_steps() -> None:
    """One step in 250 is cut at 50, where clusters of three make the mean of all 6."""
    some, variances = (one[:1_000] for one in residuals(3))
    expected = (999 * dispersion(some, variances) + 32) / (999 + 32)

    assert noise(3, 1_000).dispersion == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("cluster", [1, 2, 3])
def test_days_that_begin_lose_no_step(cluster: int) -> None:
    assert noise(cluster, 100, days=7).dispersion == pytest.approx(noise(cluster, 700).dispersion)


def test_a_day_counts_for_seven_more_days() -> None:
    found = noise(3, 200)
    for _ in range(7):
        found = found.next_day()

    assert found.dispersion > 2.0
    assert found.next_day().dispersion == 1.0
    assert len(found.next_day().days) == 8


def test_few_batches_and_one_sudden_change_are_no_noise() -> None:
    assert Noise().dispersion == Noise().after(9.0, 1.0).dispersion == 1.0
    assert Noise().after(0.0, 1.0).after(1_000.0, 1.0).dispersion == pytest.approx((50 + 64) / 33 / 2)


def test_a_batch_without_variance_leaves_it_as_it_is() -> None:
    found = noise(2, 10)

    assert found.after(5.0, 0.0) is found


def test_it_stays_within_its_bounds() -> None:
    assert noise(20, 1_000).dispersion == 5.0
    assert Noise(((0.0, 10_000),), 1.0).dispersion == 1.0
