"""Rates and means: exact counts, unknown where nothing says, never a silent zero."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from calslo_dagster.stats import rates
from calslo_dagster.stats.estimate import Estimate
from calslo_dagster.stats.snapshot import Snapshot
from calslo_dagster_tests.builders import snap

ALL = [
    rates.mean_score,
    rates.base_rate,
    rates.clamp_rate,
    rates.bad_score_rate,
    rates.labeled_share,
    rates.mean_alpha,
]


@pytest.mark.parametrize("rate", ALL)
def test_nothing_measured_is_no_value(rate: Callable[[Snapshot], Estimate]) -> None:
    assert rate(Snapshot()).value is None
    assert rate(Snapshot()).reason


def test_each_rate_counts_what_its_name_says() -> None:
    some = snap(
        [0.2, 0.4, 0.6, 0.8, None, 1.5],
        [1, 0, None, None, 1, 1],
        clamped=[True, False, None, False, True, True],
        alpha=[0.1, 0.3, None, None, 0.9, 0.9],
    )

    assert rates.mean_score(some).value == pytest.approx(0.5)
    assert (rates.base_rate(some).value, rates.base_rate(some).events) == (0.5, 2)
    assert rates.clamp_rate(some).value == pytest.approx(1 / 3)
    assert rates.clamp_rate(some).events == 3
    assert rates.bad_score_rate(some).value == pytest.approx(2 / 6)
    assert rates.bad_score_rate(some).events == 6
    assert rates.labeled_share(some).value == 0.5
    assert rates.mean_alpha(some).value == pytest.approx(0.2)
    assert rates.mean_alpha(some).events == 2


def test_rows_rejected_for_another_reason_still_count_as_rows() -> None:
    assert rates.bad_score_rate(snap([0.5, 0.5, None], [1, 7, 1])).value == pytest.approx(1 / 3)


def test_only_bad_rows_are_all_bad() -> None:
    assert rates.bad_score_rate(snap([None, 2.0])).value == 1.0


def test_weights_move_means_and_shrink_the_sample() -> None:
    heavy = snap([0.1, 0.9], [0, 1], [1.0, 3.0])

    assert rates.mean_score(heavy).value == pytest.approx(0.7)
    assert rates.base_rate(heavy).value == pytest.approx(0.75)
    even = rates.base_rate(snap([0.1, 0.9, 0.9, 0.9], [0, 1, 1, 1]))
    assert (rates.base_rate(heavy).standard_error or 0.0) > (even.standard_error or 1.0)


def test_the_error_of_the_mean_score_is_the_textbooks() -> None:
    p = np.random.default_rng(3).beta(2, 5, 400)

    assert rates.mean_score(snap(p)).standard_error == pytest.approx(stats.sem(p), rel=1e-6)


def test_the_mean_score_of_unlabelled_weighted_events_has_an_error() -> None:
    assert rates.mean_score(snap([0.1, 0.9], weights=[1.0, 3.0])).standard_error is not None


def test_a_part_of_the_range_has_a_mean_score_without_error() -> None:
    part = rates.mean_score(snap([0.2, 0.92, 0.96]).above(0.9))

    assert part.value == pytest.approx(0.94)
    assert (part.standard_error, part.events) == (None, 2)


def test_a_constant_alpha_has_no_error() -> None:
    alpha = rates.mean_alpha(snap([0.5] * 4, alpha=[0.25] * 4))

    assert (alpha.value, alpha.standard_error) == (0.25, 0.0)
