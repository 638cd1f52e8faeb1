"""A certificate calls noise noisy, blindness blind, and names the number to write."""

from dataclasses import replace
from datetime import timedelta

import pytest

from calslo_dagster.slo.builtin import clamp_activation, p99_latency, score_range, weekly_drift
from calslo_dagster.slo.builtin.ece_bound import Parameters, build
from calslo_dagster.slo.certificate import Certificate, Standing, certify, is_quiet
from calslo_dagster.slo.declarative import Declaration, declared
from calslo_dagster.slo.model import SLO, Manifest, Operator
from calslo_dagster.slo.rehearsal import Stage
from calslo_dagster.slo.remedies import remedy
from calslo_dagster.slo.traffic import Share, assumed
from calslo_dagster.slo.trials import Mode
from calslo_dagster.stats.estimate import Estimate


def bound(c: float) -> SLO:
    return build(Parameters(c=c))


def certificate(slo: SLO, shape: str = "churn", rate: float = 5.0) -> Certificate:
    return certify(Stage(slo, assumed(shape, rate)), months=0.05, seed=1)


def test_the_default_bound_is_sound_on_scores_of_every_rate() -> None:
    found = certificate(bound(0.7))

    assert found.standing is Standing.SOUND
    assert found.rate < 0.01
    assert found.seen.odds == pytest.approx(1.25, abs=0.1)
    assert found.seen.error is not None
    assert 0.02 < found.seen.error < 0.06


def test_a_constant_that_noise_breaks_is_noisy_and_answered_with_one_that_is_not() -> None:
    assert certificate(bound(0.45)).standing is Standing.NOISY
    assert remedy(Stage(bound(0.45), assumed("churn", 5)), Standing.NOISY) == "write c: 0.55"
    assert is_quiet(Stage(bound(0.55), assumed("churn", 5)))
    assert not is_quiet(Stage(bound(0.5), assumed("churn", 5)))


def test_a_constant_from_a_manifest_is_changed_there() -> None:
    fitted = {"v1": Manifest("v1", "m", c_hat=0.45)}
    stage = Stage(bound(0.7), replace(assumed("churn", 5), versions={"v1": 1}, expected=fitted))

    assert certify(stage, months=0.05, seed=1).standing is Standing.NOISY
    assert remedy(stage, Standing.NOISY) == "write c_hat in its manifest: 0.55"


def test_a_bound_that_rare_events_never_reach_is_blind_and_answered_with_evidence() -> None:
    assert certificate(bound(0.7), "ctr").standing is Standing.BLIND
    assert remedy(Stage(bound(0.7), assumed("ctr", 20)), Standing.BLIND) == "write mode: evidence"
    evidence = certificate(replace(bound(0.7), mode=Mode.EVIDENCE), "ctr", 20)
    assert evidence.standing is Standing.SOUND
    assert evidence.seen.within is not None


def test_a_fixed_limit_that_is_always_past_is_noisy_although_it_is_one_long_breach() -> None:
    slo = declared(Declaration("flat", "ece_em15", Operator.AT_MOST, 0.015))

    found = certificate(slo, "churn", 0.05)

    assert found.standing is Standing.NOISY
    assert "of the windows are past the limit by chance alone" in found.reason


def test_rates_that_are_kept_with_room_to_spare_must_not_alarm() -> None:
    noisy, quiet = certificate(p99_latency.slo, rate=100), certificate(clamp_activation.slo, rate=100)

    assert (noisy.standing, quiet.standing) == (Standing.NOISY, Standing.SOUND)
    assert [(kept.what, kept.decides) for kept in quiet.kept] == [("0.7 x limit", True), ("at the limit", False)]
    assert remedy(Stage(p99_latency.slo, assumed("churn", 100)), Standing.NOISY).startswith("write window: 6h")


def test_windows_that_are_hardly_ever_judged_are_blind() -> None:
    found = certificate(replace(bound(0.7), min_events=100_000))

    assert found.standing is Standing.BLIND
    assert "hardly a window is judged" in found.reason


def test_where_nothing_helps_the_slice_is_merged() -> None:
    stage = Stage(replace(bound(0.7), mode=Mode.EVIDENCE), assumed("ctr", 0.001))

    assert remedy(stage, Standing.BLIND).startswith("merge this slice with others")


def test_counts_of_facts_are_sound() -> None:
    assert certificate(score_range.slo).standing is Standing.SOUND


def test_in_evidence_mode_intervals_share_the_budget_of_all_slices() -> None:
    drift = replace(weekly_drift.slo, mode=Mode.EVIDENCE)

    found = certify(Stage(drift, assumed("churn", 20), slices=100), months=0.05, seed=1)

    assert found.standing is Standing.SOUND
    assert found.rate == pytest.approx(drift.alarms.breaches / 100)
    # Fewer false alarms take more certainty, so less is seen.
    assert found.seen.error is not None
    alone = certify(Stage(drift, assumed("churn", 20)), months=0.05, seed=1).seen.error
    assert alone is not None
    assert alone < found.seen.error


def test_an_estimate_whose_noise_nobody_knows_is_blind_in_evidence_mode() -> None:
    own = declared(Declaration("mine", "mean_score", Operator.AT_MOST, 0.9, mode=Mode.EVIDENCE))
    stage = Stage(replace(own, sli=lambda given: Estimate(0.5, events=given.current.events)), assumed("churn", 20))

    found = certify(stage, months=0.05, seed=1)

    assert found.standing is Standing.BLIND
    assert "whose noise nobody knows" in found.reason
    assert remedy(stage, Standing.BLIND) == "write mode: threshold"


def test_what_this_traffic_does_not_show_stays_open() -> None:
    unknown = replace(assumed("churn", 5), clamped=Share())
    missed = declared(Declaration("many", "mean_score", Operator.AT_LEAST, 0.999))

    assert certify(Stage(clamp_activation.slo, unknown), months=0.05, seed=1).standing is Standing.OPEN
    found = certificate(missed)
    assert found.standing is Standing.OPEN
    assert "misses the promise without any noise" in found.reason


def test_own_rates_are_told_beside_those_of_the_limit() -> None:
    own = replace(assumed("churn", 20), is_assumed=False, clamped=Share(1.0, 0.03))

    kept = certify(Stage(clamp_activation.slo, own), months=0.05, seed=1).kept

    assert kept[-1].what.startswith("as now, 0.03")
    assert not kept[-1].decides


def test_one_seed_gives_one_certificate() -> None:
    assert certificate(clamp_activation.slo) == certificate(clamp_activation.slo)


def test_windows_of_an_hour_are_judged_as_the_day_fills_them() -> None:
    """At night too few events for a verdict, by day enough."""
    short = replace(bound(0.7), window=timedelta(hours=1), min_events=300)

    found = certificate(short)

    assert 0.1 < found.kept[0].prediction.judged < 0.9
