"""Batches: the sums of a snapshot, with weights that no bet can be unfair by."""

import numpy as np
import pytest
from hypothesis import given

from calslo_dagster.stats import grid
from calslo_dagster.stats.batches import Batch
from calslo_dagster_tests.builders import Event, snap
from calslo_dagster_tests.strategies import labeled_batches, steady, weighted_batches


def batch_of(events: list[Event]) -> Batch:
    return Batch.of(snap([e.score for e in events], [e.label for e in events], [e.weight for e in events]))


@steady
@given(labeled_batches)
def test_an_unweighted_batch_holds_the_plain_sums(events: list[Event]) -> None:
    batch = batch_of(events)
    scores = np.array([e.score for e in events])

    assert batch.at.tolist() == sorted(set(grid.fine_bins(scores).tolist()))
    assert batch.events == len(events)
    assert batch.residual == pytest.approx(sum((e.label or 0) - (e.score or 0) for e in events), abs=1e-7)


@steady
@given(weighted_batches)
def test_no_event_enters_with_more_than_its_full_bet(events: list[Event]) -> None:
    """What the sums bound from above is the heaviest event, up to the rounding of squares."""
    heaviest = max(e.weight or 0.0 for e in events)
    batch = batch_of(events)

    assert batch.events <= sum(e.weight or 0.0 for e in events) / heaviest * (1 + 1e-3)


def test_equal_weights_change_nothing() -> None:
    scores, labels = [0.1, 0.1, 0.7], [0, 1, 1]
    plain, weighted = (Batch.of(snap(scores, labels, weights)) for weights in (None, [4.0] * 3))

    np.testing.assert_allclose(weighted.size, plain.size)
    np.testing.assert_allclose(weighted.label, plain.label)


def test_a_known_largest_weight_is_what_weights_are_divided_by() -> None:
    batch = Batch.of(snap([0.2, 0.8], [0, 1], [1.0, 2.0]), largest_weight=10.0)

    assert batch.size.tolist() == [0.1, 0.2]


def test_a_batch_without_labels_is_empty() -> None:
    batch = Batch.of(snap([0.2, 0.8], [None, None]))

    assert (len(batch.at), batch.events, batch.residual, batch.variance) == (0, 0.0, 0.0, 0.0)
