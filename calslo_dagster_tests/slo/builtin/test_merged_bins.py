"""Bins merge when scores repeat or traffic is thin, and only then."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calslo_dagster.slo.builtin.merged_bins import Parameters, build, merged, slo
from calslo_dagster.slo.model import Evidence, Verdict
from calslo_dagster.slo.verdict import judge
from calslo_dagster.stats.snapshot import Snapshot
from calslo_dagster_tests.builders import snap


def clamped_at(share: float, events: int = 6_000) -> Evidence:
    """Return evenly spread scores of which the top `share` is clamped to one value."""
    scores = np.minimum((np.arange(events) + 0.5) / events, 1 - share)
    return Evidence(snap(scores, [0, 1] * (events // 2)))


@pytest.mark.parametrize(
    ("share", "left", "verdict"),
    [
        (0.0, 15, Verdict.MEETING),
        (0.05, 15, Verdict.MEETING),
        (0.14, 14, Verdict.WARNING),
        (0.26, 13, Verdict.WARNING),
        (0.27, 12, Verdict.WARNING),
        (0.40, 10, Verdict.BREACHED),
        (0.999, 1, Verdict.BREACHED),
    ],
)
def test_scores_clamped_to_one_value_merge_bins(share: float, left: int, verdict: Verdict) -> None:
    found = clamped_at(share)

    estimate = slo.sli(found)

    assert estimate.value == pytest.approx(1 - left / 15)
    assert judge(slo, found, estimate).verdict is verdict
    assert estimate.reason.startswith(f"{left} of 15 equal-mass bins are left")


def test_three_merged_bins_of_fifteen_are_exactly_the_limit_and_keep_it() -> None:
    assert slo.sli(clamped_at(0.27)).value == 0.2


@pytest.mark.parametrize("events", [400, 900, 3_998, 4_000])
def test_spread_scores_never_merge_for_lack_of_traffic(events: int) -> None:
    rng = np.random.default_rng(5)
    found = Evidence(snap(rng.random(events), rng.integers(0, 2, events)))

    assert slo.sli(found).value == 0.0


def test_thin_bins_are_merged_under_a_stricter_minimum() -> None:
    found = clamped_at(0.0)

    assert build(Parameters(min_bin_events=500)).sli(found).value == pytest.approx(1 - 7 / 15)
    assert build(Parameters(min_bin_events=30)).min_events == 3_600


def test_without_labels_the_verdict_is_unknown() -> None:
    for empty in (Evidence(Snapshot()), Evidence(snap([0.5] * 900))):
        assert judge(slo, empty, slo.sli(empty)).verdict is Verdict.UNKNOWN


@given(st.lists(st.integers(1, 50), max_size=30), st.integers(1, 60))
def test_every_remaining_bin_could_hold_the_minimum(events: list[int], least: int) -> None:
    left = merged([float(n) for n in events], least)

    assert left <= len(events)
    assert left <= max(1, sum(events) // least)
    assert (left == 0) is (not events)
    assert merged([float(n) for n in events], 1) == len(events)
