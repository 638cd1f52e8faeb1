"""Standings: a breach holds until the data clear it, a warning is told once, and nothing is claimed without labels."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from calslo_dagster.stats.latch import Alarms, Latch, Reading, Standing, error_reading, rate_reading
from calslo_dagster_tests.builders import snap

START = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
LIMIT = 0.015
GOOD, BAD = (Reading(value, value, 0.0, value, 1_000, 15) for value in (0.01, 0.04))
BREACH, CHANGE, BOTH = Alarms(breach=True), Alarms(change=True), Alarms(breach=True, change=True)


def estimated(debiased: float, events: int) -> Reading:
    """Return a reading whose interval reaches beyond the limit."""
    return Reading(0.03, debiased, 0.0, 0.05, events, 15)


def test_a_breach_holds_until_what_came_since_is_within_the_limit() -> None:
    latch = Latch().after(START, BREACH, took=500)

    assert latch.standing(START + 99 * HOUR, GOOD, LIMIT) is Standing.BREACHED
    assert latch.cleared(START, BAD, LIMIT) == latch.cleared(START, None, LIMIT) == latch
    assert latch.cleared(START + HOUR, GOOD, LIMIT).standing(START + HOUR, GOOD, LIMIT) is Standing.MEETING


@pytest.mark.parametrize(
    ("debiased", "events", "is_over"), [(0.015, 2_000, True), (0.015, 1_999, False), (0.016, 9_000, False)]
)
def test_a_breach_ends_after_four_times_the_events_it_took_if_the_estimate_is_within(
    debiased: float, events: int, *, is_over: bool
) -> None:
    latch = Latch().after(START, BREACH, took=500)

    assert (latch.cleared(START, estimated(debiased, events), LIMIT).breached_since is None) is is_over


def test_the_slowest_alarm_of_a_breach_says_how_long_to_wait() -> None:
    latch = Latch().after(START, BREACH, took=500).after(START + HOUR, BREACH, took=100)

    assert (latch.breached_since, latch.breach_fired, latch.breach_took) == (START, START + HOUR, 500)


def test_a_breach_whose_alarm_took_no_events_does_not_end_by_patience() -> None:
    latch = Latch().after(START, BREACH)

    assert latch.cleared(START, estimated(0.0, 10**9), LIMIT) == latch


def test_after_a_breach_a_day_of_warning_follows_unless_the_limit_is_kept_for_certain() -> None:
    over = Latch().after(START, BREACH, took=10).cleared(START, estimated(0.01, 40), LIMIT)

    assert over == Latch(recovers_until=START + DAY)
    assert over.standing(START + 23 * HOUR, BAD, LIMIT) is Standing.WARNING
    assert over.standing(START + 23 * HOUR, None, LIMIT) is Standing.WARNING
    assert over.standing(START + 23 * HOUR, GOOD, LIMIT) is Standing.MEETING
    assert over.standing(START + DAY, BAD, LIMIT) is Standing.INCONCLUSIVE


def test_clearing_what_is_not_breached_changes_nothing() -> None:
    latch = Latch().after(START, CHANGE)

    assert latch.cleared(START, GOOD, LIMIT) is latch


def test_a_warning_lasts_a_week_after_its_last_alarm() -> None:
    latch = Latch().after(START, CHANGE).after(START + HOUR, CHANGE)

    assert (latch.warned_since, latch.warned_until) == (START, START + HOUR + 7 * DAY)
    assert latch.standing(START + 7 * DAY, GOOD, LIMIT) is Standing.WARNING
    assert latch.standing(START + HOUR + 7 * DAY, GOOD, LIMIT) is Standing.MEETING


@pytest.mark.parametrize(("hours", "is_same"), [(167, True), (168, False)])
def test_alarms_while_a_warning_lasts_are_one_episode(hours: int, *, is_same: bool) -> None:
    latch = Latch().after(START, CHANGE).after(START + hours * HOUR, CHANGE)

    assert (latch.warned_since == START) is is_same


def test_a_warning_ends_a_day_after_the_breach_that_it_led_to() -> None:
    latch = Latch().after(START, Alarms(change=True, breach=True), took=10).cleared(START + HOUR, GOOD, LIMIT)

    assert latch.warned_until == latch.recovers_until == START + HOUR + DAY


def test_a_harmless_error_is_one_episode_however_long_it_lasts() -> None:
    latch = Latch()
    for hour in range(0, 24 * 60, 160):
        latch = latch.after(START + hour * HOUR, CHANGE)
        assert latch.standing(START + hour * HOUR, GOOD, LIMIT) is Standing.WARNING

    assert latch.warned_since == START


def test_a_breach_comes_before_a_warning() -> None:
    latch = Latch().after(START, BOTH, took=1)

    assert latch.standing(START, GOOD, LIMIT) is Standing.BREACHED
    assert latch.cleared(START, GOOD, LIMIT).standing(START, GOOD, LIMIT) is Standing.WARNING


def test_without_enough_labels_nothing_is_claimed() -> None:
    assert Latch().standing(START, None, LIMIT) is Standing.INCONCLUSIVE
    assert Latch().standing(START, BAD, LIMIT) is Standing.INCONCLUSIVE
    assert Latch().standing(START, GOOD, LIMIT) is Standing.MEETING


def test_a_tick_without_alarms_changes_nothing() -> None:
    latch = Latch().after(START, BOTH, took=3)

    assert latch.after(START + HOUR, Alarms(), took=99) == latch


def test_a_reading_has_an_interval_around_its_value_that_clusters_widen() -> None:
    rng = np.random.default_rng(4)
    p = rng.uniform(0.02, 0.98, 3_000)
    window = snap(p, rng.random(3_000) < p)
    plain, wide = error_reading(window), error_reading(window, dispersion=2.0)

    assert plain is not None
    assert wide is not None
    assert plain.low <= plain.debiased <= plain.value <= plain.high
    assert (plain.events, plain.bins) == (3_000, 15)
    assert (wide.low, wide.value) == (plain.low, plain.value) == (0.0, plain.value)
    assert wide.high > plain.high
    assert error_reading(snap([0.5], [None])) is None


def test_readings_cover_the_true_error() -> None:
    """Either end holds with 95% each; a tenth of 80 samples outside is not chance."""
    rng = np.random.default_rng(6)
    missed = 0
    for _ in range(80):
        p = rng.uniform(0.05, 0.95, 600)
        found = error_reading(snap(p, rng.random(600) < p + 0.04))
        assert found is not None
        missed += not found.low <= 0.04 <= found.high

    assert missed <= 8


def test_either_end_of_a_rate_holds_with_95_percent() -> None:
    """The upper end of no hits among n solves (1 - p)^n = 5 %, for VERDICT_Z is the quantile to four digits."""
    found = rate_reading(0, 100)

    assert found is not None
    assert (found.value, found.low, found.events) == (0.0, 0.0, 100)
    assert found.high == pytest.approx(1 - 0.05**0.01, rel=1e-3)
    assert rate_reading(0, 0) is None


def test_clusters_widen_a_rate_as_fewer_trials_would() -> None:
    wide, fewer = rate_reading(30, 300, dispersion=3.0), rate_reading(10, 100)

    assert wide is not None
    assert fewer is not None
    assert (wide.low, wide.high, wide.value) == pytest.approx((fewer.low, fewer.high, 0.1))
    assert wide.events == 300
