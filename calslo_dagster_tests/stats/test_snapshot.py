"""Snapshots: exact merging, whatever the order, and parts of the range."""

from itertools import pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calslo_dagster.errors import SnapshotError
from calslo_dagster.stats.snapshot import CELL_SUMS, TOTAL_SUMS, Snapshot, merge
from calslo_dagster_tests.builders import Event, snap, snap_events
from calslo_dagster_tests.strategies import events, good_batches, steady


def assert_same(first: Snapshot, second: Snapshot) -> None:
    np.testing.assert_array_equal(first.totals, second.totals)
    np.testing.assert_array_equal(first.cells, second.cells)
    np.testing.assert_array_equal(first.latency, second.latency)
    assert (first.masks, first.versions) == (second.masks, second.versions)


@steady
@given(events, events)
def test_merging_equals_aggregating_together(a: list[Event], b: list[Event]) -> None:
    """Days merge into weeks without going back to the events."""
    assert_same(snap_events(a) + snap_events(b), snap_events(a + b))


@steady
@given(events, st.randoms(use_true_random=False))
def test_the_order_of_events_does_not_matter(batch: list[Event], random: Random) -> None:
    shuffled = random.sample(batch, len(batch))

    assert_same(snap_events(shuffled), snap_events(batch))


@steady
@given(events, st.lists(st.integers(0, 40), max_size=5))
def test_any_cut_into_parts_merges_to_the_same_sums(batch: list[Event], cuts: list[int]) -> None:
    bounds = [0, *sorted(min(cut, len(batch)) for cut in cuts), len(batch)]

    assert_same(merge(snap_events(batch[i:j]) for i, j in pairwise(bounds)), snap_events(batch))


@steady
@given(good_batches)
def test_the_empty_snapshot_changes_nothing(batch: list[Event]) -> None:
    assert_same(snap_events(batch) + Snapshot(), snap_events(batch))


@steady
@given(good_batches, st.sampled_from([k / 60 for k in range(60)]))
def test_both_halves_of_the_range_are_those_of_their_events(batch: list[Event], at: float) -> None:
    whole = snap_events(batch)
    above = snap_events([e for e in batch if e.score is not None and e.score >= at])

    np.testing.assert_array_equal(whole.above(at).cells, above.cells)
    np.testing.assert_array_equal((whole.above(at) + whole.below(at)).cells, whole.cells)
    assert whole.above(at).events == above.events
    assert whole.above(at).labeled == above.labeled


def test_a_part_of_the_range_claims_no_total_that_it_cannot_know() -> None:
    whole = snap([0.2, 0.95], [0, 1], latency=[10, 20], clamped=[True, True], alpha=[0.1, 0.1])
    part = whole.above(0.9)

    assert part.is_restricted
    assert (whole + part).is_restricted
    assert merge([part]).is_restricted
    assert [part.count(name) for name in ("n_clamp_known", "n_alpha", "n_latency")] == [0, 0, 0]
    assert part.latency.sum() == 0
    assert part.total("brier") == pytest.approx((0.95 - 1) ** 2, abs=1e-8)


def test_merging_nothing_is_the_empty_snapshot() -> None:
    assert_same(merge([]), Snapshot())


def test_sums_beyond_64_bits_are_refused_instead_of_wrapping_around() -> None:
    half = Snapshot(totals=np.full(len(TOTAL_SUMS), 2**62, dtype=np.int64))

    with pytest.raises(SnapshotError, match="64 bits"):
        half + half
    with pytest.raises(SnapshotError, match="64 bits"):
        merge([half, half, half])


def test_units_come_back_as_they_went_in() -> None:
    one = snap([0.25], [1], [2.0])

    assert (one.events, one.labeled) == (1, 1)
    assert (one.total("w"), one.total("ws"), one.total("wss")) == (2.0, 0.5, 0.125)
    assert one.cell("w2_lab").sum() == 4.0
    assert one.cell_fixed("w_lab").sum() == 2 * 2**30
    assert one.cell_counts("n").sum() == 1


def test_a_sum_is_not_handed_out_as_a_count() -> None:
    with pytest.raises(ValueError, match="use cell"):
        snap([0.5]).cell_counts("ws_lab")


def test_rejected_rows_are_counted_by_reason_and_nowhere_else() -> None:
    rows = [None, np.nan, np.inf, -0.1, 1.1, 0.5, 0.5]
    bad = snap(rows, [1, 1, 1, 1, 1, -1, 1], [1, 1, 1, 1, 1, 1, -1])

    reasons = ("null", "nan", "infinite", "below", "above", "bad_label", "bad_weight")
    assert {name: bad.count(name) for name in reasons} == dict.fromkeys(reasons, 1)
    assert (bad.events, bad.bad_scores, int(bad.cells.sum())) == (0, 5, 0)


def test_the_names_of_the_sums_are_distinct() -> None:
    assert len(set(TOTAL_SUMS)) == len(TOTAL_SUMS)
    assert len(set(CELL_SUMS)) == len(CELL_SUMS)
