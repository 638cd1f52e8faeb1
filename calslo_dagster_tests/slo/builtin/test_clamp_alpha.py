"""Alpha is compared within one source: what events carried, or what was fitted."""

import pytest

from calslo_dagster.slo.builtin.clamp_alpha import slo
from calslo_dagster.slo.model import Evidence, Manifest, Verdict
from calslo_dagster.slo.verdict import judge
from calslo_dagster.stats.snapshot import Snapshot
from calslo_dagster_tests.builders import snap


def carrying(alpha: float | None, events: int = 50) -> Snapshot:
    return snap([0.5] * events, alpha=[alpha] * events, versions=["v1"] * events)


def fitted(**alphas: float | None) -> dict[str, Manifest]:
    return {version: Manifest(version, "churn", alpha=alpha) for version, alpha in alphas.items()}


@pytest.mark.parametrize(
    ("now", "before", "verdict"),
    [
        (0.30, 0.30, Verdict.MEETING),
        (0.34, 0.30, Verdict.MEETING),
        (0.375, 0.25, Verdict.BREACHED),
        (0.25, 0.375, Verdict.BREACHED),
    ],
)
def test_a_change_of_alpha_in_either_direction_is_judged(now: float, before: float, verdict: Verdict) -> None:
    found = Evidence(carrying(now), baseline=carrying(before))

    assert slo.sli(found).value == pytest.approx(abs(now - before), abs=1e-6)
    assert judge(slo, found, slo.sli(found)).verdict is verdict


def test_the_reason_names_both_values_and_their_source() -> None:
    found = Evidence(carrying(0.375), baseline=carrying(0.25))

    assert slo.sli(found).reason == "alpha went from 0.25 to 0.375, by the events"


def test_manifests_answer_where_events_are_silent() -> None:
    silent = carrying(None)
    found = Evidence(silent, silent, fitted(v1=0.4, v9=0.9), fitted(v1=0.3))

    estimate = slo.sli(found)

    assert estimate.value == pytest.approx(0.1)
    assert estimate.reason.endswith("by the manifests")


def test_manifests_weigh_the_events_of_their_version() -> None:
    both = snap([0.5] * 4, versions=["v1", "v1", "v1", "v2"])
    found = Evidence(both, both, fitted(v1=0.2, v2=0.6), fitted(v1=0.3, v2=0.3))

    assert slo.sli(found).value == pytest.approx(0.0, abs=1e-9)


def test_events_are_not_compared_with_manifests() -> None:
    found = Evidence(carrying(0.9), carrying(None), baseline_expected=fitted(v1=0.3))

    judgement = judge(slo, found, slo.sli(found))

    assert judgement.verdict is Verdict.UNKNOWN
    assert "neither from events nor from manifests" in judgement.reason


@pytest.mark.parametrize("baseline", [None, Snapshot()])
def test_without_a_week_to_compare_with_the_verdict_is_unknown(baseline: Snapshot | None) -> None:
    found = Evidence(carrying(0.3), baseline=baseline)

    assert judge(slo, found, slo.sli(found)).verdict is Verdict.UNKNOWN
