"""Drift is a change that a week can show; noise is neither drift nor its absence."""

import numpy as np
import pytest

from calslo_dagster.slo.builtin.weekly_drift import LABELS, Parameters, build, slo
from calslo_dagster.slo.model import Evidence, Verdict
from calslo_dagster.slo.verdict import judge
from calslo_dagster.stats.drift import JUDGED
from calslo_dagster.stats.snapshot import Snapshot
from calslo_dagster_tests.builders import snap


def week(seed: int, events: int = 40_000, shift: float = 0.0, mean: float = 0.0) -> Snapshot:
    """Return a week of scores whose labels come true `shift` less often than they say."""
    rng = np.random.default_rng(seed)
    p = np.clip(rng.beta(2, 5, events) * 0.8 + 0.1 + mean, 0.0, 1.0)
    return snap(p, (rng.random(events) < p - shift).astype(int))


@pytest.fixture(scope="module")
def steady() -> Evidence:
    return Evidence(week(1), baseline=week(2))


def test_two_weeks_of_one_model_meet(steady: Evidence) -> None:
    judgement = judge(slo, steady, slo.sli(steady))

    assert judgement.verdict is Verdict.MEETING
    assert "too few events to decide" in judgement.reason
    assert "calibration slope" in judgement.reason


def test_a_changed_base_rate_breaches_and_is_named() -> None:
    drifted = Evidence(week(1, shift=0.05), baseline=week(2))

    estimate = slo.sli(drifted)
    judgement = judge(slo, drifted, estimate)

    assert judgement.verdict is Verdict.BREACHED
    assert estimate.low is not None
    assert estimate.low > 0.03
    assert "moved most, from " in judgement.reason
    assert "95 % interval of the change" in judgement.reason


def test_a_changed_mean_score_breaches_even_without_labels_drifting() -> None:
    drifted = Evidence(week(1, mean=0.04), baseline=week(2))

    estimate = slo.sli(drifted)

    assert estimate.value is not None
    assert estimate.value > 0.03
    assert judge(slo, drifted, estimate).verdict is Verdict.BREACHED


def test_bare_changes_are_judged_on_request(steady: Evidence) -> None:
    bare, careful = build(Parameters(judge_noise=True)).sli(steady), slo.sli(steady)

    assert bare.value is not None
    assert careful.value is not None
    assert bare.value >= careful.value
    assert "too few" not in bare.reason


def test_small_weeks_cannot_show_the_limit() -> None:
    small = Evidence(week(1, 300), baseline=week(2, 300))

    judgement = judge(slo, small, slo.sli(small))

    assert judgement.verdict is Verdict.UNKNOWN
    assert judgement.reason == "300 labelled events in the smaller week cannot show a change of 0.01."


@pytest.mark.parametrize(
    ("baseline", "reason"),
    [(None, "There is no week before this one"), (Snapshot(), "No metric is known for both spans")],
)
def test_without_a_week_to_compare_with_the_verdict_is_unknown(
    steady: Evidence, baseline: Snapshot | None, reason: str
) -> None:
    first = Evidence(steady.current, baseline=baseline)

    judgement = judge(slo, first, slo.sli(first))

    assert judgement.verdict is Verdict.UNKNOWN
    assert judgement.reason.startswith(reason)


def test_every_judged_metric_has_a_name_for_people() -> None:
    assert set(LABELS) == set(JUDGED)
