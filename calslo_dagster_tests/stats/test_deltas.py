"""Changes between spans: other volumes are no change, intervals cover, and verdicts follow from intervals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calslo_dagster.stats.bias import mean_bias
from calslo_dagster.stats.deltas import (
    Judgement,
    breach_p_value,
    centred_ece,
    centred_ece_change,
    events_to_decide,
    judgement,
)
from calslo_dagster.stats.drift import change
from calslo_dagster.stats.ece import equal_mass_ece, null_floor
from calslo_dagster.stats.estimate import Estimate
from calslo_dagster.stats.intervals import around
from calslo_dagster.stats.snapshot import Snapshot
from calslo_dagster_tests.builders import snap
from calslo_dagster_tests.stats.populations import Population
from calslo_dagster_tests.strategies import steady


def population(rng: np.random.Generator, events: int, tilt: float) -> Population:
    p = rng.beta(2, 4, events)
    return Population(p, np.clip(p + tilt, 0, 1))


def test_the_centred_ece_is_the_ece_less_its_floor() -> None:
    p = np.random.default_rng(1).beta(2, 4, 500)
    week = snap(p, p > 0.4)
    floor = null_floor(week)
    value = centred_ece(week).value

    assert floor is not None
    assert value == pytest.approx((equal_mass_ece(week).value or 0.0) - floor.mean, abs=1e-15)


def test_a_calibrated_model_has_a_centred_ece_of_zero_at_any_volume() -> None:
    rng = np.random.default_rng(2)
    for events in (200, 4_000):
        drawn = [centred_ece(one) for one in population(rng, events, 0.0).labelings(80, rng)]
        values = [one.value or 0.0 for one in drawn]

        # The mean of 80 is known to 0.11 deviations.
        assert abs(np.mean(values)) < 0.4 * np.std(values)
        assert np.mean([(one.low or 0.0) <= 0.0 <= (one.high or 0.0) for one in drawn]) >= 0.95


@pytest.mark.parametrize("tilt", [0.0, 0.03, 0.1])
def test_the_change_between_unequal_weeks_is_covered_as_often_as_claimed(tilt: float) -> None:
    rng = np.random.default_rng(3)
    small, large = population(rng, 400, tilt), population(rng, 12_000, tilt)
    truth = change(equal_mass_ece(small.expected()), equal_mass_ece(large.expected())).value or 0.0
    pairs = zip(small.labelings(80, rng), large.labelings(80, rng), strict=True)
    found = [centred_ece_change(now, before) for now, before in pairs]

    # The 99.9th percentile of binomial(80, 0.05).
    assert sum(not (one.low or 0.0) <= truth <= (one.high or 0.0) for one in found) <= 11
    if tilt == 0.0:
        assert all(judgement(one, 0.01) is not Judgement.BREACHED for one in found)


def test_a_change_of_calibration_is_still_seen() -> None:
    rng = np.random.default_rng(4)
    worse = next(population(rng, 3_000, 0.1).labelings(1, rng))
    good = next(population(rng, 9_000, 0.0).labelings(1, rng))
    found = centred_ece_change(worse, good)

    assert judgement(found, 0.01) is Judgement.BREACHED
    assert (breach_p_value(found, 0.01) or 1.0) < 1e-6
    assert judgement(centred_ece_change(good, worse), 0.01, rises_only=True) is Judgement.MEETING


def test_the_change_turns_its_sign_with_the_weeks() -> None:
    rng = np.random.default_rng(5)
    a, b = (next(population(rng, n, 0.05).labelings(1, rng)) for n in (300, 2_000))
    there, back = centred_ece_change(a, b), centred_ece_change(b, a)

    assert (back.value, back.low, back.high) == (-(there.value or 0), -(there.high or 0), -(there.low or 0))


@pytest.mark.parametrize("empty", [Snapshot(), snap([0.4])])
def test_a_week_without_labels_is_unknown(empty: Snapshot) -> None:
    found = centred_ece_change(empty, snap([0.5, 0.6], [0, 1]))

    assert (found.value, found.reason) == (None, "now: no labelled events")
    assert judgement(found, 0.01) is Judgement.UNKNOWN
    assert breach_p_value(found, 0.01) is None


def test_one_event_on_either_side_is_unknown_and_not_a_breach() -> None:
    assert judgement(centred_ece_change(snap([0.5], [1]), snap([0.5], [0])), 0.01) is Judgement.UNKNOWN


@pytest.mark.parametrize(
    ("low", "value", "high", "both", "rises"),
    [
        (0.02, 0.03, 0.04, "breached", "breached"),
        (-0.04, -0.03, -0.02, "breached", "meeting"),
        (-0.005, 0.0, 0.005, "meeting", "meeting"),
        (0.001, 0.004, 0.009, "meeting", "meeting"),
        (0.001, 0.006, 0.02, "warning", "warning"),
        (-0.02, -0.006, -0.001, "warning", "meeting"),
        (-0.01, 0.015, 0.04, "warning", "warning"),
        (-0.04, -0.015, 0.02, "warning", "unknown"),
        (-0.04, 0.0, 0.04, "unknown", "unknown"),
        (-0.01, 0.0, 0.01, "meeting", "meeting"),
    ],
)
def test_a_verdict_is_what_the_interval_supports(
    low: float, value: float, high: float, *, both: str, rises: str
) -> None:
    found = Estimate(value, low, high, 10, standard_error=0.01)

    assert judgement(found, 0.01) == both
    assert judgement(found, 0.01, rises_only=True) == rises


def test_a_change_without_an_interval_is_unknown() -> None:
    assert judgement(Estimate(0.5, events=3), 0.01) is Judgement.UNKNOWN
    assert breach_p_value(Estimate(0.5, events=3), 0.01) is None


@steady
@given(st.floats(-0.1, 0.1), st.floats(1e-3, 0.05), st.floats(0.0, 0.05))
def test_a_breach_has_a_small_p_value(value: float, error: float, limit: float) -> None:
    found = around(value, error, events=1)
    p, rising = breach_p_value(found, limit), breach_p_value(found, limit, rises_only=True)

    assert p is not None
    assert rising is not None
    assert 0.0 <= rising <= p <= 1.0 or value < 0
    assert (judgement(found, limit) is not Judgement.BREACHED) or p < 0.05
    assert (judgement(found, limit, rises_only=True) is Judgement.BREACHED) == (rising < 0.025)


def test_a_change_that_is_certain_has_a_p_value_of_nought_or_one() -> None:
    certain = Estimate(0.02, 0.02, 0.02, 5, standard_error=0.0)

    assert (breach_p_value(certain, 0.01), breach_p_value(certain, 0.02)) == (0.0, 1.0)


def test_p_values_at_the_limit_are_evenly_spread() -> None:
    """The level is kept where the true change is as large as allowed."""
    rng = np.random.default_rng(6)
    now, before = population(rng, 3_000, 0.02), population(rng, 3_000, 0.0)
    pairs = zip(now.labelings(200, rng), before.labelings(200, rng), strict=True)
    p = [breach_p_value(change(mean_bias(a), mean_bias(b)), 0.02) or 0.0 for a, b in pairs]

    # A share of 200 at 0.1 has an error of 0.021.
    assert np.mean(np.array(p) < 0.1) == pytest.approx(0.1, abs=0.065)


@steady
@given(st.floats(1e-3, 0.05), st.floats(0.005, 0.05), st.integers(30, 10**6), st.floats(-1.0, 1.0))
def test_so_many_events_decide_whatever_the_change_is(error: float, limit: float, events: int, place: float) -> None:
    needed = events_to_decide(around(0.0, error, events=events), limit)

    assert needed is not None
    narrower = error * (events / needed) ** 0.5
    for rises_only in (False, True):
        moved = around(place * 3 * limit, narrower, events=needed)
        assert judgement(moved, limit, rises_only=rises_only) is not Judgement.UNKNOWN


def test_without_an_interval_no_number_of_events_is_known_to_decide() -> None:
    assert events_to_decide(Estimate(0.5, events=3), 0.01) is None
    assert events_to_decide(Estimate.missing("no labelled events"), 0.01) is None
