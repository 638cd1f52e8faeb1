"""The cumulative error against sums over sorted events, and its p-value and interval against repetition."""

import numpy as np
import pytest
from hypothesis import given

from calslo_dagster.stats import grid
from calslo_dagster.stats.cumulative import cumulative_error, cumulative_p_value
from calslo_dagster.stats.snapshot import Snapshot, merge
from calslo_dagster_tests.builders import Event, snap, snap_events
from calslo_dagster_tests.stats.formulas import Floats
from calslo_dagster_tests.stats.populations import Population
from calslo_dagster_tests.strategies import steady, weighted_batches


def definition(p: Floats, y: Floats, w: Floats, key: Floats) -> float:
    """Return the range of the sums of residuals in the order of `key`, equal keys together."""
    sums = [0.0, *(float((w * (p - y))[key <= value].sum()) for value in np.unique(key))]
    return (max(sums) - min(sums)) / float(w.sum())


@steady
@given(weighted_batches)
def test_the_error_is_the_definition_with_fine_bins_for_scores(batch: list[Event]) -> None:
    p, y = np.array([e.score for e in batch], dtype=float), np.array([e.label for e in batch], dtype=float)
    w = np.array([1.0 if e.weight is None else e.weight for e in batch])
    bins = grid.fine_bins(p + 0.0).astype(float)

    # Sums of scores and weights are rounded to 2**-31 per event.
    tolerance = 4 * 2.0**-31 * (1 + len(batch) / w.sum())
    assert cumulative_error(snap_events(batch)).value == pytest.approx(definition(p, y, w, bins), abs=tolerance)


@pytest.mark.parametrize("shape", [(2.0, 2.0), (0.5, 0.5), (1.0, 30.0)])
def test_the_grid_takes_little_off_the_sums_over_events(shape: tuple[float, float]) -> None:
    rng = np.random.default_rng(1)
    p = rng.beta(*shape, 3_000)
    y = (rng.random(3_000) < p).astype(float)
    exact, found = definition(p, y, np.ones(3_000), p), cumulative_error(snap(p, y)).value or 0.0

    # One event weighs 3.3e-4.
    assert exact - 1e-3 < found <= exact + 1e-9


def test_p_values_of_a_calibrated_model_are_evenly_spread_or_larger() -> None:
    rng = np.random.default_rng(2)
    p = rng.beta(2, 2, 2_000)
    found = [cumulative_p_value(one) or 0.0 for one in Population(p, p).labelings(300, rng)]

    # A share of 300 at 0.1 has an error of 0.017.
    assert np.mean(np.array(found) < 0.1) == pytest.approx(0.085, abs=0.05)
    assert np.mean(found) == pytest.approx(0.52, abs=0.06)


def test_a_span_of_wrong_scores_is_seen_though_the_mean_is_right() -> None:
    rng = np.random.default_rng(3)
    p = rng.random(4_000)
    week = snap(p, rng.random(4_000) < np.where(p < 0.5, p + 0.06, p - 0.06))

    assert (cumulative_p_value(week) or 1.0) < 1e-3
    assert cumulative_error(week).value == pytest.approx(0.03, abs=0.012)


@pytest.mark.parametrize("tilt", [0.0, 0.1])
def test_the_interval_covers_the_truth_as_often_as_it_claims(tilt: float) -> None:
    rng = np.random.default_rng(4)
    p = rng.beta(2, 3, 1_000)
    population = Population(p, np.clip(p + tilt * np.sin(7 * p), 0, 1))
    truth = cumulative_error(population.expected()).value or 0.0
    found = [cumulative_error(drawn) for drawn in population.labelings(100, rng)]

    # The 99.9th percentile of binomial(100, 0.05).
    assert sum(not (one.low or 0.0) <= truth <= (one.high or 0.0) for one in found) <= 13


@pytest.mark.parametrize("empty", [Snapshot(), snap([0.3]), snap([0.3], [1], [0.0])])
def test_without_labels_there_is_no_value(empty: Snapshot) -> None:
    assert (cumulative_error(empty).value, cumulative_error(empty).reason) == (None, "no labelled events")
    assert cumulative_p_value(empty) is None


@pytest.mark.parametrize(("p", "y", "expected"), [(0.0, 0, 0.0), (1.0, 0, 1.0), (0.25, 1, 0.75)])
def test_one_score_has_the_error_of_its_mean(p: float, y: int, expected: float) -> None:
    week = snap([p] * 4, [y] * 4)

    assert cumulative_error(week).value == expected
    assert (cumulative_p_value(week) is None) == (p in (0.0, 1.0))


def test_parts_merge_into_the_whole() -> None:
    rng = np.random.default_rng(5)
    p, y = rng.random(90), rng.integers(0, 2, 90)

    assert cumulative_error(merge([snap(p[:40], y[:40]), snap(p[40:], y[40:])])) == cumulative_error(snap(p, y))
