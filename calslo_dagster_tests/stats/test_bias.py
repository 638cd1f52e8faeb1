"""Bias has a sign, and an interval that keeps its width without a single positive."""

import numpy as np
import pytest
from hypothesis import given

from calslo_dagster.stats.bias import mean_bias
from calslo_dagster.stats.snapshot import Snapshot
from calslo_dagster_tests.builders import Event, snap, snap_events
from calslo_dagster_tests.strategies import steady, weighted_batches


@steady
@given(weighted_batches)
def test_bias_is_mean_score_less_mean_label(batch: list[Event]) -> None:
    w = np.array([e.weight for e in batch], dtype=float)
    gaps = np.array([(e.score or 0.0) - (e.label or 0.0) for e in batch])
    bias = mean_bias(snap_events(batch))

    assert bias.value == pytest.approx(float(w @ gaps / w.sum()), abs=1e-9 * len(batch) / w.sum())
    assert bias.low is not None
    assert bias.high is not None
    assert bias.low <= (bias.value or 0.0) + 1e-12
    assert bias.high >= (bias.value or 0.0) - 1e-12


def test_a_model_that_overstates_has_a_positive_bias() -> None:
    assert mean_bias(snap([0.9, 0.9], [1, 0])).value == pytest.approx(0.4)
    assert mean_bias(snap([0.1, 0.1], [1, 0])).value == pytest.approx(-0.4)


def test_the_bias_of_the_tail_is_that_of_its_events() -> None:
    tail = mean_bias(snap([0.1, 0.95, 0.97], [1, 1, 0]).above(0.9))

    assert tail.value == pytest.approx(0.46)
    assert tail.events == 2


def test_no_positive_in_ten_events_rules_little_out() -> None:
    bias = mean_bias(snap(np.full(10, 0.001), np.zeros(10)))

    assert (bias.low or 0.0) < -0.2
    assert 0.001 <= (bias.high or 0.0) < 0.01


def test_without_labels_there_is_no_bias() -> None:
    assert not mean_bias(Snapshot()).is_measured
    assert mean_bias(snap([0.5])).reason == "no labelled events"
