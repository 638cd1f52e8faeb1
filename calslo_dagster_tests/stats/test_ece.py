"""Calibration errors against their definitions, at the edges, and under perfect calibration."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calslo_dagster.stats import ece
from calslo_dagster.stats.estimate import Estimate
from calslo_dagster.stats.snapshot import Snapshot
from calslo_dagster_tests.builders import Event, snap, snap_events
from calslo_dagster_tests.stats import formulas
from calslo_dagster_tests.stats.formulas import Floats
from calslo_dagster_tests.stats.populations import Population
from calslo_dagster_tests.strategies import labeled_batches, steady, weighted_batches

ESTIMATORS = [ece.equal_width_ece, ece.equal_mass_ece, ece.mce, ece.debiased_ece]
# Sums are rounded to 2**-31 per event and term, three terms; averages over events can only be closer.
ROUNDING = 3 * 2.0**-31


def columns(batch: list[Event]) -> tuple[formulas.Floats, formulas.Floats, formulas.Floats]:
    p, y = np.array([e.score for e in batch], dtype=float), np.array([e.label for e in batch], dtype=float)
    return p, y, np.array([1.0 if e.weight is None else e.weight for e in batch])


@steady
@given(weighted_batches, st.sampled_from([1, 4, 10, 15, 20, 60]))
def test_equal_width_ece_is_the_definition(batch: list[Event], bins: int) -> None:
    p, y, w = columns(batch)
    expected = formulas.ece(p, y, w, formulas.width_bins(p, bins))

    # With tiny weights, rounding is relative to the total weight.
    tolerance = ROUNDING * len(batch) / w.sum() + ROUNDING
    assert ece.equal_width_ece(snap_events(batch), bins).value == pytest.approx(expected, abs=tolerance)


@steady
@given(labeled_batches, st.sampled_from([5, 10, 15]))
def test_mce_is_the_definition(batch: list[Event], bins: int) -> None:
    p, y, w = columns(batch)
    expected = formulas.mce(p, y, w, formulas.width_bins(p, bins))

    assert ece.mce(snap_events(batch), bins).value == pytest.approx(expected, abs=2 * ROUNDING)


def test_equal_mass_ece_with_one_score_per_fine_bin_is_the_definition() -> None:
    rng = np.random.default_rng(11)
    p = np.round(rng.beta(1, 2, 2_000) * 60) / 60
    y = (rng.random(2_000) < p**1.3).astype(float)
    expected = formulas.ece(p, y, np.ones(2_000), formulas.mass_bins(p, 15))

    assert ece.equal_mass_ece(snap(p, y)).value == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("shape", [(2.0, 2.0), (0.5, 0.5), (1.0, 50.0), (8.0, 1.0), (20.0, 20.0)])
def test_equal_mass_ece_on_continuous_scores_is_within_a_third_of_its_noise(shape: tuple[float, float]) -> None:
    """The tie-safe definition cuts between single events, the grid within fine bins; labels there are noise."""
    rng = np.random.default_rng(3)
    found = [_measured_and_expected(rng.beta(*shape, 2_000), rng) for _ in range(20)]
    errors = [(measured.value or 0.0) - expected for measured, expected in found]

    assert math.sqrt(np.mean(np.square(errors))) < np.mean([one.standard_error or 0.0 for one, _ in found]) / 3


@pytest.mark.parametrize(("events", "off"), [(1_000, 5e-3), (8_000, 1e-3)])
@pytest.mark.parametrize("shape", [(1.0, 1.0), (2.0, 2.0), (2.0, 5.0), (6.0, 2.0), (0.5, 0.5), (1.0, 30.0)])
def test_equal_mass_ece_is_close_to_the_definition(shape: tuple[float, float], events: int, off: float) -> None:
    rng = np.random.default_rng(17)
    for _ in range(5):
        measured, expected = _measured_and_expected(rng.beta(*shape, events), rng)
        assert measured.value == pytest.approx(expected, abs=off)


def _measured_and_expected(p: Floats, rng: np.random.Generator) -> tuple[Estimate, float]:
    """Return equal-mass ECE from the snapshot and by definition, where labels are a little rarer than scores say."""
    y = (rng.random(len(p)) < 0.97 * p).astype(float)
    return ece.equal_mass_ece(snap(p, y)), formulas.ece(p, y, np.ones(len(p)), formulas.mass_bins(p, 15))


def test_debiased_squares_are_the_definition() -> None:
    rng = np.random.default_rng(2)
    p = np.round(rng.beta(2, 2, 1_500) * 60) / 60
    y = (rng.random(1_500) < p).astype(float)
    expected = formulas.debiased_squares(p, y, formulas.mass_bins(p, 15))

    assert ece.debiased_squared_ece(snap(p, y)).value == pytest.approx(expected, abs=1e-8)


def test_debiased_ece_takes_off_what_a_redraw_of_the_labels_adds() -> None:
    """2 ECE - E[ECE*], with the expectation by simulation instead of the folded normal."""
    rng = np.random.default_rng(8)
    p = np.round(rng.beta(2, 2, 1_000) * 60) / 60
    y = (rng.random(1_000) < p).astype(float)
    bins = formulas.mass_bins(p, 15)
    redrawn = np.zeros(20_000)
    for k in np.unique(bins):
        n, rate, mean = (bins == k).sum(), y[bins == k].mean(), p[bins == k].mean()
        redrawn += n * np.abs(mean - rng.normal(rate, math.sqrt(rate * (1 - rate) / n), 20_000)) / 1_000
    expected = 2 * formulas.ece(p, y, np.ones(1_000), bins) - redrawn.mean()

    # Monte Carlo error of the expectation: a standard deviation of 0.009 over 20,000 draws.
    assert ece.debiased_ece(snap(p, y)).value == pytest.approx(expected, abs=3e-4)


@steady
@given(labeled_batches, st.integers(2, 5))
def test_an_integer_weight_counts_as_that_many_events(batch: list[Event], times: int) -> None:
    repeated = snap_events(batch * times)
    weighted = snap_events([Event(e.score, e.label, float(times)) for e in batch])

    for estimator in (ece.equal_width_ece, ece.mce):
        assert estimator(weighted).value == pytest.approx(estimator(repeated).value, abs=1e-8)
    # Cuts within fine bins depend on their variance, which is rounded.
    assert ece.equal_mass_ece(weighted).value == pytest.approx(ece.equal_mass_ece(repeated).value, abs=1e-3)


@steady
@given(labeled_batches)
def test_unlabelled_events_change_nothing(batch: list[Event]) -> None:
    labeled = snap_events(batch)
    mixed = labeled + snap([0.1, 0.5, 0.99])

    for estimator in ESTIMATORS:
        assert estimator(mixed) == estimator(labeled)


@steady
@given(weighted_batches)
def test_intervals_enclose_their_values(batch: list[Event]) -> None:
    for estimator in ESTIMATORS:
        measured = estimator(snap_events(batch))
        assert measured.value is not None
        assert measured.low is not None
        assert measured.high is not None
        assert measured.low <= measured.value <= measured.high
        assert measured.events == len(batch)


@pytest.mark.parametrize("estimator", [*ESTIMATORS, ece.debiased_squared_ece])
def test_without_labels_there_is_no_value(estimator: object) -> None:
    assert callable(estimator)
    for empty in (Snapshot(), snap([0.3, 0.7]), snap([0.3], [1], [0.0])):
        assert not estimator(empty).is_measured
        assert estimator(empty).reason == "no labelled events"


@pytest.mark.parametrize(
    ("p", "y", "expected"), [(0.0, 0, 0.0), (1.0, 1, 0.0), (0.0, 1, 1.0), (1.0, 0, 1.0), (0.3, 1, 0.7)]
)
def test_one_event_and_certain_scores(p: float, y: int, expected: float) -> None:
    for estimator in ESTIMATORS:
        assert estimator(snap([p], [y])).value == pytest.approx(expected, abs=1e-8)
    assert ece.debiased_squared_ece(snap([p], [y])).reason == "no bin has two labelled events"


def test_no_positive_among_rare_events_leaves_room_above() -> None:
    """Ten events without a positive do not rule out an error of a few tenths."""
    rare = ece.equal_mass_ece(snap(np.full(10, 0.001), np.zeros(10)))

    assert rare.value == pytest.approx(0.001, abs=1e-8)
    assert (rare.high or 0.0) > 0.3


def test_all_of_one_class_is_measured() -> None:
    p = np.linspace(0.05, 0.95, 50)

    assert ece.equal_width_ece(snap(p, np.ones(50))).value == pytest.approx(1 - p.mean())
    assert ece.equal_mass_ece(snap(p, np.zeros(50))).value == pytest.approx(p.mean())


def test_the_null_floor_is_the_mean_under_perfect_calibration() -> None:
    p = np.random.default_rng(1).beta(2, 2, 2_000)
    drawn = [ece.equal_mass_ece(s).value or 0.0 for s in Population(p, p).labelings(300, np.random.default_rng(2))]
    floor = ece.null_floor(snap(p, np.zeros(2_000)))

    assert floor is not None
    # 300 draws: the mean is known to 1.2%, the deviation to 4%; cuts within fine bins take off up to 3% more.
    assert floor.mean == pytest.approx(np.mean(drawn), rel=0.05)
    assert floor.deviation == pytest.approx(np.std(drawn), rel=0.15)
    assert floor.exceedance(floor.mean) == pytest.approx(0.5)
    assert floor.exceedance(floor.mean + 2.326 * floor.deviation) == pytest.approx(0.01, abs=1e-4)


def test_no_labels_no_floor() -> None:
    assert ece.null_floor(Snapshot()) is None


def test_certain_scores_have_a_floor_of_zero() -> None:
    floor = ece.null_floor(snap([0.0, 1.0], [0, 1]))

    assert floor == ece.NullFloor(0.0, 0.0)
    assert (floor.exceedance(0.0), floor.exceedance(-1.0)) == (0.0, 1.0)


def test_scores_of_one_half_have_the_worst_floor() -> None:
    """The closed form behind the lint of c: 0.399 sqrt(K/N)."""
    worst = ece.worst_null_floor(2_000, 15)

    assert worst.mean == pytest.approx(0.3989 * math.sqrt(15 / 2_000), rel=1e-3)
    spread = ece.null_floor(snap(np.full(2_000, 0.5), np.zeros(2_000)), 15)
    assert spread is not None
    assert spread.mean < worst.mean


@pytest.mark.parametrize(
    ("events", "expected"), [(0, 1.0), (100, 0.5 * math.sqrt(0.15)), (66_667, 0.015), (10**9, 0.015)]
)
def test_the_bound_shrinks_to_its_floor(events: int, expected: float) -> None:
    assert ece.ece_bound(events, 15, 0.5, 0.015) == pytest.approx(expected)
