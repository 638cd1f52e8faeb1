"""The reliability curve shows each bin with what it rests on."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calslo_dagster.stats.intervals import clopper_pearson
from calslo_dagster.stats.reliability import Binning, reliability_curve
from calslo_dagster.stats.snapshot import Snapshot
from calslo_dagster_tests.builders import Event, snap, snap_events
from calslo_dagster_tests.strategies import steady, weighted_batches


def test_bins_of_equal_width_are_those_of_the_events() -> None:
    curve = reliability_curve(snap([0.05, 0.07, 0.31, 0.39], [0, 1, 1, 1]), 10, binning=Binning.EQUAL_WIDTH)

    assert [(b.lower, b.upper, b.events) for b in curve] == [(0.0, 0.1, 2.0), (0.3, 0.4, 2.0)]
    np.testing.assert_allclose([b.mean_score for b in curve], [0.06, 0.35], atol=1e-8)
    assert [b.rate for b in curve] == [0.5, 1.0]
    assert (curve[1].low, curve[1].high) == pytest.approx(clopper_pearson(2, 2))


def test_a_pure_bin_has_an_interval_with_a_width() -> None:
    pure = reliability_curve(snap([0.4] * 5, [1] * 5), 10)[0]

    assert (pure.rate, pure.high) == (1.0, 1.0)
    assert 0.4 < pure.low < 0.7


def test_unequal_weights_widen_the_interval() -> None:
    even = reliability_curve(snap([0.4] * 40, [0, 1] * 20), 1)[0]
    uneven = reliability_curve(snap([0.4] * 40, [0, 1] * 20, [1, 1, 9, 9] * 10), 1)[0]

    assert uneven.rate == even.rate == 0.5
    assert uneven.high - uneven.low > even.high - even.low


@steady
@given(weighted_batches, st.sampled_from(Binning), st.sampled_from([1, 5, 15]))
def test_every_bin_is_a_bin_of_probabilities(batch: list[Event], binning: Binning, bins: int) -> None:
    curve = reliability_curve(snap_events(batch), bins, binning=binning)

    assert sum(b.events for b in curve) == pytest.approx(len(batch))
    for b in curve:
        assert 0.0 <= b.low <= b.rate <= b.high <= 1.0
        assert b.lower <= b.upper
    means = [b.mean_score for b in curve]
    assert means == sorted(means)


def test_a_calibrated_model_has_its_scores_within_most_intervals() -> None:
    rng = np.random.default_rng(12)
    p = rng.beta(2, 2, 6_000)
    curve = reliability_curve(snap(p, rng.random(6_000) < p))

    assert len(curve) == 15
    assert sum(not b.low <= b.mean_score <= b.high for b in curve) <= 3


@pytest.mark.parametrize("binning", Binning)
def test_no_labels_no_curve(binning: Binning) -> None:
    assert reliability_curve(Snapshot(), 15, binning=binning) == ()
