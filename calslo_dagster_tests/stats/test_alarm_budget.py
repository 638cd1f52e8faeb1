"""Budgets of false alarms: thresholds that add up, and the choice within a tick."""

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calslo_dagster.stats.alarm_budget import AlarmBudget, fired
from calslo_dagster_tests.strategies import steady

MINUTE = timedelta(minutes=1)


def test_one_alarm_a_month_on_one_stream_is_one_per_43200_minutes() -> None:
    assert AlarmBudget(1.0).threshold(1, MINUTE) == 43_200
    assert AlarmBudget(1.0).threshold(1, timedelta(minutes=15)) == 2_880


def test_streams_share_the_budget() -> None:
    assert AlarmBudget(4.0).threshold(7_000, MINUTE) == pytest.approx(43_200 * 7_000 / 4)


def test_no_threshold_is_below_one() -> None:
    assert AlarmBudget(100.0).threshold(1, timedelta(days=1)) == 1.0


@pytest.mark.parametrize(("alarms", "streams", "step"), [(0.0, 1, MINUTE), (1.0, 0, MINUTE), (1.0, 1, timedelta(0))])
def test_budgets_of_nothing_are_refused(alarms: float, streams: int, step: timedelta) -> None:
    with pytest.raises(ValueError, match="a budget"):
        AlarmBudget(alarms).threshold(streams, step)


def test_one_stream_must_reach_the_threshold_and_two_half_of_it() -> None:
    assert fired(np.array([99.0, 1.0, 0.0]), 100.0).tolist() == [False, False, False]
    assert fired(np.array([1.0, 100.0, 0.0]), 100.0).tolist() == [False, True, False]
    assert fired(np.array([50.0, 1.0, 50.0]), 100.0).tolist() == [True, False, True]
    assert fired(np.array([]), 100.0).tolist() == []


@steady
@given(st.lists(st.floats(0.0, 500.0), min_size=1, max_size=12))
def test_what_fires_is_the_largest_set_that_may(statistics: list[float]) -> None:
    """By definition: the largest k with k streams of at least A / k, which hold A together."""
    found = fired(np.array(statistics), 100.0)
    sizes = [k for k in range(1, len(statistics) + 1) if sorted(statistics)[-k] * k >= 100.0]

    assert found.sum() == max(sizes, default=0)
    chosen, left = np.array(statistics)[found], np.array(statistics)[~found]
    if len(chosen):
        assert chosen.sum() >= 100.0 * (1 - 1e-12)
        assert not len(left) or chosen.min() >= left.max()
