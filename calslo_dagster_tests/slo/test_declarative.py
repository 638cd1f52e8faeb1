"""An SLO written as settings measures what it names, over its window or over its panes."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calslo_dagster.errors import SettingsError
from calslo_dagster.slo.declarative import Aggregation, Declaration, declared
from calslo_dagster.slo.definition import definition_hash
from calslo_dagster.slo.metrics import METRICS, NOISE_UNKNOWN, metric
from calslo_dagster.slo.model import Evidence, Operator, Override, Verdict
from calslo_dagster.slo.registry import Registry
from calslo_dagster.slo.verdict import judge
from calslo_dagster.slo.windows import STEP
from calslo_dagster.stats.snapshot import Snapshot, merge
from calslo_dagster_tests.builders import snap

BASIC = Declaration(name="mean_score_high", metric="mean_score", operator=Operator.AT_MOST, fail=0.6, warn=0.5)
FULL = snap(
    [0.1, 0.4, 0.6, 0.9] * 25,
    [0, 0, 1, 1, 1, 0, 1, 0, 0, 1] * 10,
    latency=[200.0] * 99 + [2_000.0],
    clamped=[False] * 90 + [True] * 10,
    alpha=[0.3] * 100,
)


def panes(*scores: list[float]) -> Evidence:
    parts = [snap(pane) for pane in scores]
    return Evidence(merge(parts), panes=parts)


def test_the_noise_of_a_metric_is_known_by_its_standard_error() -> None:
    without = {name for name, one in METRICS.items() if metric(name).measure(FULL).standard_error is None}
    counts = {name for name, one in METRICS.items() if one.unit == "events"}

    assert without - counts == NOISE_UNKNOWN


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_measures_a_full_snapshot_and_survives_an_empty_one(name: str) -> None:
    full, empty = metric(name).measure(FULL), metric(name).measure(Snapshot())

    assert full.value is not None
    assert full.events > 0
    assert empty.value in (None, 0.0)
    assert empty.events == 0


def test_metrics_have_known_values() -> None:
    assert metric("n").measure(FULL).value == 100
    assert metric("n_labeled").measure(FULL).value == 100
    assert metric("n_slow").measure(FULL).value == 1
    assert metric("clamp_rate").measure(FULL).value == pytest.approx(0.10)
    assert metric("mean_score").measure(FULL).value == pytest.approx(0.5)
    assert metric("p50_latency_us").measure(FULL).value == pytest.approx(200, rel=0.01)
    assert metric("bad_scores").measure(snap([2.0, 0.5, None])).value == 2


def test_an_unknown_metric_is_refused_with_the_list() -> None:
    with pytest.raises(SettingsError) as error:
        declared(replace(BASIC, metric="breir"))

    text = str(error.value)
    assert text.startswith("mean_score_high: no metric is named 'breir'; did you mean 'brier'?")
    assert all(name in text for name in METRICS)


@pytest.mark.parametrize(
    ("scores", "verdict"), [([0.4], Verdict.MEETING), ([0.55], Verdict.WARNING), ([0.7], Verdict.BREACHED)]
)
def test_the_whole_window_is_judged_by_default(scores: list[float], verdict: Verdict) -> None:
    slo, found = declared(BASIC), Evidence(snap(scores * 10))

    assert slo.pane is None
    assert judge(slo, found, slo.sli(found)).verdict is verdict


@pytest.mark.parametrize(
    ("aggregation", "value"),
    [
        (Aggregation.MEAN, 0.4),
        (Aggregation.MEDIAN, 0.3),
        (Aggregation.P95, 0.9),
        (Aggregation.P99, 0.9),
        (Aggregation.MAX, 0.9),
        (Aggregation.MIN, 0.1),
        (Aggregation.SUM, 2.0),
        (Aggregation.COUNT, 5.0),
    ],
)
def test_values_of_panes_are_aggregated(aggregation: Aggregation, value: float) -> None:
    slo = declared(replace(BASIC, aggregation=aggregation))

    estimate = slo.sli(panes([0.1], [0.2], [], [0.3], [0.5], [0.9]))

    assert estimate.value == pytest.approx(value)
    assert estimate.events == 5
    assert estimate.reason.startswith(f"{aggregation} over 5 of 6 panes")


def test_thin_panes_have_no_value() -> None:
    slo = declared(replace(BASIC, aggregation=Aggregation.MAX, pane_min_events=2))

    assert slo.sli(panes([0.9], [0.2, 0.4])).value == pytest.approx(0.3)
    assert slo.sli(panes([0.9], [0.8])).value is None


@pytest.mark.parametrize("aggregation", [a for a in Aggregation if a is not Aggregation.WINDOW])
def test_without_panes_the_verdict_is_unknown(aggregation: Aggregation) -> None:
    slo = declared(replace(BASIC, aggregation=aggregation))
    found = Evidence(Snapshot(), panes=(Snapshot(),) * 3)

    judgement = judge(slo, found, slo.sli(found))

    assert judgement.verdict is Verdict.UNKNOWN
    assert judgement.reason == "None of 3 panes gives mean_score."


@given(st.lists(st.lists(st.floats(0, 1), min_size=1, max_size=5), min_size=1, max_size=8))
def test_aggregates_lie_between_the_smallest_and_the_largest_pane(scores: list[list[float]]) -> None:
    found = panes(*scores)
    means = [float(np.mean(part)) for part in scores]

    for aggregation in (Aggregation.MEAN, Aggregation.MEDIAN, Aggregation.P95, Aggregation.P99):
        value = declared(replace(BASIC, aggregation=aggregation)).sli(found).value
        assert value is not None
        assert min(means) - 1e-8 <= value <= max(means) + 1e-8


@pytest.mark.parametrize(
    ("window", "given_pane", "pane"),
    [
        (timedelta(hours=1), None, STEP),
        (timedelta(days=1), None, STEP),
        (timedelta(days=7), None, timedelta(hours=1)),
        (timedelta(days=7), timedelta(days=1), timedelta(days=1)),
    ],
)
def test_panes_are_quarter_hours_up_to_a_day_and_hours_beyond(
    window: timedelta, given_pane: timedelta | None, pane: timedelta
) -> None:
    slo = declared(replace(BASIC, aggregation=Aggregation.MAX, window=window, pane=given_pane))

    assert slo.pane == pane
    assert len(Registry([slo])) == 1


def test_everything_declared_reaches_the_slo() -> None:
    declaration = replace(
        BASIC,
        operator=Operator.WITHIN,
        fail=(0.2, 0.6),
        warn=(0.3, 0.5),
        title="Mean score",
        min_events=7,
        target=0.95,
        slices="intent=*",
        description="In words.",
        runbook="Call.",
        owner="ml",
        open_after=2,
        close_after=3,
        overrides=(Override(fail=(0.1, 0.9)),),
    )

    slo = declared(declaration)

    assert (slo.objective.operator, slo.objective.limit, slo.objective.warn) == (
        Operator.WITHIN,
        (0.2, 0.6),
        (0.3, 0.5),
    )
    assert (slo.name, slo.title, slo.min_events, slo.target) == ("mean_score_high", "Mean score", 7, 0.95)
    assert (slo.slices, slo.description, slo.runbook, slo.owner) == ("intent=*", "In words.", "Call.", "ml")
    assert (slo.open_after, slo.close_after, slo.overrides) == (2, 3, (Override(fail=(0.1, 0.9)),))
    assert slo.needs == {"score"}


def test_a_title_comes_from_the_metric() -> None:
    assert declared(BASIC).title == "Mean score"
    assert declared(replace(BASIC, aggregation=Aggregation.P95)).title == "Mean score (p95 over panes)"


def test_metric_and_aggregation_are_part_of_the_definition() -> None:
    variants = [
        BASIC,
        replace(BASIC, metric="base_rate"),
        replace(BASIC, aggregation=Aggregation.MAX),
        replace(BASIC, aggregation=Aggregation.MIN),
        replace(BASIC, aggregation=Aggregation.MIN, pane_min_events=9),
    ]

    assert len({definition_hash(declared(v)) for v in variants}) == len(variants)


def test_a_volume_of_nothing_can_be_judged() -> None:
    volume = declared(Declaration("volume", "n", Operator.AT_LEAST, 100.0, min_events=0))
    silent = Evidence(Snapshot())

    assert Registry([volume]).names == ("volume",)
    assert judge(volume, silent, volume.sli(silent)).verdict is Verdict.BREACHED
