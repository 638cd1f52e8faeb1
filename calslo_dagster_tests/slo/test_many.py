"""Many windows at once have, bit by bit, the values, limits and verdicts of each window by itself."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calslo_dagster.engine.series import SnapshotSeries
from calslo_dagster.slo.builtin import ece_bound, merged_bins
from calslo_dagster.slo.declarative import Declaration, declared
from calslo_dagster.slo.many import VERDICTS, Judged, Windows, judged_many, many_of
from calslo_dagster.slo.metrics import METRICS
from calslo_dagster.slo.model import SLO, Cadence, Evidence, Manifest, Measurement, Objective, Operator, Override
from calslo_dagster.slo.registry import builtin
from calslo_dagster.slo.verdict import measure
from calslo_dagster.slo.windows import DAY, Window
from calslo_dagster.stats.estimate import Estimate
from calslo_dagster.stats.snapshot import Snapshot
from calslo_dagster_tests.builders import Event, snap, snap_events
from calslo_dagster_tests.series import series_of
from calslo_dagster_tests.strategies import events, steady

FITTED = {"v1": Manifest("v1", "intent", c_hat=0.55), "v2": Manifest("v2", "ranking")}
MINUTELY = [slo for slo in builtin() if slo.cadence is Cadence.MINUTE]
AS_FAST = [name for name, metric in METRICS.items() if many_of(metric.measure)]
SPAN = Window(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC) + DAY)
SLICE = "intent=buy"
few = settings(steady, max_examples=20)
panes = st.lists(events.map(snap_events), min_size=1, max_size=5)


def edges(series: SnapshotSeries) -> tuple[list[int], list[int]]:
    """Return every window of one, two or all panes, by its two edges."""
    count = series.panes.count
    lengths = sorted({1, min(2, count), count})
    pairs = [(start, start + length) for length in lengths for start in range(count - length + 1)]
    return [start for start, _ in pairs], [end for _, end in pairs]


def model_of(versions: tuple[str, ...]) -> str:
    return "ranking" if "v2" in versions else "intent"


def at_once(slo: SLO, series: SnapshotSeries) -> Judged:
    first, last = map(np.array, edges(series))
    seen, kind = series.versions_seen(first, last)
    expected = tuple({name: FITTED[name] for name in names if name in FITTED} for names in seen)
    windows = Windows(series.batch(first, last), expected, kind)
    found = judged_many(slo, windows, slice_name=SLICE, models=[model_of(names) for names in seen])
    assert found is not None
    return found


def one_by_one(slo: SLO, series: SnapshotSeries) -> list[Measurement]:
    width, found = series.panes.width_us, []
    for first, last in zip(*edges(series), strict=True):
        snapshot = series.window(first * width, last * width)
        expected = {name: FITTED[name] for name in snapshot.versions if name in FITTED}
        model = model_of(tuple(snapshot.versions))
        found.append(measure(slo, Evidence(snapshot, expected=expected), SPAN, slice_name=SLICE, model=model))
    return found


def assert_same(slo: SLO, series: SnapshotSeries) -> None:
    many, each = at_once(slo, series), one_by_one(slo, series)

    assert [VERDICTS[code] for code in many.codes] == [row.verdict for row in each]
    assert [None if np.isnan(value) else value for value in many.values] == [row.value for row in each]
    assert list(many.fails) == [row.threshold for row in each]


def crowd(seed: int, count: int, **columns: object) -> Snapshot:
    """Return a pane with many events, whose scores crowd at a few places as the weights of some do."""
    rng = np.random.default_rng(seed)
    p = np.round(rng.beta(0.6, 2.0, count), 3)
    p[: count // 5] = 0.25
    given = {"latency": rng.lognormal(6.0, 0.7, count).tolist(), "clamped": (rng.random(count) < 0.1).tolist()}
    versions = ["v1", "v2"][seed % 2]
    return snap(p, (rng.random(count) < p).astype(int), **{**given, "versions": [versions] * count, **columns})


@pytest.fixture(scope="module")
def busy() -> SnapshotSeries:
    """Return a series whose windows have from none to thousands of events, some of them weighted."""
    weights = np.random.default_rng(1).uniform(0.1, 9.0, 900).tolist()
    parts = [crowd(1, 900), Snapshot(), crowd(2, 3_500), crowd(3, 900, weights=weights), crowd(4, 60), crowd(5, 1_400)]
    return series_of(parts)


@pytest.mark.parametrize("slo", MINUTELY, ids=lambda slo: slo.name)
@few
@given(found=panes)
def test_any_few_events_are_judged_alike(slo: SLO, found: list[Snapshot]) -> None:
    assert_same(replace(slo, min_events=2), series_of(found))


@pytest.mark.parametrize("slo", MINUTELY, ids=lambda slo: slo.name)
def test_many_events_are_judged_alike(slo: SLO, busy: SnapshotSeries) -> None:
    assert_same(slo, busy)


@pytest.mark.parametrize(
    "slo",
    [
        ece_bound.build(ece_bound.Parameters(c=0.3, bins=10, warn_share=0.5)),
        ece_bound.build(ece_bound.Parameters(use_manifest=False, floor=0.05)),
        merged_bins.build(merged_bins.Parameters(min_bin_events=60, bins=30)),
        replace(
            ece_bound.slo, overrides=(Override(fail=0.04, slices="intent=*", models="ranking"), Override(warn=0.01))
        ),
        replace(MINUTELY[0], overrides=(Override(fail=0.11, warn=0.1, slices="language=*"), Override(fail=0.02))),
    ],
    ids=["other parameters", "no manifest", "more bins", "computed limits with overrides", "limits with overrides"],
)
def test_parameters_and_overrides_apply_alike(slo: SLO, busy: SnapshotSeries) -> None:
    assert_same(slo, busy)


@pytest.mark.parametrize("metric", AS_FAST)
@few
@given(found=panes)
def test_declared_slos_are_judged_alike(metric: str, found: list[Snapshot]) -> None:
    assert_same(declared(Declaration("own", metric, Operator.BELOW, 0.2, 0.1, min_events=2)), series_of(found))


@pytest.mark.parametrize(
    "objective",
    [
        Objective(within=(0.1, 0.3), warn=(0.15, 0.25)),
        Objective(at_least=0.2),
        Objective(above=0.2, warn=0.3),
        Objective(equal=0.25),
    ],
)
def test_every_operator_compares_alike(objective: Objective, busy: SnapshotSeries) -> None:
    base = declared(Declaration("own", "base_rate", Operator.BELOW, 0.2))

    assert_same(replace(base, objective=objective), busy)


def test_weightless_events_leave_bins_as_they_are() -> None:
    weightless = [Event(0.3, 1, 0.0), Event(0.31, 0, 0.0), Event(0.9, 1, 2.0)]

    for slo in MINUTELY:
        assert_same(replace(slo, min_events=1), series_of([snap_events(weightless[:2]), snap_events(weightless)]))


def test_an_indicator_of_ones_own_is_measured_one_by_one(busy: SnapshotSeries) -> None:
    def own(evidence: Evidence) -> Estimate:
        return Estimate(0.5, events=evidence.current.events)

    first, last = map(np.array, edges(busy))
    windows = Windows(busy.batch(first, last), ({},), np.zeros(len(first), dtype=np.int64))

    for sli in (own, declared(Declaration("own", "slope", Operator.BELOW, 2.0)).sli):
        slo = SLO("own", "Own", sli, Objective(below=2.0))
        assert judged_many(slo, windows, slice_name="*", models=["intent"]) is None
