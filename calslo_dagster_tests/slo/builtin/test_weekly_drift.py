"""Drift is a change that a week can show; noise is neither drift nor its absence."""

import re

import numpy as np
import pytest

from calslo_dagster.slo.builtin.weekly_drift import Parameters, build, slo
from calslo_dagster.slo.drift import LABELS
from calslo_dagster.slo.model import SLO, Evidence, Verdict
from calslo_dagster.slo.verdict import judge
from calslo_dagster.stats.changes import RULES
from calslo_dagster.stats.snapshot import Snapshot
from calslo_dagster_tests.builders import snap
from calslo_dagster_tests.stats.formulas import Floats


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
    assert re.search(r"calibration slope \(needs about [\d,]+0,000\)", judgement.reason)


def test_a_changed_base_rate_breaches_and_is_named() -> None:
    drifted = Evidence(week(1, shift=0.05), baseline=week(2))

    estimate = slo.sli(drifted)
    judgement = judge(slo, drifted, estimate)

    assert judgement.verdict is Verdict.BREACHED
    assert estimate.low is not None
    assert estimate.low > 0.03
    assert isinstance(judgement.fail, float)
    assert 0.01 < judgement.fail < (estimate.value or 0.0)
    assert re.search(r"(Bias|Base rate|Calibration slope) moved from [01]\.\d+ to [01]\.\d+", judgement.reason)
    assert "99.4 % interval of the change " in judgement.reason
    assert re.search(r"the limit is 0\.01 and 0\.0\d+ for chance", judgement.reason)


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
    assert judgement.reason.startswith("300 labelled events in the smaller week cannot show a change of 0.01; too few")
    assert "base rate (needs about 1" in judgement.reason


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
    assert set(LABELS) == set(RULES)


def drawn(seed: int, p: Floats, truth: Floats | None = None) -> Snapshot:
    rng = np.random.default_rng(seed)
    return snap(p, rng.random(len(p)) < (p if truth is None else truth))


def verdicts(evidence: Evidence, *of: SLO) -> list[Verdict]:
    return [judge(one, evidence, one.sli(evidence)).verdict for one in of]


SCORES = np.random.default_rng(20).random(30_000)
# Neither bias nor slope nor Brier score show a wave that is even about 0.5.
MIDDLE = 0.2 + 0.6 * SCORES
WAVE = MIDDLE + 0.15 * np.cos(4 * np.pi * SCORES)
COINS = np.full(20_000, 0.5)
SURE = np.tile([0.1, 0.9], 10_000)
DEFECTS = {
    "fewer events": (drawn(1, SCORES[:6_000]), drawn(2, SCORES), Verdict.MEETING),
    "another mix of scores": (
        drawn(3, np.concatenate([SURE[:8_000], COINS])),
        drawn(4, np.concatenate([SURE, COINS[:8_000]])),
        Verdict.MEETING,
    ),
    "an improvement": (drawn(5, MIDDLE), drawn(6, MIDDLE, WAVE), Verdict.MEETING),
    "the same for the worse": (drawn(6, MIDDLE, WAVE), drawn(5, MIDDLE), Verdict.BREACHED),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_what_is_no_drift_breaks_the_bare_rule_only(name: str) -> None:
    current, baseline, expected = DEFECTS[name]

    found = verdicts(Evidence(current, baseline), slo, build(Parameters(judge_noise=True)))

    assert found == [expected, Verdict.BREACHED]


def test_a_bias_that_turns_its_sign_breaches_though_the_ece_stays() -> None:
    high, low = (drawn(7, 0.3 + 0.4 * SCORES, 0.3 + 0.4 * SCORES + tilt) for tilt in (0.15, -0.15))

    judgement = judge(slo, Evidence(high, low), slo.sli(Evidence(high, low)))

    assert judgement.verdict is Verdict.BREACHED
    assert "moved from" in judgement.reason


def test_a_change_that_is_more_than_chance_but_maybe_within_the_limit_is_a_warning() -> None:
    moved = Evidence(drawn(8, SCORES, SCORES - 0.015), drawn(8, SCORES))

    estimate = slo.sli(moved)
    judgement = judge(slo, moved, estimate)

    assert judgement.verdict is Verdict.WARNING
    assert judgement.warn is not None
    assert estimate.low is not None
    assert 0.0 < estimate.low < 0.01
    assert "it should be below" in judgement.reason


@pytest.mark.parametrize("name", DEFECTS)
def test_the_limits_give_the_verdict_of_the_metric_that_decides(name: str) -> None:
    """Whatever the limit is, rounding at the ends of intervals included."""
    current, baseline, _ = DEFECTS[name]
    for limit in (0.001, 0.003, 0.01, 0.03, 0.1):
        one = build(Parameters(limit=limit))
        estimate = one.sli(Evidence(current, baseline))
        found = judge(one, Evidence(current, baseline), estimate)
        if estimate.value is not None and estimate.low is not None and estimate.high is not None:
            assert (found.verdict is Verdict.BREACHED) == (estimate.low > limit)
            assert (found.verdict is Verdict.MEETING) == (estimate.high <= limit)
