"""Causes of a change: they sum to it, a change of one kind is attributed to that kind, and gaps are no cause."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calslo_dagster.stats.attribution import Attribution, Effects, Metric, attribution
from calslo_dagster.stats.bias import mean_bias
from calslo_dagster.stats.ece import equal_width_ece
from calslo_dagster.stats.scores import brier
from calslo_dagster.stats.snapshot import Snapshot, merge
from calslo_dagster_tests.builders import Event, snap, snap_events
from calslo_dagster_tests.strategies import good_events, steady

Week = dict[str, Snapshot]
weeks = st.dictionaries(st.sampled_from("abc"), st.lists(good_events, max_size=25), max_size=3)


def measured(week: Week, metric: Metric) -> float | None:
    estimator = {Metric.BRIER: brier, Metric.BIAS: mean_bias, Metric.ECE: equal_width_ece}[metric]
    return estimator(merge(week.values())).value


def found(current: Week, baseline: Week, metric: Metric) -> Attribution[str]:
    cause = attribution(current, baseline, metric)
    assert cause is not None
    return cause


def sample(rng: np.random.Generator, events: int, *, low: float = 0.0, tilt: float = 0.0) -> Snapshot:
    p = low + (1 - low) * rng.beta(2, 3, events)
    return snap(p, rng.random(events) < np.clip(p + tilt, 0, 1))


@steady
@given(weeks, weeks, st.sampled_from(Metric))
def test_the_effects_sum_to_the_change_that_is_reported(
    now: dict[str, list[Event]], then: dict[str, list[Event]], metric: Metric
) -> None:
    current = {key: snap_events(events) for key, events in now.items()}
    baseline = {key: snap_events(events) for key, events in then.items()}
    cause = attribution(current, baseline, metric)
    ends = measured(current, metric), measured(baseline, metric)

    if None in ends:
        assert cause is None
    elif cause is not None:
        assert (cause.current, cause.baseline) == pytest.approx(ends, abs=1e-12)
        assert cause.effects.total == pytest.approx(cause.current - cause.baseline, abs=1e-12)
        of_slices = [part.total for _, part in cause.slices]
        assert math.fsum(of_slices) == pytest.approx(cause.current - cause.baseline, abs=1e-12)


@pytest.mark.parametrize("metric", list(Metric))
def test_other_volumes_of_the_same_slices_are_a_matter_of_the_mix_alone(metric: Metric) -> None:
    rng = np.random.default_rng(1)
    good, bad = sample(rng, 900), sample(rng, 700, low=0.3, tilt=-0.2)
    cause = found({"good": good, "bad": merge([bad] * 3)}, {"good": good, "bad": bad}, metric)

    assert cause.effects.mix == pytest.approx(cause.current - cause.baseline, abs=1e-9)
    assert abs(cause.effects.mix) > 0.01
    # The rounding of the Brier score per event counts as outcome.
    assert (cause.effects.scores, cause.effects.outcome, cause.effects.coverage) == pytest.approx((0, 0, 0), abs=2e-9)


@pytest.mark.parametrize("metric", list(Metric))
def test_other_labels_for_the_same_scores_are_a_matter_of_the_outcome_alone(metric: Metric) -> None:
    rng = np.random.default_rng(2)
    p = rng.beta(2, 3, 2_000)
    before, after = (snap(p, rng.random(2_000) < np.clip(p + tilt, 0, 1)) for tilt in (0.0, 0.15))
    cause = found({"a": after}, {"a": before}, metric)

    assert abs(cause.effects.outcome) > 0.02
    assert (cause.effects.mix, cause.effects.scores, cause.effects.coverage) == pytest.approx((0, 0, 0), abs=1e-12)


def test_sharper_scores_that_stay_calibrated_are_a_matter_of_the_scores() -> None:
    rng = np.random.default_rng(3)
    before, after = rng.beta(6, 6, 20_000), rng.beta(3, 3, 20_000)
    cause = found(
        {"a": snap(after, rng.random(20_000) < after)}, {"a": snap(before, rng.random(20_000) < before)}, Metric.BRIER
    )

    assert cause.effects.scores == pytest.approx(cause.current - cause.baseline, abs=0.005)
    assert cause.effects.scores < -0.01
    # What labels do to the Brier score of 20,000 events has an error of 0.001 in either span.
    assert abs(cause.effects.outcome) < 0.005


def test_labels_for_another_part_of_the_events_are_a_matter_of_the_coverage_alone() -> None:
    """All labels before, those of one half of the scores now: nothing else about the model has changed."""
    p = np.repeat(np.arange(60) / 60 + 1 / 120, 40)
    y = np.tile(np.arange(40) < 10, 60).astype(float)
    some = [label if score < 0.5 else None for score, label in zip(p, y, strict=True)]
    cause = found({"a": snap(p, some)}, {"a": snap(p, y)}, Metric.BIAS)

    assert cause.effects.coverage == pytest.approx(cause.current - cause.baseline, abs=1e-9)
    assert cause.effects.coverage == pytest.approx(-0.25, abs=1e-6)


def test_a_new_slice_and_a_lost_one_are_a_matter_of_the_mix_alone() -> None:
    rng = np.random.default_rng(4)
    stays, lost, new = sample(rng, 500), sample(rng, 500, tilt=0.2), sample(rng, 500, low=0.4, tilt=-0.3)
    cause = found({"stays": stays, "new": new}, {"stays": stays, "lost": lost}, Metric.BRIER)
    by_name = dict(cause.slices)

    assert cause.effects.mix == pytest.approx(cause.current - cause.baseline, abs=1e-9)
    assert set(by_name) == {"stays", "lost", "new"}
    assert by_name["stays"].mix == pytest.approx(0.0, abs=1e-12)


def test_the_slice_that_went_wrong_has_the_outcome_effect() -> None:
    rng = np.random.default_rng(5)
    p = rng.beta(2, 3, 1_000)
    same = sample(rng, 3_000)
    before, after = (snap(p, rng.random(1_000) < np.clip(p + tilt, 0, 1)) for tilt in (0.0, 0.4))
    cause = found({"same": same, "wrong": after}, {"same": same, "wrong": before}, Metric.ECE)
    by_name = dict(cause.slices)

    assert by_name["wrong"].outcome > 0.05
    assert abs(by_name["same"].outcome) < 0.3 * by_name["wrong"].outcome


def test_two_causes_are_split_by_the_midpoint_rule_of_kitagawa() -> None:
    """With one score and all labelled, M = sum m_s (p - y_s): mix and outcome each at the mean of the other."""
    before = {"a": snap([0.5] * 10, [1] * 4 + [0] * 6), "b": snap([0.5] * 30, [1] * 24 + [0] * 6)}
    after = {"a": snap([0.5] * 40, [1] * 4 + [0] * 36), "b": snap([0.5] * 10, [1] * 9 + [0] * 1)}
    m, y = np.array([[0.25, 0.75], [0.8, 0.2]]), np.array([[0.4, 0.8], [0.1, 0.9]])
    effects = found(after, before, Metric.BIAS).effects

    assert effects.mix == pytest.approx(float((np.diff(m, axis=0) * (0.5 - y.mean(axis=0))).sum()), abs=1e-12)
    assert effects.outcome == pytest.approx(float((m.mean(axis=0) * -np.diff(y, axis=0)).sum()), abs=1e-12)


def test_the_effects_are_means_over_all_orders_of_the_causes() -> None:
    """Three causes with one score per group, from their definition: each order switches one after the other."""
    scores, m, g = (0.2, 0.8), np.array([[0.5, 0.5], [0.8, 0.2]]), np.array([[[0.5] * 2] * 2, [[0.3, 0.7], [0.9, 0.1]]])
    y = np.array([[[0.2, 0.8], [0.1, 0.6]], [[0.3, 0.9], [0.2, 0.5]]])

    def week(t: int) -> Week:
        counts = np.rint(1_000 * m[t][:, None] * g[t]).astype(int)
        positives = np.rint(counts * y[t]).astype(int)
        return {
            name: merge(
                snap([p] * n, [1] * k + [0] * (n - k)) for p, n, k in zip(scores, counts[s], positives[s], strict=True)
            )
            for s, name in enumerate("ab")
        }

    def value(mix: int, score: int, outcome: int) -> float:
        p = np.array(scores)
        return float((m[mix][:, None] * g[score] * (p * p - 2 * p * y[outcome] + y[outcome])).sum())

    expected = np.zeros(3)
    for order in itertools.permutations(range(3)):
        switches = [0, 0, 0]
        for cause in order:
            before = value(*switches)
            switches[cause] = 1
            expected[cause] += (value(*switches) - before) / 6
    effects = found(week(1), week(0), Metric.BRIER).effects

    # Scores are stored to 2**-31.
    assert (effects.mix, effects.scores, effects.outcome) == pytest.approx(tuple(expected), abs=4e-9)
    assert effects.coverage == pytest.approx(0.0, abs=1e-12)


def test_nothing_has_changed_between_equal_weeks() -> None:
    week = {"a": sample(np.random.default_rng(6), 300), "b": snap([0.3, 0.9])}

    for metric in Metric:
        assert found(week, week, metric).effects == Effects(0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("current", "baseline"),
    [
        ({}, {}),
        ({"a": snap([0.5], [1])}, {}),
        ({"a": snap([0.5])}, {"a": snap([0.5], [1])}),
        ({"a": snap([0.5], [1], [0.0])}, {"a": snap([0.5], [1])}),
    ],
)
def test_without_labels_on_both_sides_nothing_is_attributed(current: Week, baseline: Week) -> None:
    assert attribution(current, baseline, Metric.BRIER) is None


def test_labels_that_move_to_another_slice_are_a_matter_of_the_coverage() -> None:
    low, high = [0.1] * 4, [0.9] * 4
    current = {"low": snap(low, [0, 1, 0, 0]), "high": snap(high)}
    baseline = {"low": snap(low), "high": snap(high, [1, 1, 0, 1])}

    assert found(current, baseline, Metric.BIAS).effects.coverage == pytest.approx(-0.3, abs=1e-8)


def test_what_was_labelled_in_no_span_that_it_occurs_in_is_not_attributed() -> None:
    """Traffic as it is now with labels as they were before has no label at all."""
    current = {"low": snap([0.1] * 4, [0, 1, 0, 0])}
    baseline = {"low": snap([0.1] * 4), "high": snap([0.9] * 4, [1, 1, 0, 1])}

    assert attribution(current, baseline, Metric.BIAS) is None


def test_the_bins_of_the_ece_must_divide_60() -> None:
    week = {"a": snap([0.5], [1])}

    with pytest.raises(ValueError, match="divides 60"):
        attribution(week, week, Metric.ECE, bins=7)
