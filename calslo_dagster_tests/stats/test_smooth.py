"""smECE against kernel sums over single events, at the edges, and its interval against repetition."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from scipy import special

from calslo_dagster.stats.smooth import FINEST, smooth_ece, smooth_error, smooth_floor
from calslo_dagster.stats.snapshot import Snapshot, merge
from calslo_dagster_tests.builders import Event, snap, snap_events
from calslo_dagster_tests.stats.formulas import Floats
from calslo_dagster_tests.stats.populations import Population
from calslo_dagster_tests.strategies import steady, weighted_batches


def smoothed(p: Floats, residual: Floats, width: float, points: int) -> Floats:
    """Return sum residual K(t, p) at the middles of `points` intervals, K the Gaussian reflected at 0 and 1."""
    t = (np.arange(points) + 0.5) / points
    images = math.ceil(9 * width / 2) + 1
    centres = np.concatenate([sign * p + 2.0 * k for k in range(-images, images + 1) for sign in (1, -1)])
    weights = np.tile(residual, 2 * (2 * images + 1))
    kernel = np.exp(-0.5 * ((t[:, None] - centres) / width) ** 2) / (width * math.sqrt(2 * math.pi))
    curve: Floats = kernel @ weights
    return curve


def error_at(p: Floats, y: Floats, w: Floats, width: float, *, points: int = 1_000) -> float:
    return float(np.abs(smoothed(p, w * (p - y) / w.sum(), width, points)).mean())


def definition(p: Floats, y: Floats, w: Floats) -> float:
    """Return the fixed point by bisection, with the kernel summed over all events."""
    low, high = FINEST, 1.0
    if error_at(p, y, w, low) < low:
        return error_at(p, y, w, low)
    while high - low > 1e-7:
        middle = (low + high) / 2
        low, high = (middle, high) if error_at(p, y, w, middle) > middle else (low, middle)
    return high


def exact(p: Floats, y: Floats, width: float) -> float:
    """Return the integral over [0, 1] of |r(t)|, by normal distribution functions between roots; to 1e-11."""
    r, images = (p - y) / len(p), [sign * p + 2.0 * k for k in (-1, 0, 1) for sign in (1, -1)]

    def curve(t: Floats) -> Floats:
        kernel = sum(np.exp(-0.5 * ((t[:, None] - image) / width) ** 2) for image in images)
        smooth: Floats = kernel @ r
        return smooth

    t = np.linspace(0, 1, 2_001)
    signs = np.sign(curve(t))
    low, high = (t[1:][signs[1:] != signs[:-1]] - shift for shift in (1 / 2_000, 0.0))
    side = np.sign(curve(low))
    for _ in range(30):
        middle = (low + high) / 2
        is_before = np.sign(curve(middle)) == side
        low, high = np.where(is_before, middle, low), np.where(is_before, high, middle)
    ends = np.concatenate([[0.0], low, [1.0]])
    mass = sum(special.ndtr((ends[:, None] - image) / width) for image in images)
    return float(np.abs(np.diff(mass @ r)).sum())


# Few events per cell, many, rare events, scores of three decimals, and labels that follow the place within one cell.
LOGS: dict[str, tuple[Callable[[np.random.Generator], Floats], Callable[[Floats], Floats]]] = {
    "few": (lambda rng: rng.beta(2, 2, 40), lambda p: p),
    "many": (lambda rng: rng.beta(2, 2, 3_000), lambda p: p),
    "rare": (lambda rng: rng.beta(1, 30, 800), lambda p: p**1.4),
    "rounded": (lambda rng: rng.random(2_000).round(3), np.sqrt),
    "contrived": (lambda rng: 0.501 + rng.random(500) / 600, lambda p: (p > 0.5018).astype(float)),
}


@pytest.mark.parametrize("log", LOGS)
def test_smooth_ece_is_that_of_the_events_within_the_bound_that_it_names(log: str) -> None:
    rng = np.random.default_rng(1)
    scores, truth = LOGS[log]
    p = scores(rng)
    y = (rng.random(len(p)) < truth(p)).astype(float)
    found = smooth_error(snap(p, y))

    assert found is not None
    # The integral falls as the width grows, so where it is off by so much, the fixed point is not off by more.
    assert abs(found.value - exact(p, y, found.value)) <= 2 * found.bound
    assert exact(p, y, found.value - found.bound) > found.value - found.bound - 1e-9
    assert exact(p, y, found.value + found.bound) < found.value + found.bound + 1e-9


@pytest.mark.parametrize(("shape", "bound"), [((2.0, 2.0), 1e-6), ((1.0, 30.0), 3e-6)])
def test_smooth_ece_comes_much_closer_to_the_definition_than_its_bound(
    shape: tuple[float, float], bound: float
) -> None:
    rng = np.random.default_rng(2)
    p = rng.beta(*shape, 3_000)
    y = (rng.random(3_000) < p).astype(float)
    value = smooth_ece(snap(p, y)).value or 1.0

    assert value == pytest.approx(exact(p, y, value), abs=2 * bound)


def test_logs_with_the_same_sums_may_differ_and_the_bound_says_so() -> None:
    """In one cell, either the outer or the inner scores have label 1: of the same mean, in logs of the same scores."""
    p = np.tile(0.501 + np.array([-2.0, -1.0, 1.0, 2.0]) / 4_096, 25)
    outer, inner = (np.tile(labels, 25) for labels in ([1.0, 0.0, 0.0, 1.0], [0.0, 1.0, 1.0, 0.0]))
    one, other = (smooth_error(snap(p, y)) for y in (outer, inner))

    assert one is not None
    assert one == other
    assert 1e-4 < abs(exact(p, outer, one.value) - exact(p, inner, one.value)) < 2 * one.bound


@settings(steady, max_examples=25)
@given(weighted_batches)
def test_smooth_ece_of_few_weighted_events_is_close_to_the_definition(batch: list[Event]) -> None:
    p, y = np.array([e.score for e in batch], dtype=float), np.array([e.label for e in batch], dtype=float)
    w = np.array([1.0 if e.weight is None else e.weight for e in batch])
    found = smooth_error(snap_events(batch))
    assert found is not None
    width = max(found.value, FINEST)

    # The reference integrates over 500 points.
    assert found.value == pytest.approx(error_at(p, y, w, width, points=500), abs=2 * found.bound + 1e-3 * width + 1e-5)


def test_the_fixed_point_is_the_one_that_bisection_finds() -> None:
    rng = np.random.default_rng(2)
    p = rng.beta(2, 3, 150)
    y = (rng.random(150) < p).astype(float)

    assert smooth_ece(snap(p, y)).value == pytest.approx(definition(p, y, np.ones(150)), abs=2e-5)


def test_scores_that_repeat_are_exact() -> None:
    """One score per cell leaves nothing to chance: r(t) = gap K(t, 0.5), and the kernel integrates to 1."""
    value = smooth_ece(snap([0.5] * 10, [1] * 8 + [0] * 2)).value

    assert value == pytest.approx(0.3, abs=1e-9)


@pytest.mark.parametrize(("p", "y", "expected"), [(0.0, 0, 0.0), (1.0, 1, 0.0), (1.0, 0, 1.0), (0.0, 1, 1.0)])
def test_certain_scores_are_all_right_or_all_wrong(p: float, y: int, expected: float) -> None:
    assert smooth_ece(snap([p] * 5, [y] * 5)).value == pytest.approx(expected, abs=1e-9)


def test_without_labels_there_is_no_value() -> None:
    for empty in (Snapshot(), snap([0.3, 0.7]), snap([0.3], [1], [0.0])):
        assert (smooth_ece(empty).value, smooth_ece(empty).reason) == (None, "no labelled events")
        assert smooth_floor(empty, 0.1) is None


def test_many_events_that_fit_have_an_error_below_the_finest_width() -> None:
    p = np.repeat(np.arange(1, 60) / 60, 60)
    y = np.concatenate([np.arange(60) < k for k in range(1, 60)]).astype(float)
    value = smooth_ece(merge([snap(p, y)] * 50)).value

    # Sums are rounded to 2**-31 per event, which slopes within cells a thousand times narrower magnify.
    assert value == pytest.approx(0.0, abs=1e-6)


def test_parts_merge_into_the_whole() -> None:
    rng = np.random.default_rng(3)
    p = rng.random(400)
    y = rng.random(400) < p
    parts = merge([snap(p[:130], y[:130]), snap(p[130:], y[130:])])

    assert smooth_ece(parts) == smooth_ece(snap(p, y))
    assert smooth_error(parts) == smooth_error(snap(p, y))


@pytest.mark.parametrize("shape", [(2.0, 2.0), (1.0, 30.0)])
def test_the_floor_is_the_mean_of_a_calibrated_model(shape: tuple[float, float]) -> None:
    rng = np.random.default_rng(4)
    p = rng.beta(*shape, 1_000)
    floor = smooth_floor(snap(p, p > 0.5), 0.03)
    errors = [float(np.abs(smoothed(p, (p - (rng.random(1_000) < p)) / 1_000, 0.03, 100)).mean()) for _ in range(30)]

    assert floor is not None
    # The mean of 30 is known to 0.18 deviations.
    assert floor.mean == pytest.approx(float(np.mean(errors)), abs=0.5 * floor.deviation)
    assert float(np.std(errors)) < 1.3 * floor.deviation


@pytest.mark.parametrize("tilt", [0.0, 0.05, 0.15])
def test_the_interval_covers_the_truth_as_often_as_it_claims(tilt: float) -> None:
    rng = np.random.default_rng(5)
    p = rng.beta(2, 3, 1_000)
    population = Population(p, np.clip(p + tilt * np.sin(7 * p), 0, 1))
    truth = smooth_ece(population.expected()).value or 0.0
    found = [smooth_ece(drawn) for drawn in population.labelings(30, rng)]
    misses = sum(not (one.low or 0.0) <= truth <= (one.high or 0.0) for one in found)

    # The 99.9th percentile of binomial(30, 0.05).
    assert misses <= 6
