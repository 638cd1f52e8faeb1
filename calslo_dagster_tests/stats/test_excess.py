"""The Brier score in parts: the identity, and which part moves when scores or labels do."""

import numpy as np
import pytest
from hypothesis import given

from calslo_dagster.stats.excess import (
    CLIP,
    BrierParts,
    brier_change,
    brier_parts,
    log_loss_change,
    log_loss_parts,
)
from calslo_dagster.stats.scores import brier, spiegelhalter_z
from calslo_dagster.stats.snapshot import Snapshot
from calslo_dagster_tests.builders import Event, snap, snap_events
from calslo_dagster_tests.stats.formulas import Floats
from calslo_dagster_tests.strategies import steady, weighted_batches


def values(parts: BrierParts) -> tuple[float, float, float]:
    found = parts.brier.value, parts.sharpness.value, parts.excess.value
    assert None not in found
    return found[0] or 0.0, found[1] or 0.0, found[2] or 0.0


def drawn(rng: np.random.Generator, p: Floats, tilt: float = 0.0) -> Snapshot:
    return snap(p, rng.random(len(p)) < np.clip(p + tilt, 0, 1))


@steady
@given(weighted_batches)
def test_the_parts_are_their_definitions_and_sum_to_the_brier_score(batch: list[Event]) -> None:
    p, y = np.array([e.score for e in batch], dtype=float), np.array([e.label for e in batch], dtype=float)
    w = np.array([1.0 if e.weight is None else e.weight for e in batch])
    whole, sharpness, excess = values(brier_parts(snap_events(batch)))

    # Each sum is rounded to 2**-31 per event.
    tolerance = 5 * 2.0**-31 * (1 + len(batch) / w.sum())
    assert sharpness + excess == pytest.approx(whole, abs=1e-15)
    assert sharpness == pytest.approx(float(w @ (p * (1 - p)) / w.sum()), abs=tolerance)
    assert excess == pytest.approx(float(w @ ((y - p) * (1 - 2 * p)) / w.sum()), abs=tolerance)


def test_the_error_of_the_excess_of_a_calibrated_model_is_that_of_spiegelhalters_z() -> None:
    rng = np.random.default_rng(1)
    week = drawn(rng, rng.beta(2, 3, 20_000))
    excess = brier_parts(week).excess

    # Labels at the rate of a bin vary as much as at their scores, within the noise of the rates.
    assert (excess.value or 0.0) / (excess.standard_error or 1.0) == pytest.approx(
        spiegelhalter_z(week).value, rel=0.03
    )


@pytest.mark.parametrize("weighted", [False, True])
def test_the_errors_are_those_of_repetition(weighted: bool) -> None:
    rng = np.random.default_rng(2)
    found: list[BrierParts] = []
    for _ in range(100):
        p = rng.beta(2, 3, 300)
        w = rng.choice([1.0, 4.0], 300) if weighted else np.ones(300)
        found.append(brier_parts(snap(p, rng.random(300) < p, w)))

    # A deviation from 100 draws is known to 7%; the larger of two variances lifts that of the excess.
    assert np.mean([one.sharpness.standard_error or 0.0 for one in found]) == pytest.approx(
        np.std([one.sharpness.value or 0.0 for one in found]), rel=0.2
    )
    ratio = np.mean([one.excess.standard_error or 0.0 for one in found]) / np.std(
        [one.excess.value or 0.0 for one in found]
    )
    assert 0.85 < ratio < 1.35


def test_another_mix_of_scores_moves_the_sharpness_alone() -> None:
    rng = np.random.default_rng(3)
    moved = brier_change(drawn(rng, rng.beta(2, 2, 8_000)), drawn(rng, rng.beta(5, 5, 8_000)))

    assert (moved.sharpness.high or 0.0) < -0.02
    assert (moved.excess.low or 0.0) < 0.0 < (moved.excess.high or 0.0)


