"""Hours are judged by their season: noise of any size raises no alarm, a change does."""

import numpy as np
import pytest
from numpy.typing import NDArray

from calslo_dagster.stats.anomalies import count_course, rate_course, seasonal, shape_course, spans, threshold

Floats = NDArray[np.float64]
HOURS = 6 * 168
LIMIT = 4.7


def usual(mean: float, hours: int = HOURS) -> Floats:
    """Return the expected events of each hour: less at night, less at the end of the week."""
    at = np.arange(hours)
    week = np.where((at // 24) % 7 >= 5, 0.85, 1.06)
    return np.asarray(mean * week * (1 + 0.45 * np.cos(2 * np.pi * (at % 24 - 14.5) / 24)))


@pytest.mark.parametrize("mean", [2.0, 38.0, 4_000.0])
@pytest.mark.parametrize("spread", [0.0, 0.1])
def test_the_traffic_of_a_healthy_slice_is_not_unusual(mean: float, spread: float) -> None:
    rng = np.random.default_rng(3)
    noise = rng.gamma(1 / spread**2, spread**2, (6, HOURS)) if spread else np.ones((6, HOURS))

    scores = np.concatenate(
        [count_course(rng.poisson(usual(mean) * one).astype(float), limit=LIMIT).score for one in noise]
    )

    known = scores[np.isfinite(scores)]
    assert len(known) == 6 * (HOURS - 24)
    # 5,904 scores; at the normal law's 2.7 per thousand 16 are expected beyond 3, and none beyond the limit.
    assert (np.abs(known) > 3).sum() < 50
    assert (np.abs(known) > LIMIT).sum() == 0


def test_a_silent_hour_and_a_doubled_one_are_found_and_nothing_else() -> None:
    counts = np.random.default_rng(4).poisson(usual(300.0)).astype(float)
    counts[700], counts[800:803] = 0.0, 2 * counts[800:803]

    course = count_course(counts, limit=LIMIT)

    found = [(one.first, one.last) for one in spans(course.score, LIMIT)]
    assert found == [(800, 802), (700, 700)]
    assert course.value[700] < course.low[700] < course.expected[700] < course.high[700]
    assert course.expected[700] == pytest.approx(usual(300.0)[700], rel=0.1)


def test_a_tiny_slice_may_be_silent_and_a_huge_one_may_move_by_a_thousandth() -> None:
    tiny = np.random.default_rng(5).poisson(usual(2.0)).astype(float)
    huge = usual(1e7).round()
    tiny[700], huge[700] = 0.0, 1.001 * huge[700]

    assert abs(count_course(tiny, limit=LIMIT).score[700]) < 3
    assert abs(count_course(huge, limit=LIMIT).score[700]) < 3


def test_nothing_is_judged_before_a_day_is_known_and_a_first_sunday_is_no_alarm() -> None:
    course = count_course(np.random.default_rng(6).poisson(usual(400.0, 7 * 24)).astype(float), limit=LIMIT)

    assert not np.isfinite(course.score[:24]).any()
    assert np.isfinite(course.score[24:]).all()
    assert not list(spans(course.score, LIMIT))


def test_the_past_may_hold_outages() -> None:
    """The median of four weeks stands two of them."""
    counts = usual(200.0)
    counts[HOURS - 1 - 168] = counts[HOURS - 1 - 336] = 0.0
    whole = count_course(usual(200.0), limit=LIMIT).expected[-1]

    assert count_course(np.append(counts[:-1], counts[-1]), limit=LIMIT).expected[-1] == pytest.approx(whole, rel=0.51)
    counts[HOURS - 1 - 336] = usual(200.0)[-1]
    assert count_course(counts, limit=LIMIT).expected[-1] == pytest.approx(whole)


@pytest.mark.parametrize(("mean", "rate"), [(38.0, 0.01), (38.0, 0.65), (4_000.0, 0.01)])
def test_a_steady_rate_is_not_unusual_and_a_changed_one_is(mean: float, rate: float) -> None:
    rng = np.random.default_rng(7)
    whole = rng.poisson(usual(mean)).astype(float)
    part = rng.binomial(whole.astype(int), rate).astype(float)
    healthy = rate_course(part, whole, limit=LIMIT)
    part[900] = round(whole[900] * min(1.0, rate + 0.35) if rate < 0.5 else 0.1 * whole[900])

    found = [(one.first, one.last) for one in spans(rate_course(part, whole, limit=LIMIT).score, LIMIT)]

    assert not list(spans(healthy.score, LIMIT))
    assert found == [(900, 900)]


def test_hours_without_events_have_no_rate() -> None:
    whole = np.full(HOURS, 100.0)
    whole[900] = 0.0

    course = rate_course(whole / 2, whole, limit=LIMIT)

    assert np.isnan(course.score[900])
    assert np.isnan(course.value[900])
    assert not list(spans(course.score, LIMIT))


def test_a_histogram_is_compared_with_that_of_its_season() -> None:
    rng = np.random.default_rng(8)
    night, day = np.full(10, 0.1), np.linspace(0.05, 0.15, 10)
    levels = np.array([rng.multinomial(400, (night, day, day, night)[block % 4]) for block in range(140)], float).T
    healthy = shape_course(levels, blocks_per_day=4, limit=LIMIT)
    levels[:, 121] = rng.multinomial(400, day[::-1])
    levels[:, 122] = rng.multinomial(20, day[::-1])

    course = shape_course(levels, blocks_per_day=4, limit=LIMIT)

    assert not list(spans(healthy.score, LIMIT))
    assert [(one.first, one.last) for one in spans(course.score, LIMIT)] == [(121, 121)]
    assert course.value[121] > course.high[121] > course.expected[121] > 0
    assert np.isnan(course.score[122])
    assert not np.isfinite(course.score[:12]).any()


def test_an_hour_that_is_back_for_a_moment_does_not_end_a_span() -> None:
    score = np.array([0.0, 6.0, 1.0, 7.0, np.nan, 5.0, 0.0, 0.0, 6.0, -6.0])

    assert [(one.first, one.last, one.worst) for one in spans(score, 4.0)] == [(1, 5, 3), (8, 8, 8), (9, 9, 9)]
    assert not list(spans(np.array([]), 4.0))


def test_the_limit_follows_the_number_of_tests() -> None:
    assert threshold(1.0) == 3.0
    assert threshold(17_500.0) == pytest.approx(4.68, abs=0.01)
    assert threshold(17_500.0, 10.0) < threshold(17_500.0) < threshold(700_000.0)
    with pytest.raises(ValueError, match="both rates are above 0"):
        threshold(0.0)


def test_weeks_count_once_there_are_three() -> None:
    assert seasonal([1.0, 5.0, 3.0], [9.0]) == 3.0
    assert seasonal([1.0, 5.0], [9.0, 7.0]) == 8.0
    assert seasonal([], []) is None
