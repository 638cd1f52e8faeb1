"""Availability counts windows in integers and never takes silence for success."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calslo_dagster.slo.availability import Promise, State, Tally, exact, states, tally
from calslo_dagster.slo.model import Verdict
from calslo_dagster_tests.slo.samples import ends, verdicts

counts = st.integers(0, 50)
tallies = st.builds(Tally, counts, counts, counts, counts)
targets = st.sampled_from([0.5, 0.9, 0.95, 0.99, 0.999, 1.0])


def test_a_total_outage_of_the_measurement_is_unknown_and_not_available() -> None:
    found = tally({}, ends(96))

    assert found == Tally(unknown=96)
    assert (found.coverage, found.observed, found.low, found.high) == (0.0, None, 0.0, 1.0)
    assert found.promise(0.99) is Promise.UNDETERMINED


def test_missing_windows_are_unknown_in_their_place() -> None:
    first, _, third = ends(3)

    found = states({first: Verdict.WARNING, third: Verdict.BREACHED}, ends(3))

    assert found == [State.GOOD, State.UNKNOWN, State.BAD]


def test_verdicts_become_states() -> None:
    assert Tally.of(verdicts("mmwbuexx")) == Tally(good=3, bad=1, unknown=2, excluded=2)


def test_excluded_windows_shrink_what_is_expected() -> None:
    found = Tally(good=8, bad=1, unknown=1, excluded=90)

    assert (found.expected, found.measured) == (10, 9)
    assert found.coverage == 0.9
    assert found.observed == pytest.approx(8 / 9)
    assert (found.low, found.high) == (0.8, 0.9)


def test_without_expected_windows_nothing_is_claimed() -> None:
    found = Tally(excluded=5)

    assert (found.coverage, found.observed, found.low, found.high) == (None, None, None, None)
    assert found.promise(0.5) is Promise.UNDETERMINED


@pytest.mark.parametrize(
    ("found", "promise"),
    [
        (Tally(good=99, bad=1), Promise.KEPT),
        (Tally(good=98, bad=2), Promise.BROKEN),
        (Tally(good=98, bad=1, unknown=1), Promise.UNDETERMINED),
        (Tally(good=0, bad=2, unknown=98), Promise.BROKEN),
        (Tally(good=990, bad=5, unknown=5), Promise.KEPT),
    ],
)
def test_the_promise_is_decided_only_if_the_unknown_windows_cannot_tip_it(found: Tally, promise: Promise) -> None:
    assert found.promise(0.99) is promise


@given(tallies, targets)
def test_the_promise_holds_for_every_way_the_unknown_windows_could_have_gone(found: Tally, target: float) -> None:
    kept = [
        Fraction(found.good + bonus, found.expected) >= exact(target) if found.expected else None
        for bonus in range(found.unknown + 1)
    ]
    expected = Promise.KEPT if set(kept) == {True} else Promise.BROKEN if set(kept) == {False} else None

    assert found.promise(target) is (expected or Promise.UNDETERMINED)


@given(tallies, tallies)
def test_tallies_add_and_the_bounds_enclose_what_was_observed(first: Tally, second: Tally) -> None:
    both = first + second

    assert both.expected == first.expected + second.expected
    if both.low is not None and both.observed is not None and both.high is not None:
        assert both.low <= both.observed <= both.high


def test_targets_are_taken_as_the_decimals_they_are_written_as() -> None:
    assert exact(0.999) == Fraction(999, 1000)
    assert Tally(good=12, bad=1).promise(0.923) is Promise.KEPT