def test_miscalibration_moves_the_excess_alone() -> None:
    """Underconfident scores: the Brier score falls, and the excess shows that it should have fallen further."""
    rng = np.random.default_rng(4)
    p = rng.beta(8, 2, 8_000)
    moved = brier_change(drawn(rng, p, 0.1), drawn(rng, p))

    assert (moved.brier.high or 0.0) < 0.0
    assert moved.sharpness.value == 0.0
    assert (moved.excess.high or 0.0) < -0.02


def test_the_changes_of_the_parts_sum_to_that_of_the_whole() -> None:
    rng = np.random.default_rng(5)
    whole, sharpness, excess = values(brier_change(drawn(rng, rng.random(300)), drawn(rng, rng.random(90))))

    assert sharpness + excess == pytest.approx(whole, abs=1e-15)


def test_a_part_of_the_range_has_parts_too() -> None:
    rng = np.random.default_rng(6)
    part = drawn(rng, rng.random(300)).above(0.5)
    whole, sharpness, excess = values(brier_parts(part))

    assert whole == brier(part).value
    assert sharpness + excess == pytest.approx(whole, abs=1e-15)


@pytest.mark.parametrize("empty", [Snapshot(), snap([0.4]), snap([0.4], [1], [0.0])])
def test_without_labels_there_are_no_parts(empty: Snapshot) -> None:
    parts = brier_parts(empty)

    assert (parts.brier.value, parts.sharpness.value, parts.excess.value) == (None, None, None)
    assert brier_change(empty, snap([0.5], [1])).excess.reason == "now: no labelled events"


@pytest.mark.parametrize(("p", "y"), [(0.0, 0), (1.0, 1), (0.0, 1), (0.5, 1)])
def test_certain_and_even_scores(p: float, y: int) -> None:
    whole, sharpness, excess = values(brier_parts(snap([p] * 3, [y] * 3)))

    assert (whole, sharpness, excess) == ((p - y) ** 2, p * (1 - p), (y - p) * (1 - 2 * p))


@steady
@given(weighted_batches)
def test_the_parts_of_the_log_loss_sum_to_it_and_are_near_their_definitions(batch: list[Event]) -> None:
    p, w = (
        np.array([e.score for e in batch], dtype=float),
        np.array([1.0 if e.weight is None else e.weight for e in batch]),
    )
    parts = log_loss_parts(snap_events(batch))
    q = np.clip(p, CLIP, 1 - CLIP)
    entropy = float(w @ (-q * np.log(q) - (1 - q) * np.log1p(-q)) / w.sum())

    assert (parts.sharpness.value or 0.0) + (parts.excess.value or 0.0) == pytest.approx(
        parts.log_loss.value, abs=1e-12
    )
    # Within a fine bin the entropy is taken to second order; the outermost one, up to 2**-12, is as wide as its scores.
    assert parts.sharpness.value == pytest.approx(entropy, abs=2e-3)


def test_the_excess_of_the_log_loss_of_a_calibrated_model_scatters_around_nought_as_its_error_says() -> None:
    rng = np.random.default_rng(7)
    found = [log_loss_parts(drawn(rng, rng.beta(2, 3, 400))).excess for _ in range(100)]
    scores = [(one.value or 0.0) / (one.standard_error or 1.0) for one in found]

    # The mean of 100 is known to 0.1, their deviation to 7 %.
    assert abs(np.mean(scores)) < 0.35
    assert np.std(scores) == pytest.approx(0.97, abs=0.25)


def test_labels_that_leave_the_scores_move_the_excess_of_the_log_loss() -> None:
    rng = np.random.default_rng(8)
    p = rng.beta(2, 3, 8_000)
    moved = log_loss_change(drawn(rng, p, tilt=0.15), drawn(rng, p))

    assert (moved.excess.low or 0.0) > 0.0
    assert moved.sharpness.value == 0.0
    assert log_loss_change(Snapshot(), drawn(rng, p)).excess.reason == "now: no labelled events"
