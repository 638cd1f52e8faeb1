"""Week over week: the change of every metric with its error, and none where a week says nothing."""

import math

import numpy as np
import pytest

from calslo_dagster.stats.drift import JUDGED, METRICS, change, deltas, largest_change, metric_values
from calslo_dagster.stats.estimate import Estimate
from calslo_dagster.stats.snapshot import Snapshot
from calslo_dagster_tests.builders import snap
from calslo_dagster_tests.stats.formulas import Floats


def week(rng: np.random.Generator, events: int = 2_000, shift: float = 0.0) -> Snapshot:
    p: Floats = rng.beta(2, 2, events)
    truth = np.clip(p - shift, 0, 1)
    return snap(p, rng.random(events) < truth, clamped=rng.random(events) < 0.05, alpha=np.full(events, 0.2))


def test_all_metrics_are_measured_with_an_error() -> None:
    measured = metric_values(week(np.random.default_rng(1)))

    assert [name for name, _ in measured.items()] == list(METRICS)
    for name, estimate in measured.items():
        assert estimate.is_measured, name
        assert estimate.standard_error is not None, name


def test_the_same_week_twice_has_not_changed() -> None:
    metrics = metric_values(week(np.random.default_rng(2)))

    for delta in deltas(metrics, metrics):
        assert delta.change.value == 0.0
        assert (delta.change.low or 0.0) <= 0.0 <= (delta.change.high or 0.0)
    assert largest_change(deltas(metrics, metrics)).value == 0.0


def test_changes_of_equal_weeks_stay_within_their_intervals_as_often_as_they_claim() -> None:
    rng = np.random.default_rng(3)
    misses = dict.fromkeys(JUDGED, 0)
    for _ in range(60):
        for delta in deltas(metric_values(week(rng, 500)), metric_values(week(rng, 500))):
            if delta.metric in misses:
                misses[delta.metric] += not (delta.change.low or 0.0) <= 0.0 <= (delta.change.high or 0.0)

    # The 99.8th percentile of binomial(60, 0.05).
    assert max(misses.values()) <= 9, misses


def test_a_shift_is_seen_and_named() -> None:
    rng = np.random.default_rng(4)
    moved = deltas(metric_values(week(rng, 8_000, shift=0.1)), metric_values(week(rng, 8_000)))
    by_name = {delta.metric: delta.change for delta in moved}

    assert (by_name["aece"].low or 0.0) > 0.05
    assert (by_name["base_rate"].high or 0.0) < -0.05
    worst = largest_change(delta for delta in moved if delta.metric in ("aece", "brier"))
    assert worst.reason == "aece"
    assert (worst.low or 0.0) > 0.05


def test_a_change_is_signed_and_rests_on_the_smaller_week() -> None:
    moved = change(Estimate(0.5, events=10, standard_error=0.03), Estimate(0.6, events=4, standard_error=0.04))

    assert moved.value == pytest.approx(-0.1)
    assert moved.standard_error == pytest.approx(0.05)
    assert moved.events == 4
    assert (moved.high or 0.0) - (moved.low or 0.0) == pytest.approx(2 * 1.959964 * 0.05, rel=1e-6)


def test_a_change_without_errors_has_no_interval() -> None:
    moved = change(Estimate(0.5, events=1), Estimate(0.25, events=1))

    assert (moved.value, moved.low, moved.standard_error) == (0.25, None, None)


@pytest.mark.parametrize(("now", "before", "reason"), [(0, 5, "now: "), (5, 0, "before: "), (0, 0, "now: ")])
def test_a_week_without_data_has_no_change(now: int, before: int, reason: str) -> None:
    rng = np.random.default_rng(5)
    found = deltas(metric_values(week(rng, now)), metric_values(week(rng, before)))

    assert all(delta.change.value is None and delta.change.reason.startswith(reason) for delta in found)
    assert largest_change(found).value is None


def test_an_unlabelled_week_still_shows_its_scores() -> None:
    unlabelled = metric_values(snap(np.linspace(0.1, 0.9, 50)))
    labeled = metric_values(week(np.random.default_rng(6)))
    known = [delta.metric for delta in deltas(unlabelled, labeled) if delta.change.is_measured]

    assert known == ["mean_score"]


def test_the_largest_change_covers_all_metrics_at_once() -> None:
    rng = np.random.default_rng(7)
    found = deltas(metric_values(week(rng)), metric_values(week(rng)))
    worst = largest_change(found)
    sizes = [abs(delta.change.value or 0.0) for delta in found]

    assert worst.value == max(sizes)
    assert (worst.low or 0.0) <= max(sizes) <= (worst.high or math.inf)
    assert worst.events == 2_000
