"""Latency quantiles within one percent, on the right side of the limit, with an honest interval."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calslo_dagster.stats.latency import p99, quantile, slow_rate
from calslo_dagster.stats.snapshot import Snapshot
from calslo_dagster_tests.builders import snap
from calslo_dagster_tests.strategies import steady


def timed(latencies: list[float], slow_us: float = 1_000.0) -> Snapshot:
    return snap([0.5] * len(latencies), latency=latencies, slow_us=slow_us)


def nearest_rank(latencies: list[float], share: float) -> float:
    return sorted(latencies)[max(1, math.ceil(round(share * len(latencies), 6))) - 1]


@steady
@given(st.lists(st.floats(1.0, 1e9), min_size=1, max_size=60), st.sampled_from([0.01, 0.5, 0.9, 0.99]))
def test_a_quantile_is_within_one_percent(latencies: list[float], share: float) -> None:
    measured = quantile(timed(latencies), share)

    assert measured.value == pytest.approx(nearest_rank(latencies, share), rel=0.01 + 1e-9)
    assert measured.low is not None
    assert measured.low <= (measured.value or 0.0)
    assert measured.high is None or measured.high >= (measured.value or 0.0)


@steady
@given(st.lists(st.floats(980.0, 1020.0), min_size=1, max_size=300), st.sampled_from([0.5, 0.9, 0.99]))
def test_the_limit_is_decided_by_the_count_not_by_the_bucket(latencies: list[float], share: float) -> None:
    """A bucket straddles 1,000 us; 998 us must not read as 1,002."""
    measured = quantile(timed(latencies), share, slow_us=1_000.0)

    assert ((measured.value or 0.0) < 1_000.0) == (nearest_rank(latencies, share) < 1_000.0)


def test_p99_below_the_limit_means_at_most_one_percent_slow() -> None:
    for slow, expected in ((10, True), (11, False)):
        log = timed([999.0] * (1_000 - slow) + [1_000.0] * slow)
        assert ((p99(log, slow_us=1_000.0).value or 0.0) < 1_000.0) is expected


def test_the_interval_holds_the_true_quantile_as_often_as_it_claims() -> None:
    rng = np.random.default_rng(9)
    truth = math.exp(5 + 0.5 * 2.3263478740408408)
    misses = 0
    for _ in range(150):
        measured = p99(timed(rng.lognormal(5, 0.5, 600).tolist()))
        misses += not (measured.low or 0.0) <= truth <= (measured.high or math.inf)

    # The 99.8th percentile of binomial(150, 0.05).
    assert misses <= 15


def test_few_events_bound_the_p99_from_below_only() -> None:
    measured = p99(timed([float(us) for us in range(100, 200)]))

    assert measured.high is None
    assert (measured.low or 0.0) > 150.0
    assert measured.events == 100


@pytest.mark.parametrize("latency", [0.0, 0.5, 1.0])
def test_less_than_a_microsecond_is_about_one(latency: float) -> None:
    measured = quantile(timed([latency]), 0.5)

    assert measured.value == pytest.approx(0.99, abs=1e-9)
    assert measured.low == 0.0


def test_a_latency_of_days_lands_in_the_last_bucket() -> None:
    assert (quantile(timed([1e12]), 0.5).value or 0.0) > 2e10


def test_slow_events_are_counted_exactly() -> None:
    rate = slow_rate(timed([999.999, 1_000.0, 1_000.001, 5.0]))

    assert (rate.value, rate.events) == (0.5, 4)
    assert (rate.low or 1.0) < 0.5 < (rate.high or 0.0)


def test_bad_latencies_are_no_latencies() -> None:
    bad = timed([-1.0, float("nan"), float("inf")])

    assert bad.count("bad_latency") == 3
    assert not p99(bad).is_measured
    assert not slow_rate(bad).is_measured


def test_buckets_that_cover_other_events_than_the_count_are_taken_as_they_are() -> None:
    log = timed([998.0] * 10)
    partly = Snapshot(totals=timed([998.0]).totals, latency=log.latency)

    assert p99(partly, slow_us=1_000.0) == p99(log)


def test_without_latencies_there_is_no_quantile() -> None:
    assert p99(Snapshot()).reason == "no event carries a latency"
    assert slow_rate(snap([0.5])).value is None
