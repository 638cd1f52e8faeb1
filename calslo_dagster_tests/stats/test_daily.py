"""Daily points: in order, finite, one a day."""

import math

import numpy as np
import pytest

from calslo_dagster.stats.daily import LEAST_ERROR, Daily


def test_points_are_put_in_order_and_those_that_say_nothing_are_left_out() -> None:
    daily = Daily.of([(3, 0.3, 0.1), (1, 0.1, 0.0), (2, math.nan, 0.1), (4, 0.4, math.inf)])

    assert daily.days.tolist() == [1, 3]
    assert daily.values.tolist() == [0.1, 0.3]
    assert daily.errors.tolist() == [LEAST_ERROR, 0.1]


def test_no_points_are_points_too() -> None:
    assert len(Daily.of([])) == 0


@pytest.mark.parametrize(
    ("points", "complaint"),
    [([(1, 0.0, 1.0), (1, 0.1, 1.0)], "two points are of one day"), ([(1, 0.0, -1.0)], "at least 0, got -1")],
)
def test_impossible_points_are_refused(points: list[tuple[int, float, float]], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Daily.of(points)


def test_the_last_days_are_cut_out_and_scaled() -> None:
    daily = Daily.of([(day, float(day), 1.0) for day in range(10)])

    kept = daily.last(3, until=7).scaled(5.0, 2.0)

    assert kept.days.tolist() == [5, 6, 7]
    np.testing.assert_array_equal(kept.values, [0.0, 0.5, 1.0])
    np.testing.assert_array_equal(kept.errors, [0.5, 0.5, 0.5])
