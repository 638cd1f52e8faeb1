"""Bets are fair where they say so, by enumeration of every outcome, and no sum of a bin makes them better than fair."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calslo_dagster.stats.baseline import Baseline
from calslo_dagster.stats.batches import Batch, Floats
from calslo_dagster.stats.learned import Learned
from calslo_dagster.stats.tilts import Kind, family, log_bets
from calslo_dagster_tests.builders import snap
from calslo_dagster_tests.strategies import steady

MIXED = (0.02, 0.0201, 0.35, 0.351, 0.8, 0.97)
# Two scores in one fine bin, as far apart as it is wide, the widest there is.
ONE_BIN = (0.5005, 0.5015, 0.5, 0.5018)
DOUBTS = Learned(np.linspace(-30, 40, 32).reshape(2, 16), np.full((2, 16), 50.0))
QUIET = Baseline.of(snap(np.linspace(0.01, 0.99, 200), np.zeros(200)), tolerance=0.02)


def means(kind: Kind, scores: tuple[float, ...], truth: Floats, weights: Floats | None = None) -> Floats:
    """Return the exact mean of each bet over all labels of these events."""
    total = np.zeros(len(family(kind).names))
    for labels in itertools.product((0, 1), repeat=len(scores)):
        chance = np.prod(np.where(np.array(labels) == 1, truth, 1 - truth))
        batch = Batch.of(snap(scores, labels, weights))
        total += chance * np.exp(log_bets(kind, batch, QUIET, DOUBTS))
    return total


@pytest.mark.parametrize("scores", [MIXED, ONE_BIN, (0.0, 1.0, 0.5), (1e-6, 1 - 1e-6)])
def test_no_bet_on_a_change_gains_on_a_calibrated_model(scores: tuple[float, ...]) -> None:
    found = means(Kind.CHANGE, scores, np.array(scores))

    assert found.max() <= 1 + 1e-7
    assert found.min() >= 1 - 1e-3


def test_a_single_score_makes_every_bet_on_a_change_fair_but_for_the_width_of_a_bin() -> None:
    np.testing.assert_allclose(means(Kind.CHANGE, (0.4, 0.4, 0.4), np.full(3, 0.4)), 1.0, atol=2e-5)


@pytest.mark.parametrize("seed", range(6))
def test_no_bet_on_a_breach_gains_on_any_error_within_the_tolerance(seed: int) -> None:
    """Errors of any sign, evenly spread or all on one event, whose mean is just the tolerance."""
    rng = np.random.default_rng(seed)
    scores = np.array((0.3, 0.31, 0.45, 0.5, 0.62, 0.7))
    share = rng.dirichlet(np.full(6, 0.3)) if seed else np.full(6, 1 / 6)
    truth = scores + rng.choice([-1, 1], 6) * share * 6 * QUIET.tolerance

    assert means(Kind.BREACH, tuple(scores), truth).max() <= 1 + 1e-7


@pytest.mark.parametrize("at", range(6))
@pytest.mark.parametrize("sign", [-1, 1])
def test_no_bet_on_a_breach_gains_where_one_event_holds_the_whole_error(at: int, sign: int) -> None:
    scores = np.array((0.3, 0.31, 0.45, 0.5, 0.62, 0.7))
    truth = scores + sign * 6 * QUIET.tolerance * (np.arange(6) == at)

    assert means(Kind.BREACH, tuple(scores), truth).max() <= 1 + 1e-7


def test_a_constant_error_at_the_tolerance_leaves_bets_on_it_almost_fair() -> None:
    """The fee is no larger than it must be: e^(k n eps) is all but (1 + k eps)^n."""
    scores = np.full(6, 0.5)
    found = means(Kind.BREACH, tuple(scores), scores + QUIET.tolerance)

    assert 0.998 < found[family(Kind.BREACH).names.index("too low at 0.8")] <= 1


def test_bets_against_the_error_gain_beyond_the_tolerance() -> None:
    scores = np.full(6, 0.5)
    found = means(Kind.BREACH, tuple(scores), scores + 3 * QUIET.tolerance)

    assert found[family(Kind.BREACH).names.index("too low at 0.4")] > 1


@pytest.mark.parametrize("kind", Kind)
def test_weights_keep_bets_from_gaining(kind: Kind) -> None:
    scores, weights = (0.2, 0.3, 0.5, 0.55, 0.9), np.array([1.0, 7.0, 0.5, 2.0, 3.0])

    assert means(kind, scores, np.array(scores), weights).max() <= 1 + 1e-7


def test_weights_that_depend_on_labels_keep_bets_fair_if_the_largest_is_known() -> None:
    """One in ten negatives is kept, with weight 10: a log of 0.3 is calibrated, though three in four events say yes."""
    scores, kept = 0.3, 0.1
    total = np.zeros(len(family(Kind.CHANGE).names))
    outcomes = ((1, 1.0, scores), (0, 10.0, (1 - scores) * kept))
    for pair in itertools.product(outcomes, repeat=2):
        labels, weights, chances = zip(*pair, strict=True)
        batch = Batch.of(snap([scores] * 2, labels, weights), largest_weight=10.0)
        total += np.prod(chances) * np.exp(log_bets(Kind.CHANGE, batch, QUIET, DOUBTS))
    nothing_kept = 1 - (scores + (1 - scores) * kept)
    one = np.zeros_like(total)
    for label, weight, chance in outcomes:
        batch = Batch.of(snap([scores], [label], [weight]), largest_weight=10.0)
        one += chance * np.exp(log_bets(Kind.CHANGE, batch, QUIET, DOUBTS))

    assert (total + 2 * nothing_kept * one + nothing_kept**2).max() <= 1 + 1e-7


pairs = st.lists(st.tuples(st.floats(0.0, 1.0), st.integers(0, 1)), min_size=1, max_size=30)


@steady
@given(pairs)
def test_the_sums_of_a_bin_never_promise_more_than_the_events_in_it(events: list[tuple[float, int]]) -> None:
    """The exact shift bets, event by event, against those of the snapshot (Jensen, then a tangent)."""
    p, y = (np.array(column, dtype=np.float64) for column in zip(*events, strict=True))
    batch = Batch.of(snap(p, y))
    names = family(Kind.CHANGE).names
    found = log_bets(Kind.CHANGE, batch, QUIET, Learned.nothing())
    for tilt in (-0.8, -0.025, 0.2, 0.8):
        exact = float((tilt * y - np.log1p(p * np.expm1(tilt))).sum())
        assert found[names.index(f"shift {tilt:+g}")] <= exact + 1e-7
        assert found[names.index(f"shift {tilt:+g}")] >= exact - 1e-3 * len(p)


def test_blocks_and_cuts_bet_on_their_ranks_alone() -> None:
    """Events in the lower half move a bet on the upper half by the fee alone."""
    batch = Batch.of(snap([0.1, 0.2, 0.3], [1, 1, 1]))
    bets = dict(zip(family(Kind.CHANGE).names, log_bets(Kind.CHANGE, batch, QUIET, DOUBTS), strict=True))

    assert bets["shift +0.8 in ranks 8/16 to 16/16"] == pytest.approx(0.0, abs=1e-12)
    assert bets["shift +0.8 in ranks 0/16 to 8/16"] == pytest.approx(bets["shift +0.8"])
    for kind in Kind:
        assert family(kind).weights.sum() == pytest.approx(1.0)
        assert len(family(kind).weights) == len(set(family(kind).names))


def test_a_sign_changes_at_its_cut() -> None:
    below, above = (Batch.of(snap([p] * 3, [1] * 3)) for p in (0.1, 0.9))
    names = family(Kind.BREACH).names
    low, high = (dict(zip(names, log_bets(Kind.BREACH, batch, QUIET, DOUBTS), strict=True)) for batch in (below, above))

    assert low["too low at 0.4 below rank 8/16"] == pytest.approx(low["too low at 0.4"])
    assert high["too low at 0.4 below rank 8/16"] == pytest.approx(high["too high at 0.4"])


def test_what_was_learned_forgets_by_the_half_life_of_its_evidence() -> None:
    batch = Batch.of(snap(np.full(4_000, 0.5), np.ones(4_000)))
    once = Learned.nothing().after(batch, QUIET)
    twice = once.after(batch, QUIET)

    np.testing.assert_allclose(once.residual.sum(axis=1), [2_000.0, 2_000.0])
    np.testing.assert_allclose(twice.residual.sum(axis=1), [3_000.0, 2_000 * (1 + 0.5 ** (1 / 6))])
    assert (np.sign(once.tilts()) == once.signs()).all()
