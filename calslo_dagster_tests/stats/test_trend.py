"""Trends: what daily points say of the coming month, and when they say nothing."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calslo_dagster.stats.daily import Daily
from calslo_dagster.stats.trend import (
    CONDITION,
    HORIZON,
    NO_DATE,
    PAST,
    SPAN,
    Direction,
    Limits,
    Trend,
    either,
    trend,
)

LIMITS = Limits(-0.1, 0.0, 0.1)
Course = Callable[[int], float]


def course(level: Course, error: float, *, seed: int = 1, days: int = SPAN) -> Daily:
    """Return points about `level`, a function of the days until today, which is 0."""
    noise = np.random.default_rng(seed).normal(0, error, days)
    return Daily.of((day, level(day) + float(noise[day + days - 1]), error) for day in range(1 - days, 1))


def levels(found: Trend) -> np.ndarray:
    assert found.forecast is not None
    return np.array([found.forecast.low, found.forecast.middle, found.forecast.high])


def test_quiet_days_are_stable_and_promise_no_breach() -> None:
    found = trend(course(lambda _: 0.0, 0.01), LIMITS, until=0)

    assert found.direction is Direction.STABLE
    assert found.p_month is not None
    assert found.p_month < 0.1
    assert (found.breach_in, found.reason) == (None, NO_DATE)


def test_a_steady_climb_is_dated() -> None:
    found = trend(course(lambda day: 0.06 + 0.004 * day, 0.004), LIMITS, until=0)

    assert found.direction is Direction.DEGRADING
    assert found.p_degrading == found.probability
    assert found.per_day == pytest.approx(0.004, rel=0.1)
    assert found.breach_in is not None
    assert abs(found.breach_in - 10) <= 4
    assert found.reason == CONDITION


def test_a_return_towards_the_target_is_an_improvement() -> None:
    found = trend(course(lambda day: 0.05 - 0.003 * day, 0.004), Limits(-0.2, 0.0, 0.2), until=0)

    assert found.direction is Direction.IMPROVING
    assert found.breach_in is None


def test_the_way_from_one_side_to_the_other_is_seen_although_the_error_itself_is_small() -> None:
    """The calibration error folds at zero: here it has fallen for three weeks, and only the sign tells what comes."""
    found = trend(course(lambda day: 0.02 + 0.006 * day, 0.004), LIMITS, until=0)

    assert found.direction is Direction.DEGRADING
    assert found.p_month is not None
    assert found.p_month > 0.8


def test_a_quantity_that_is_past_its_limit_gets_no_date() -> None:
    found = trend(course(lambda day: 0.2 + 0.004 * day, 0.004), LIMITS, until=0)

    assert (found.breach_in, found.reason) == (None, PAST)
    assert found.p_soon == found.p_month == 1.0


@pytest.mark.parametrize("sign", [1, -1])
def test_both_sides_are_alike(sign: int) -> None:
    daily = course(lambda day: 0.06 + 0.003 * day, 0.005)
    turned = Daily.of(zip(daily.days.tolist(), (sign * daily.values).tolist(), daily.errors.tolist(), strict=True))

    found, other = trend(daily, LIMITS, until=0), trend(turned, LIMITS, until=0)

    assert other.direction is found.direction
    # Half of the futures are drawn for each sign, so that only models of little weight tell the two apart.
    assert other.p_month == pytest.approx(found.p_month, abs=0.02)


@settings(max_examples=8)
@given(st.floats(-5, 5), st.floats(0.01, 100), st.integers(0, 10_000))
def test_another_unit_or_origin_changes_nothing(origin: float, unit: float, day: int) -> None:
    daily = course(lambda day: 0.05 + 0.002 * day, 0.01)
    moved = Daily.of(
        zip(
            (daily.days + day).tolist(),
            (origin + unit * daily.values).tolist(),
            (unit * daily.errors).tolist(),
            strict=True,
        )
    )
    limits = Limits(origin - 0.1 * unit, origin, origin + 0.1 * unit)

    plain, other = trend(daily, LIMITS, until=0), trend(moved, limits, until=day)

    # The origin costs digits of small differences, which can move a path across the limit.
    assert other.p_month == pytest.approx(plain.p_month, abs=0.002)
    assert other.z == pytest.approx(plain.z, rel=1e-6)
    np.testing.assert_allclose((levels(other) - origin) / unit, levels(plain), rtol=1e-4, atol=1e-6)


def test_more_noise_makes_a_wider_forecast() -> None:
    widths = []
    for error in (0.002, 0.008, 0.03):
        low, _, high = levels(trend(course(lambda _: 0.0, error), LIMITS, until=0))
        widths.append(high - low)

    assert (widths[0] < widths[1]).all()
    assert (widths[1] < widths[2]).all()


def test_a_forecast_widens_with_its_horizon() -> None:
    low, middle, high = levels(trend(course(lambda day: 0.001 * day, 0.01), LIMITS, until=0))

    assert len(low) == HORIZON
    assert (low < middle).all()
    assert (middle < high).all()
    assert (np.diff(high - low) > 0).all()


def test_the_interval_of_a_straight_course_covers_it() -> None:
    """Of 30 courses at least 60 % of all days lie within 80 % intervals; at 80 % fewer would be 1 in 1,000."""
    inside = []
    for seed in range(30):
        low, _, high = levels(trend(course(lambda day: 0.03 + 0.002 * day, 0.01, seed=seed), LIMITS, until=0))
        truth = 0.03 + 0.002 * np.arange(1, HORIZON + 1)
        inside.append(((low <= truth) & (truth <= high)).mean())

    assert float(np.mean(inside)) > 0.6


@pytest.mark.parametrize("points", [0, 1, 6])
def test_too_few_days_are_said_with_how_many_are_missing(points: int) -> None:
    found = trend(course(lambda _: 0.0, 0.01, days=max(points, 1)) if points else Daily.of([]), LIMITS, until=0)

    assert (found.is_known, found.direction, found.days_needed) == (False, Direction.UNKNOWN, 7 - points)
    assert f"{points} of the last 28 days" in found.reason
    assert f"{7 - points} more are needed" in found.reason
    assert found.p_month is None


def test_too_few_events_are_no_probability_of_a_breach() -> None:
    some = trend(course(lambda _: 0.0, 0.08, days=8), LIMITS, until=0)
    hopeless = trend(course(lambda _: 0.0, 5.0), LIMITS, until=0)

    assert (some.is_known, hopeless.is_known) == (False, False)
    assert 0 < some.days_needed <= 6
    assert f"about {some.days_needed} more days" in some.reason
    assert hopeless.days_needed == 0
    assert "even 14 days" in hopeless.reason


@pytest.mark.parametrize(
    "daily",
    [
        Daily.of((day, 0.02, 0.01) for day in range(-27, 1)),
        Daily.of((day, 0.0, 0.0) for day in range(-27, 1)),
        Daily.of((day, 10.0 * day, 0.01) for day in range(-27, 1)),
        Daily.of((day, -1e6 * day, 1e-3) for day in range(-27, 1)),
        Daily.of((day, 0.01, 0.01) for day in range(-27, 1, 4)),
        Daily.of((day, 0.01, 0.01 if day % 2 else 1e9) for day in range(-27, 1)),
        Daily.of((day, 0.01, 0.01) for day in range(-27, -15)),
    ],
    ids=["all equal", "without error", "steep", "very steep", "gaps", "empty days", "none lately"],
)
def test_odd_courses_have_finite_trends(daily: Daily) -> None:
    found = trend(daily, LIMITS, until=0)

    assert found.is_known
    assert np.isfinite(levels(found)).all()
    for p in (found.probability, found.p_degrading, found.p_soon, found.p_month):
        assert p is not None
        assert 0.0 <= p <= 1.0
    assert found.z is not None
    assert math.isfinite(found.z)
    assert found.p_soon is not None
    assert found.p_month is not None
    assert found.p_soon <= found.p_month


def test_days_after_today_and_long_ago_do_not_count() -> None:
    daily = course(lambda day: 0.001 * day, 0.01)
    more = [(-40, 5.0, 0.01), *zip(daily.days.tolist(), daily.values.tolist(), daily.errors.tolist(), strict=True)]

    assert trend(Daily.of([*more, (1, -5.0, 0.01)]), LIMITS, until=0) == trend(daily, LIMITS, until=0)


def test_a_limit_out_of_reach_is_never_crossed() -> None:
    daily = course(lambda day: -0.06 - 0.002 * day, 0.01)

    both, upper, none = (trend(daily, Limits(low, 0.0, high), until=0) for low, high in REACHES)

    assert both.p_month is not None
    assert upper.p_month is not None
    assert both.p_month > 0.1 > upper.p_month
    assert none.p_month == 0.0
    assert none.direction is Direction.STABLE


REACHES = ((-0.1, 0.1), (-math.inf, 0.1), (-math.inf, math.inf))


def test_limits_that_do_not_enclose_their_target_are_refused() -> None:
    with pytest.raises(ValueError, match="enclose their target"):
        Limits(0.0, 0.0, 1.0)


@pytest.mark.parametrize(
    ("probabilities", "together"),
    [((0.5, 0.5), 0.75), ((None, 0.2), 0.2), ((0.3, None), 0.3), ((None, None), None), ((1.0, 0.1), 1.0)],
)
def test_a_breach_by_either_of_two(probabilities: tuple[float | None, ...], together: float | None) -> None:
    assert either(probabilities) == pytest.approx(together)
