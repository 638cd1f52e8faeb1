"""Changes that volume, mix of scores and lost signs do not fake, as each of them fakes the bare ones."""

import numpy as np
import pytest

from calslo_dagster.stats.changes import JUDGED_ITSELF, RULES, changes
from calslo_dagster.stats.deltas import Judgement, judgement
from calslo_dagster.stats.drift import Delta
from calslo_dagster.stats.snapshot import Snapshot
from calslo_dagster_tests.builders import snap
from calslo_dagster_tests.stats.formulas import Floats

LIMIT = 0.01


def week(rng: np.random.Generator, p: Floats, truth: Floats | None = None) -> Snapshot:
    return snap(p, rng.random(len(p)) < (p if truth is None else np.clip(truth, 0, 1)))


def moved(current: Snapshot, baseline: Snapshot) -> dict[str, Delta]:
    return {delta.metric: delta for delta in changes(current, baseline)}


def value(delta: Delta) -> float:
    assert delta.change.value is not None
    return delta.change.value


def verdict(delta: Delta) -> Judgement:
    return judgement(delta.change, LIMIT, rises_only=RULES[delta.metric].rises_only)


def test_every_metric_has_a_rule_and_what_is_judged_elsewhere_is_judged_there() -> None:
    found = changes(Snapshot(), Snapshot())

    assert [delta.metric for delta in found] == list(RULES)
    assert {rule.judged_by for rule in RULES.values()} - {""} == set(JUDGED_ITSELF)
    assert all(not delta.change.is_measured and delta.change.reason for delta in found)


def test_the_change_is_the_difference_of_both_weeks_and_the_parts_sum_to_the_score() -> None:
    rng = np.random.default_rng(1)
    found = moved(week(rng, rng.beta(2, 4, 900)), week(rng, rng.beta(2, 3, 400)))

    for delta in found.values():
        if delta.change.value is not None:
            assert delta.change.value == pytest.approx(
                (delta.current.value or 0) - (delta.baseline.value or 0), abs=1e-12
            )
    for score in ("brier", "log_loss"):
        parts = value(found[f"{score}_mix"]) + value(found[f"{score}_excess"])
        assert parts == pytest.approx(value(found[score]), abs=1e-12)


def test_another_volume_moves_the_bare_ece_and_not_the_centred_one() -> None:
    rng = np.random.default_rng(2)
    found = moved(week(rng, rng.beta(2, 4, 1_000)), week(rng, rng.beta(2, 4, 20_000)))

    assert value(found["aece"]) > LIMIT
    assert verdict(found["centred_ece"]) is not Judgement.BREACHED
    assert abs(value(found["centred_ece"])) < value(found["aece"])


def test_a_bias_that_turns_its_sign_is_seen_by_its_sign_alone() -> None:
    rng = np.random.default_rng(3)
    p = 0.3 + 0.4 * rng.beta(2, 2, 20_000)
    found = moved(week(rng, p, p + 0.15), week(rng, p, p - 0.15))

    assert abs(value(found["aece"])) < LIMIT
    assert verdict(found["bias"]) is Judgement.BREACHED
    assert value(found["bias"]) == pytest.approx(-0.3, abs=0.02)


def test_another_mix_of_calibrated_scores_moves_brier_score_and_log_loss_and_no_excess() -> None:
    rng = np.random.default_rng(4)
    sharp, dull = rng.choice([0.1, 0.9], 16_000), np.full(16_000, 0.5)
    found = moved(week(rng, np.concatenate([sharp[:8_000], dull])), week(rng, np.concatenate([sharp, dull[:8_000]])))

    for score in ("brier", "log_loss"):
        assert value(found[score]) > 2 * LIMIT
        assert verdict(found[f"{score}_excess"]) is not Judgement.BREACHED
        assert value(found[f"{score}_mix"]) == pytest.approx(value(found[score]), abs=LIMIT)


def test_an_improvement_is_no_breach_where_less_is_better() -> None:
    rng = np.random.default_rng(5)
    p = rng.random(20_000)
    found = moved(week(rng, p), week(rng, p, p + 0.15 * np.sin(4 * np.pi * p)))

    for bare, judge in (("aece", "centred_ece"), ("brier", "brier_excess"), ("log_loss", "log_loss_excess")):
        assert value(found[bare]) < -LIMIT, bare
        assert verdict(found[judge]) is Judgement.MEETING, judge
    back = moved(week(rng, p, p + 0.15 * np.sin(4 * np.pi * p)), week(rng, p))
    assert verdict(back["centred_ece"]) is verdict(back["brier_excess"]) is Judgement.BREACHED
