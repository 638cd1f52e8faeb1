"""The calibration error is judged against a bound that follows the number of events."""

import math

import numpy as np
import pytest

from calslo_dagster.slo.builtin.ece_bound import Parameters, build, slo
from calslo_dagster.slo.model import Evidence, Manifest, Verdict
from calslo_dagster.slo.verdict import judge
from calslo_dagster.stats.snapshot import Snapshot
from calslo_dagster_tests.builders import snap


def evidence(events: int, shift: float = 0.0, seed: int = 3, **manifests: float | None) -> Evidence:
    """Return calibrated beta scores, logged `shift` too high, with the labels of the true probability."""
    rng = np.random.default_rng(seed)
    p = rng.beta(2, 2, events) * 0.8 + 0.1
    labels = (rng.random(events) < p - shift).astype(int)
    expected = {version: Manifest(version, "churn", c_hat=c) for version, c in manifests.items()}
    return Evidence(snap(p, labels), expected=expected)


def test_the_limit_is_the_floor_or_the_noise_of_so_many_events() -> None:
    few = slo.objective.limits(evidence(900))
    many = slo.objective.limits(evidence(40_000))

    assert few.fail == pytest.approx(0.7 * math.sqrt(30 / 900))
    assert many.fail == 0.015
    assert (few.warn, many.warn) == pytest.approx((0.9 * 0.7 * math.sqrt(30 / 900), 0.0135))


def test_a_calibrated_model_meets_and_a_shifted_one_breaches() -> None:
    calibrated, shifted = evidence(20_000), evidence(20_000, shift=0.05)

    assert judge(slo, calibrated, slo.sli(calibrated)).verdict is Verdict.MEETING
    found = judge(slo, shifted, slo.sli(shifted))
    assert found.verdict is Verdict.BREACHED
    assert "15 equal-mass bins, c = 0.7 from the settings" in found.reason


def test_a_calibrated_model_of_few_events_is_no_breach() -> None:
    for seed in range(20):
        few = evidence(300, seed=seed)
        assert judge(slo, few, slo.sli(few)).verdict is Verdict.MEETING


def test_the_largest_constant_of_the_versions_seen_is_used() -> None:
    found = evidence(900, v1=0.5, v2=0.6, v3=None)

    assert slo.objective.limits(found).fail == pytest.approx(0.6 * math.sqrt(30 / 900))
    assert "c = 0.6 from the manifest" in slo.sli(found).reason


def test_settings_can_ignore_the_manifests() -> None:
    stubborn = build(Parameters(use_manifest=False, c=0.53))

    assert stubborn.objective.limits(evidence(900, v1=0.9)).fail == pytest.approx(0.53 * math.sqrt(30 / 900))


def test_without_labels_the_verdict_is_unknown() -> None:
    for empty in (Evidence(Snapshot()), Evidence(snap([0.5] * 500))):
        assert judge(slo, empty, slo.sli(empty)).verdict is Verdict.UNKNOWN


def test_too_few_labels_are_unknown() -> None:
    few = evidence(199)

    assert judge(slo, few, slo.sli(few)).reason == "Needs 1 more events: has 199 of 200."


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_certain_scores_that_come_true_have_no_error(score: float) -> None:
    certain = Evidence(snap([score] * 500, [int(score)] * 500))

    assert slo.sli(certain).value == pytest.approx(0.0, abs=1e-9)
    assert judge(slo, certain, slo.sli(certain)).verdict is Verdict.MEETING
