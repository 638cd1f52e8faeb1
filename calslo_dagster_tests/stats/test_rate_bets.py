"""Bets on rates: fair at the limit, losing below it, and quick above."""

import itertools

import numpy as np
import pytest

from calslo_dagster.stats.rate_bets import fresh_rate, rate_statistic, rate_step, reset_rate
from calslo_dagster.stats.sequential import HEAD_START


@pytest.mark.parametrize("limit", [0.01, 0.1, 0.5, 0.95])
@pytest.mark.parametrize("share", [1.0, 0.5])
def test_bets_have_a_mean_of_one_at_the_limit_and_less_below(limit: float, share: float) -> None:
    """All outcomes of four trials."""
    rate = limit * share
    mean = np.zeros(8)
    for hits in (sum(outcome) for outcome in itertools.product((0, 1), repeat=4)):
        chance = rate**hits * (1 - rate) ** (4 - hits)
        mean += chance * rate_step(reset_rate(), hits, 4, limit=limit, at=0).mass

    if share == 1.0:
        np.testing.assert_allclose(mean, 1.0)
    else:
        assert (mean < 1).all()


def test_a_rate_above_the_limit_is_found_and_one_below_is_not() -> None:
    rng = np.random.default_rng(1)
    high, low = fresh_rate(), fresh_rate()
    for at in range(60):
        high = rate_step(high, int(rng.binomial(100, 0.15)), 100, limit=0.1, at=at)
        low = rate_step(low, int(rng.binomial(100, 0.07)), 100, limit=0.1, at=at)

    assert rate_statistic(high) > 43_200
    assert rate_statistic(low) < 60 + HEAD_START


def test_dispersion_and_empty_batches_add_no_evidence() -> None:
    fresh = fresh_rate()
    hits = {phi: rate_statistic(rate_step(fresh, 30, 100, limit=0.1, at=0, dispersion=phi)) for phi in (1.0, 3.0)}

    assert rate_step(fresh, 0, 0, limit=0.1, at=0) is fresh
    assert hits[3.0] < hits[1.0]


@pytest.mark.parametrize(
    ("hits", "trials", "limit", "phi"), [(3, 2, 0.1, 1.0), (-1, 2, 0.1, 1.0), (1, 2, 0.0, 1.0), (1, 2, 0.1, 0.5)]
)
def test_numbers_that_cannot_be_are_refused(hits: int, trials: int, limit: float, phi: float) -> None:
    with pytest.raises(ValueError, match=r"lie|at least"):
        rate_step(fresh_rate(), hits, trials, limit=limit, at=0, dispersion=phi)
