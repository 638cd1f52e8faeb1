"""Value and verdict of the latency never contradict the exact count of slow events."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calslo_dagster.slo.builtin.p99_latency import Parameters, build, slo
from calslo_dagster.slo.model import Evidence, Verdict
from calslo_dagster.slo.verdict import judge
from calslo_dagster.stats.snapshot import Snapshot
from calslo_dagster_tests.builders import snap

NEAR = st.sampled_from([400.0, 985.0, 995.0, 999.0, 999.999, 1_000.0, 1_000.001, 1_005.0, 1_015.0, 3_000.0])


def logged(latency: list[float]) -> Evidence:
    return Evidence(snap([0.5] * len(latency), latency=latency))


@settings(max_examples=60)
@given(st.integers(100, 420), st.lists(NEAR, max_size=12), NEAR)
def test_breached_means_that_more_than_one_in_a_hundred_is_slow(events: int, tail: list[float], body: float) -> None:
    latency = [body] * (events - len(tail)) + tail
    found = logged(latency)

    judgement = judge(slo, found, slo.sli(found))

    slow = sum(us >= 1_000 for us in latency)
    assert (judgement.verdict is Verdict.BREACHED) is (slow * 100 > events)
    exact = sorted(latency)[-(-99 * events // 100) - 1]
    assert slo.sli(found).value == pytest.approx(exact, rel=0.0101)


def test_exactly_one_percent_of_slow_events_is_allowed() -> None:
    found = logged([500.0] * 990 + [1_000.0] * 10)

    judgement = judge(slo, found, slo.sli(found))

    assert judgement.verdict is Verdict.MEETING
    assert judgement.reason.endswith("10 took 1,000 us or longer, 10 may.")


def test_a_limit_from_settings_moves_the_objective() -> None:
    assert build(Parameters(limit_us=2_000.0)).objective.below == 2_000.0


@pytest.mark.parametrize("found", [Evidence(Snapshot()), Evidence(snap([0.5] * 500))])
def test_without_latency_the_verdict_is_unknown(found: Evidence) -> None:
    assert judge(slo, found, slo.sli(found)).verdict is Verdict.UNKNOWN


def test_fewer_than_a_hundred_events_are_unknown() -> None:
    found = logged([5_000.0] * 99)

    assert judge(slo, found, slo.sli(found)).reason == "Needs 1 more events: has 99 of 100."
