"""Calibration tables add up to the snapshot, and show where evaluation has left what was fitted."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calslo_dagster.slo.calibration_table import (
    MaskMismatch,
    Support,
    calibration_table,
    manifest_table,
    mask_mismatch,
    support,
)
from calslo_dagster.slo.model import Manifest
from calslo_dagster.stats.snapshot import Snapshot
from calslo_dagster_tests.builders import snap

RNG = np.random.default_rng(9)
SCORES = RNG.random(3_000)
LABELS = (RNG.random(3_000) < SCORES).astype(int)
TENTHS = Manifest("v1", "churn", edges=tuple(i / 10 for i in range(11)), fit_counts=(5,) * 10, mask_id="m1")


def test_equal_mass_bins_add_up_and_rise() -> None:
    table = calibration_table(snap(SCORES, LABELS), 10)

    assert len(table) == 10
    assert sum(b.events for b in table) == pytest.approx(3_000, abs=5)
    assert all(b.events == pytest.approx(300, abs=2) for b in table)
    assert all(a.mean_score < b.mean_score for a, b in pairwise(table) if a.mean_score and b.mean_score)
    assert all(b.lower <= (b.mean_score or 0) <= b.upper for b in table)


def test_the_interval_of_a_calibrated_bin_holds_its_mean_score() -> None:
    table = calibration_table(snap(SCORES, LABELS), 10)

    # Ten 95 % intervals: more than two misses have a probability of 1 %.
    assert sum(not b.is_consistent for b in table) <= 2


def test_an_overstating_model_has_positive_gaps() -> None:
    table = calibration_table(snap(SCORES, (RNG.random(3_000) < SCORES * 0.6).astype(int)), 5)

    assert all(b.gap is not None and b.gap > 0 for b in table)
    assert not table[-1].is_consistent


def test_the_bins_of_a_manifest_are_kept_even_if_empty() -> None:
    table = manifest_table(snap([0.05, 0.05, 0.35], [0, 1, 1]), TENTHS)

    assert [b.events for b in table] == [2, 0, 0, 1, 0, 0, 0, 0, 0, 0]
    assert table[0].observed == 0.5
    assert table[0].mean_score == pytest.approx(0.05, abs=1e-8)
    assert (table[1].observed, table[1].gap, table[1].is_consistent) == (None, None, True)
    assert [(b.lower, b.upper) for b in table] == list(pairwise(TENTHS.edges))


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1)), max_size=40))
def test_bins_at_multiples_of_a_sixtieth_hold_exactly_their_scores(events: list[tuple[float, int]]) -> None:
    table = manifest_table(snap([s for s, _ in events], [y for _, y in events]), TENTHS)

    inner = np.arange(1, 10) / 10
    counts = np.bincount(np.searchsorted(inner, [s for s, _ in events], side="right"), minlength=10)
    assert [b.events for b in table] == list(counts)


def test_weighted_rates_have_intervals_of_their_effective_size() -> None:
    even = manifest_table(snap([0.05] * 10, [1, 0] * 5), TENTHS)[0]
    uneven = manifest_table(snap([0.05] * 10, [1, 0] * 5, weights=[9, 9] + [0.5] * 8), TENTHS)[0]

    assert even.observed == uneven.observed == 0.5
    assert None not in (even.low, even.high, uneven.low, uneven.high)
    assert (uneven.high or 0) - (uneven.low or 0) > (even.high or 0) - (even.low or 0)


def test_an_empty_snapshot_has_an_empty_table() -> None:
    assert calibration_table(Snapshot(), 15) == ()
    assert all(b.events == 0 for b in manifest_table(Snapshot(), TENTHS))


def test_traffic_without_fit_support_and_the_reverse_are_found() -> None:
    fitted = Manifest("v1", "churn", edges=(0.0, 0.25, 0.5, 0.75, 1.0), fit_counts=(10, 0, 10, 0))

    found = support(snap([0.1, 0.3, 0.3]), fitted)

    assert [b.support for b in found] == [Support.BOTH, Support.NO_FIT, Support.NO_TRAFFIC, Support.NEITHER]
    assert [(b.fitted, b.traffic) for b in found] == [(10, 1), (0, 2), (10, 0), (0, 0)]


def test_unlabelled_traffic_counts_as_traffic() -> None:
    assert support(snap([0.05] * 7), TENTHS)[0].traffic == 7


def test_events_with_a_foreign_mask_are_counted_per_version() -> None:
    seen = snap(
        [0.5] * 7,
        versions=["v1", "v1", "v1", "v2", "v2", "v3", "v1"],
        mask_ids=["m1", "m1", "m2", "m2", "m1", "m1", None],
    )
    expected = {"v1": TENTHS, "v2": Manifest("v2", "churn", mask_id="m2"), "v4": TENTHS}

    found = mask_mismatch(seen, expected)

    assert found == MaskMismatch(matching=3, foreign=2, unchecked=1)
    assert found.share == 0.4


def test_without_manifests_nothing_is_called_a_mismatch() -> None:
    found = mask_mismatch(snap([0.5], versions=["v1"], mask_ids=["m1"]), {"v1": Manifest("v1", "churn")})

    assert (found.unchecked, found.share) == (1, None)


@pytest.mark.parametrize("edges", [(), (0.0,), (0.0, 0.5, 0.5, 1.0), (1.0, 0.0)])
def test_edges_that_make_no_bins_are_refused(edges: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="manifest v1 needs at least two ascending bin edges"):
        manifest_table(Snapshot(), Manifest("v1", "churn", edges=edges))


def test_fit_counts_that_do_not_match_the_edges_are_refused() -> None:
    with pytest.raises(ValueError, match="one fit count less"):
        support(Snapshot(), Manifest("v1", "churn", edges=(0.0, 1.0), fit_counts=(1, 2)))


def test_one_score_beside_an_edge_is_in_one_bin_only() -> None:
    manifest = Manifest("v1", "m", edges=(0.0, 0.33, 1.0), fit_counts=(100, 0))

    found = support(snap([0.329] * 1_000, [1] * 1_000), manifest)

    assert [(one.traffic, one.support) for one in found] == [(1_000, Support.BOTH), (0, Support.NEITHER)]


def test_two_versions_that_keep_to_their_own_fits_are_no_mismatch() -> None:
    """Traffic is not split by version, so what the other was fitted on may be its traffic."""
    first = Manifest("v1", "m", edges=(0.0, 0.5, 1.0), fit_counts=(100, 0))
    second = Manifest("v2", "m", edges=(0.0, 0.5, 1.0), fit_counts=(0, 100))
    seen = snap([0.2] * 50 + [0.8] * 50, [1] * 100)

    for one, other in ((first, second), (second, first)):
        assert {b.support for b in support(seen, one, [other])} == {Support.BOTH, Support.NEITHER}
    assert Support.NO_FIT in {b.support for b in support(seen, first)}
