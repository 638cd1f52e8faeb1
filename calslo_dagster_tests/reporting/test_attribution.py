"""Causes of a slice's change: four parts that sum to it, and finer slices that sum to each part."""

import math
from dataclasses import astuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calslo_dagster.reporting.attribution import attributed
from calslo_dagster.stats.attribution import Metric
from calslo_dagster.stats.changes import changes
from calslo_dagster.stats.snapshot import Snapshot, merge
from calslo_dagster_tests.builders import Event, snap, snap_events
from calslo_dagster_tests.strategies import good_events, steady

weeks = st.dictionaries(st.sampled_from("abc"), st.lists(good_events, max_size=20), max_size=3)


@steady
@given(weeks, weeks, st.sampled_from([Metric.BRIER, Metric.BIAS]))
def test_the_causes_sum_to_the_change_in_the_report(
    now: dict[str, list[Event]], then: dict[str, list[Event]], metric: Metric
) -> None:
    current, baseline = ({key: snap_events(events) for key, events in week.items()} for week in (now, then))
    moved = {delta.metric: delta.change for delta in changes(merge(current.values()), merge(baseline.values()))}

    found = attributed("*", metric, current, baseline)

    if found is None:
        # No labels in a week, or none on what both weeks have.
        return
    assert found.effects.total == pytest.approx(moved[metric].value, abs=1e-12)
    for place, effect in enumerate(astuple(found.effects)):
        assert math.fsum(astuple(part.effects)[place] for part in found.parts) == pytest.approx(effect, abs=1e-12)


def test_each_part_knows_its_share_of_the_traffic() -> None:
    now = {"a": snap([0.2] * 30, [0] * 30), "b": snap([0.8] * 10, [1] * 10)}
    then = {"a": snap([0.2] * 20, [0] * 20), "c": snap([0.8] * 20, [1] * 20)}

    found = attributed("*", Metric.BIAS, now, then)

    assert found is not None
    shares = {part.slice: (part.share_current, part.share_previous) for part in found.parts}
    assert shares == {"a": (0.75, 0.5), "b": (0.25, 0.0), "c": (0.0, 0.5)}


def test_a_week_without_labels_has_no_causes() -> None:
    assert attributed("*", Metric.ECE, {"a": Snapshot()}, {"a": snap([0.5], [1])}) is None
