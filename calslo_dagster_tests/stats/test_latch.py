"""Standings: a breach holds until the data clear it, a warning is told once, and nothing is claimed without labels."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from calslo_dagster.stats.latch import Latch, Reading, Standing, reading
from calslo_dagster_tests.builders import snap

START = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
GOOD, BAD = (Reading(value, value, 0.0, value, 1_000, 15) for value in (0.01, 0.04))


def standing(latch: Latch, now: datetime, seen: Reading | None) -> Standing:
    return latch.standing(now, seen, 0.015)[0]


def test_a_breach_holds_until_the_window_since_its_alarm_is_within_the_tolerance() -> None:
    latch = Latch().after(START, has_changed=False, has_breached=True)

    assert standing(latch, START + 99 * HOUR, GOOD) is Standing.BREACHED
    assert latch.cleared(BAD, 0.015) == latch.cleared(None, 0.015) == latch
    assert standing(latch.cleared(GOOD, 0.015), START + HOUR, GOOD) is Standing.MEETING


def test_the_window_begins_at_the_last_alarm_and_lasts_a_day() -> None:
    latch = Latch().after(START, has_changed=False, has_breached=True)
    again = latch.after(START + 5 * HOUR, has_changed=False, has_breached=True)

    assert Latch().window_start(START) == START - 24 * HOUR
    assert latch.window_start(START + 3 * HOUR) == START
    assert again.window_start(START + 6 * HOUR) == START + 5 * HOUR
    assert again.window_start(START + 60 * HOUR) == START + 36 * HOUR
    assert again.breached_since == START


def test_a_warning_lasts_a_day_after_its_last_alarm() -> None:
    latch = Latch().after(START, has_changed=True, has_breached=False)

    assert standing(latch, START + 23 * HOUR, GOOD) is Standing.WARNING
    assert standing(latch, START + 24 * HOUR, GOOD) is Standing.MEETING


@pytest.mark.parametrize(("days", "is_same"), [(1, True), (7, True), (8, False)])
def test_alarms_within_a_week_are_one_episode(days: int, is_same: bool) -> None:
    later = START + timedelta(days=days)
    latch = Latch().after(START, has_changed=True, has_breached=False)

    assert (latch.after(later, has_changed=True, has_breached=False).warned_since == START) is is_same


def test_a_harmless_error_is_one_episode_however_long_it_lasts() -> None:
    latch = Latch()
    for hour in range(0, 24 * 60, 20):
        latch = latch.after(START + hour * HOUR, has_changed=True, has_breached=False)
        assert standing(latch, START + hour * HOUR, GOOD) is Standing.WARNING

    assert latch.warned_since == START


def test_a_breach_comes_before_a_warning_and_both_say_why() -> None:
    latch = Latch().after(START, has_changed=True, has_breached=True)

    assert latch.standing(START, GOOD, 0.015) == (
        Standing.BREACHED,
        "the error is above 0.015 since 2026-03-01 00:00",
    )
    assert latch.cleared(GOOD, 0.015).standing(START, GOOD, 0.015)[0] is Standing.WARNING


def test_without_enough_labels_nothing_is_claimed() -> None:
    assert Latch().standing(START, None, 0.015) == (Standing.INCONCLUSIVE, "no labels to judge by")
    assert Latch().standing(START, BAD, 0.015) == (
        Standing.INCONCLUSIVE,
        "the error may be up to 0.04, allowed are 0.015",
    )


def test_a_tick_without_alarms_changes_nothing() -> None:
    latch = Latch().after(START, has_changed=True, has_breached=True)

    assert latch.after(START + HOUR, has_changed=False, has_breached=False) == latch


def test_a_reading_has_an_interval_around_its_value_that_clusters_widen() -> None:
    rng = np.random.default_rng(4)
    p = rng.uniform(0.02, 0.98, 3_000)
    window = snap(p, rng.random(3_000) < p)
    plain, wide = reading(window), reading(window, dispersion=2.0)

    assert plain is not None
    assert wide is not None
    assert plain.low <= plain.debiased <= plain.value <= plain.high
    assert (plain.events, plain.bins) == (3_000, 15)
    assert (wide.low, wide.value) == (plain.low, plain.value) == (0.0, plain.value)
    assert wide.high > plain.high
    assert reading(snap([0.5], [None])) is None


def test_readings_cover_the_true_error() -> None:
    """Either end holds with 95% each; a tenth of 80 samples outside is not chance."""
    rng = np.random.default_rng(6)
    missed = 0
    for _ in range(80):
        p = rng.uniform(0.05, 0.95, 600)
        found = reading(snap(p, rng.random(600) < p + 0.04))
        assert found is not None
        missed += not found.low <= 0.04 <= found.high

    assert missed <= 8
