"""What is stored of a slice: each quantity, and the SLO as a whole."""

import math
from dataclasses import replace
from datetime import date

import pytest

from calslo_dagster.slo.slice_trends import Quantity, Subject, slice_trends, worst_first
from calslo_dagster.stats.trend import CONDITION, NO_DATE, PAST, Direction, Forecast, Trend

SUBJECT = Subject("ece_bound", date(2026, 3, 10), "language=de")
QUIET = Trend(28, NO_DATE, Direction.STABLE, 0.7, 0.2, 0.001, 0.001, 1.0, 0.1, 0.2, Forecast((0.0,), (0.1,), (0.2,)))
CLIMBING = replace(
    QUIET, reason=CONDITION, direction=Direction.DEGRADING, p_degrading=0.9, p_soon=0.1, p_month=0.6, breach_in=12
)
SILENT = Trend(3, "too little data", days_needed=4)


def test_the_first_day_of_a_forecast_is_the_one_it_is_made_on() -> None:
    found = slice_trends(SUBJECT, {Quantity.SHIFT: (replace(CLIMBING, breach_in=1), (-0.1, 0.1))})

    assert {row.breach_on for row in found} == {SUBJECT.day}


def test_limits_out_of_reach_are_none() -> None:
    shift, slope, _ = slice_trends(
        SUBJECT, {Quantity.SHIFT: (QUIET, (-0.1, math.inf)), Quantity.SLOPE: (QUIET, (-math.inf, 1.2))}
    )

    assert (shift.limit_low, shift.limit_high, slope.limit_low, slope.limit_high) == (-0.1, None, None, 1.2)
    assert shift.forecast == [[0.0], [0.1], [0.2]]


def test_the_slo_takes_the_likelier_breach_and_the_probability_of_both() -> None:
    *_, either = slice_trends(SUBJECT, {Quantity.SHIFT: (QUIET, (-0.1, 0.1)), Quantity.SLOPE: (CLIMBING, (0.8, 1.2))})

    assert (either.quantity, either.direction, either.reason) == (Quantity.EITHER, Direction.DEGRADING, CONDITION)
    assert either.breach_on == date(2026, 3, 21)
    assert either.p7 == 1 - 0.9 * 0.9
    assert either.p30 == 1 - 0.8 * 0.4
    assert (either.per_day, either.forecast) == (None, [])


def test_one_quantity_past_its_limit_is_a_slo_past_its_limit() -> None:
    past = replace(QUIET, reason=PAST, p_soon=0.9, p_month=0.95)

    *_, either = slice_trends(SUBJECT, {Quantity.SHIFT: (CLIMBING, (-0.1, 0.1)), Quantity.SLOPE: (past, (0.8, 1.2))})

    assert either.reason == PAST


def test_what_is_known_counts_where_the_other_quantity_is_not() -> None:
    *_, either = slice_trends(SUBJECT, {Quantity.SHIFT: (SILENT, (-0.1, 0.1)), Quantity.SLOPE: (QUIET, (0.8, 1.2))})
    *_, neither = slice_trends(SUBJECT, {Quantity.SHIFT: (SILENT, (-0.1, 0.1)), Quantity.SLOPE: (SILENT, (0.8, 1.2))})

    assert either.direction is Direction.STABLE
    assert either.p30 == pytest.approx(0.2)
    assert (neither.direction, neither.p30, neither.days_needed) == (Direction.UNKNOWN, None, 4)


def test_the_likeliest_breach_comes_first() -> None:
    found = [
        row
        for name, trend in (("a", QUIET), ("b", SILENT), ("c", CLIMBING))
        for row in slice_trends(replace(SUBJECT, slice=name), {Quantity.SHIFT: (trend, (-0.1, 0.1))})
    ]

    assert [row.slice for row in worst_first(found)] == ["c", "a", "b"]
