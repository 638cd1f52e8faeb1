"""Proper scores against their definitions, with errors that match what repetition shows."""

import math

import numpy as np
import pytest
from hypothesis import assume, given

from calslo_dagster.stats import scores
from calslo_dagster.stats.snapshot import Snapshot, merge
from calslo_dagster_tests.builders import Event, snap, snap_events
from calslo_dagster_tests.stats import formulas
from calslo_dagster_tests.stats.formulas import Floats
from calslo_dagster_tests.strategies import labeled_batches, steady, weighted_batches


def columns(batch: list[Event]) -> tuple[Floats, Floats, Floats]:
    p, y = np.array([e.score for e in batch], dtype=float), np.array([e.label for e in batch], dtype=float)
    return p, y, np.array([1.0 if e.weight is None else e.weight for e in batch])


@steady
@given(weighted_batches)
def test_brier_and_log_loss_are_the_definitions(batch: list[Event]) -> None:
    p, y, w = columns(batch)
    measured = snap_events(batch)

    # Each sum is rounded to 2**-31 per event, so is the weight below it; a loss is at most 36.05.
    tolerance = 2.0**-31 * len(batch) / w.sum()
    assert scores.brier(measured).value == pytest.approx(formulas.brier(p, y, w), abs=3 * tolerance)
    assert scores.log_loss(measured).value == pytest.approx(formulas.log_loss(p, y, w), abs=38 * tolerance)


@steady
@given(labeled_batches)
def test_unweighted_scores_are_within_a_billionth(batch: list[Event]) -> None:
    p, y, w = columns(batch)

    assert scores.brier(snap_events(batch)).value == pytest.approx(formulas.brier(p, y, w), abs=1e-9)
    assert scores.log_loss(snap_events(batch)).value == pytest.approx(formulas.log_loss(p, y, w), abs=1e-9)


@steady
@given(weighted_batches)
def test_spiegelhalters_z_is_the_definition(batch: list[Event]) -> None:
    p, y, w = columns(batch)
    assume(float((w**2 * (1 - 2 * p) ** 2 * p * (1 - p)).sum()) > 1e-3)

    z = scores.spiegelhalter_z(snap_events(batch))
    assert z.value == pytest.approx(formulas.spiegelhalter_z(p, y, w), rel=1e-6, abs=1e-6)
    assert (z.standard_error or 0.0) >= 1.0


@pytest.mark.parametrize("copies", [1, 40, 4_000])
def test_z_of_many_equal_scores_is_within_a_billionth(copies: int) -> None:
    """Rounding takes the same off each of them, and a sum of many is divided by a root of it."""
    rng = np.random.default_rng(9)
    p = np.round(rng.beta(2, 3, 10_000), 2)
    y = (rng.random(10_000) < p).astype(float)
    part = formulas.spiegelhalter_z(p, y, np.ones(10_000))

    z = scores.spiegelhalter_z(merge([snap(p, y)] * copies))
    assert z.value == pytest.approx(part * math.sqrt(copies), abs=1e-9)


def test_z_is_about_standard_normal_for_a_calibrated_model_and_not_for_an_extreme_one() -> None:
    rng = np.random.default_rng(4)
    p = rng.beta(2, 2, 1_000)
    drawn = [scores.spiegelhalter_z(snap(p, rng.random(1_000) < p)).value or 0.0 for _ in range(60)]
    extreme = scores.spiegelhalter_z(snap(p, rng.random(1_000) < 0.5 + 0.5 * (p - 0.5)))

    # 60 draws: mean within 3/sqrt(60), deviation within 3/sqrt(120).
    assert np.mean(drawn) == pytest.approx(0.0, abs=0.39)
    assert np.std(drawn) == pytest.approx(1.0, abs=0.28)
    assert (extreme.low or 0.0) > 1.96


@pytest.mark.parametrize("weighted", [False, True])
def test_the_errors_of_the_means_are_those_of_repetition(weighted: bool) -> None:
    rng = np.random.default_rng(6)
    values: dict[str, list[float]] = {"brier": [], "log_loss": []}
    errors: dict[str, list[float]] = {"brier": [], "log_loss": []}
    for _ in range(120):
        p = rng.beta(2, 3, 300)
        w = rng.choice([1.0, 4.0], 300) if weighted else np.ones(300)
        drawn = snap(p, rng.random(300) < p, w)
        for name, estimate in (("brier", scores.brier(drawn)), ("log_loss", scores.log_loss(drawn))):
            values[name].append(estimate.value or 0.0)
            errors[name].append(estimate.standard_error or 0.0)

    for name, drawn_values in values.items():
        # A deviation from 120 draws is known to 6.5%.
        assert np.mean(errors[name]) == pytest.approx(np.std(drawn_values), rel=0.2)


@pytest.mark.parametrize("estimator", [scores.brier, scores.log_loss, scores.spiegelhalter_z])
def test_without_labels_there_is_no_value(estimator: object) -> None:
    assert callable(estimator)
    for empty in (Snapshot(), snap([0.3, 0.7])):
        assert (estimator(empty).value, estimator(empty).reason) == (None, "no labelled events")


@pytest.mark.parametrize(("p", "y", "loss"), [(0.0, 1, 52 * math.log(2)), (1.0, 0, 52 * math.log(2)), (1.0, 1, 0.0)])
def test_a_certain_score_costs_a_finite_loss(p: float, y: int, loss: float) -> None:
    one = snap([p], [y])

    assert scores.log_loss(one).value == pytest.approx(loss, abs=1e-9)
    assert scores.brier(one).value == abs(p - y)
    assert scores.brier(one).standard_error is None
    assert scores.spiegelhalter_z(one).reason == "every score is 0, 0.5 or 1"


def test_the_brier_score_of_a_part_is_that_of_its_events() -> None:
    p, y = np.array([0.2, 0.92, 0.97]), np.array([0, 1, 0])
    part = snap(p, y).above(0.9)

    assert scores.brier(part).value == pytest.approx(float(((p - y) ** 2)[1:].mean()), abs=1e-8)
    assert scores.log_loss(part).value is None
    assert scores.spiegelhalter_z(part).reason == "known for the whole range of scores only"
