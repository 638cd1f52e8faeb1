"""Bets on rates: fair at the limit, losing below it, and quick above."""

import itertools
import math

import numpy as np
import pytest

from calslo_dagster.errors import SnapshotError
from calslo_dagster.stats.rate_bets import (
    ODDS,
    RateDetector,
    fresh_rate,
    rate_e_value,
    rate_statistic,
    rate_step,
    reset_rate,
)
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


@pytest.mark.parametrize("limit", [0.001, 0.01, 0.1, 0.5, 0.95])
@pytest.mark.parametrize("trials", [1, 7, 60])
@pytest.mark.parametrize("share", [1.0, 0.7, 0.1])
def test_the_evidence_of_one_look_has_a_mean_of_at_most_one_at_every_rate_that_is_kept(
    limit: float, trials: int, share: float
) -> None:
    rate = limit * share
    chances = [math.comb(trials, k) * rate**k * (1 - rate) ** (trials - k) for k in range(trials + 1)]
    mean = sum(chance * rate_e_value(k, trials, limit) for k, chance in enumerate(chances))

    assert mean <= 1 + 1e-12
    if share == 1.0:
        # What the largest gain cuts off is next to nothing.
        assert mean == pytest.approx(1.0, abs=1e-4)


def test_the_evidence_of_one_look_is_one_without_trials_and_never_overflows() -> None:
    assert rate_e_value(0, 0, 0.1) == 1.0
    assert rate_e_value(10**6, 10**6, 0.01) == pytest.approx(math.e**60)


def seen(hits: int, batches: int = 5) -> RateDetector:
    detector = RateDetector.fresh("v1")
    for at in range(batches):
        detector = detector.step(hits, 100, limit=0.1, at=at)
    return detector


def test_a_detector_is_the_mixture_of_its_bets() -> None:
    by_hand = fresh_rate()
    for at in range(5):
        by_hand = rate_step(by_hand, 15, 100, limit=0.1, at=at)

    assert seen(15).statistic == rate_statistic(by_hand)
    assert seen(15).e_value == seen(15).statistic / (5 + HEAD_START)
    assert RateDetector.fresh("").reset().e_value == 1.0


def test_after_an_alarm_a_detector_begins_again_without_its_head_start() -> None:
    again = seen(30).reset()

    assert (again.epoch, again.statistic, again.mixture.updates) == ("v1", 0.0, 0)
    assert again.step(0, 0, limit=0.1, at=9).statistic == 0.0


def test_a_detector_tells_which_rate_it_sees_and_since_when() -> None:
    detector = RateDetector.fresh("")
    for at in range(40):
        detector = detector.step(10 if at < 30 else 36, 100, limit=0.1, at=at)
    name, began = detector.leading

    assert name == "odds x5"
    assert began == pytest.approx(30, abs=1)


@pytest.mark.parametrize("detector", [RateDetector.fresh("v1"), seen(12), seen(40).reset()])
def test_a_detector_comes_back_bit_by_bit(detector: RateDetector) -> None:
    back = RateDetector.loaded(detector.dumped())

    assert back.dumped() == detector.dumped()
    np.testing.assert_array_equal(back.mixture.mass, detector.mixture.mass)
    np.testing.assert_array_equal(back.mixture.start, detector.mixture.start)


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"epoch": "", "mass": [1], "start": [1], "updates": 1}', f'{{"mass": {[0] * len(ODDS)}}}']
)
def test_a_state_of_other_bets_is_refused(text: str) -> None:
    with pytest.raises(SnapshotError, match="start it afresh"):
        RateDetector.loaded(text)
