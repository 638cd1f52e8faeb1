"""Rehearsals run an SLO's own evaluation on simulated panes."""

from dataclasses import replace
from datetime import timedelta
from itertools import islice

import numpy as np
import pytest

from calslo_dagster.slo.builtin import clamp_activation, p99_latency, weekly_drift
from calslo_dagster.slo.builtin.ece_bound import Parameters, build
from calslo_dagster.slo.declarative import Aggregation, Declaration, declared
from calslo_dagster.slo.model import SLO, Operator, Override
from calslo_dagster.slo.prediction import predict
from calslo_dagster.slo.rehearsal import Stage, delay, false_breaches, judged, seen_share
from calslo_dagster.slo.traffic import CALIBRATED, Truth, assumed
from calslo_dagster.slo.trials import Mode
from calslo_dagster.slo.windows import DAY, STEP
from calslo_dagster.stats.snapshot import merge

BET_ON = replace(build(Parameters()), mode=Mode.EVIDENCE)


def rng(seed: int = 3) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_traffic_has_the_volume_of_its_course_and_is_larger_by_day() -> None:
    traffic = assumed("churn", 10)
    panes = list(islice(traffic.panes(CALIBRATED, rng()), 96))

    # Four deviations of a Poisson number.
    assert sum(pane.labeled for pane in panes) == pytest.approx(14_400, abs=480)
    assert merge(panes[52:68]).events > 2 * merge(panes[4:20]).events
    assert next(traffic.windows(DAY, CALIBRATED, rng())).labeled == pytest.approx(14_400, abs=480)
    assert traffic.window(timedelta(hours=1), 60, CALIBRATED, rng()).labeled == pytest.approx(900, abs=120)


def test_a_shift_has_the_calibration_error_that_is_claimed_of_it() -> None:
    traffic, truth = assumed("churn", 100), Truth(shift=0.5)
    stage = Stage(build(Parameters()), traffic)

    window = next(traffic.windows(DAY, truth, rng()))

    assert judged(stage, window, None).value == pytest.approx(traffic.error(truth), rel=0.03)
    assert traffic.error(CALIBRATED) == 0.0


@pytest.mark.parametrize(("slo", "limit", "at_least"), [(p99_latency.slo, 0.01, 40), (clamp_activation.slo, 0.1, 20)])
def test_rates_at_their_limit_breach_as_often_as_predicted(slo: SLO, limit: float, at_least: int) -> None:
    stage, truth = Stage(slo, assumed("churn", 30)), Truth(rate=limit)

    found, predicted = false_breaches(stage, truth, rng(), months=0.3), predict(stage, truth)

    assert found.alarms > at_least
    assert found.rate == pytest.approx(predicted.per_month, rel=0.35)
    assert found.past == pytest.approx(predicted.tail, abs=0.1)


def test_a_constant_that_is_noise_breaches_as_often_as_predicted() -> None:
    stage = Stage(build(Parameters(c=0.4)), assumed("coin", 10))

    found, predicted = false_breaches(stage, CALIBRATED, rng(), months=0.7), predict(stage, CALIBRATED)

    assert found.rate == pytest.approx(predicted.per_month, rel=0.5)
    assert found.interval[0] < found.rate < found.interval[1]


def test_looking_less_often_makes_fewer_breaches() -> None:
    often = Stage(p99_latency.slo, assumed("churn", 30))
    seldom = replace(often, slo=replace(p99_latency.slo, window=timedelta(hours=1)), step=timedelta(hours=1))

    truth = Truth(rate=0.01)

    assert predict(seldom, truth).per_month == pytest.approx((predict(often, truth).per_month or 0) / 4, rel=0.3)
    assert false_breaches(seldom, truth, rng(), months=0.3).months == pytest.approx(0.3)


def test_a_weekly_slo_is_rehearsed_over_many_weeks() -> None:
    stage = Stage(
        replace(weekly_drift.build(weekly_drift.Parameters(judge_noise=True)), min_events=1), assumed("churn", 0.1)
    )

    found = false_breaches(stage, CALIBRATED, rng(), months=0.5)

    assert found.months == pytest.approx(7)
    # With a thousand labels a week, chance alone moves the error by more than 0.01.
    assert found.past > 0.3


def test_an_slo_over_panes_sees_them() -> None:
    slo = declared(
        Declaration(
            "worst_rate", "clamp_rate", Operator.AT_MOST, 0.02, window=timedelta(hours=2), aggregation=Aggregation.MAX
        )
    )

    found = false_breaches(Stage(slo, assumed("churn", 5)), CALIBRATED, rng(), months=0.03)

    # The largest of eight panes is above the mean rate nearly always.
    assert found.past > 0.8


def test_bets_keep_their_budget_and_find_what_is_twice_the_tolerance() -> None:
    stage = Stage(BET_ON, assumed("churn", 20), slices=10)

    assert stage.threshold == pytest.approx(28_800)
    assert predict(stage, CALIBRATED).per_month == pytest.approx(0.1)
    assert false_breaches(stage, CALIBRATED, rng(), months=0.2).alarms == 0
    found = delay(stage, Truth(shift=0.3), rng())
    assert found is not None
    assert STEP <= found < 2 * DAY
    assert delay(stage, CALIBRATED, rng(), longest=DAY) is None


def test_bets_tolerate_what_an_override_allows_this_slice() -> None:
    usual, lenient = BET_ON, replace(BET_ON, overrides=(Override(fail=0.05),))

    assert Stage(usual, assumed("churn", 20)).baseline.tolerance <= 0.015
    assert Stage(lenient, assumed("churn", 20)).baseline.tolerance == 0.05


def test_bets_on_rates_alarm_past_the_limit_only() -> None:
    slo = replace(clamp_activation.slo, mode=Mode.EVIDENCE)
    stage = Stage(slo, assumed("churn", 20))

    assert stage.limit == 0.10
    assert false_breaches(stage, Truth(rate=0.07), rng(), months=0.3).alarms == 0
    assert false_breaches(stage, Truth(rate=0.15), rng(), months=0.1).alarms > 5


def test_what_a_window_shows_depends_on_how_wrong_it_is() -> None:
    stage = Stage(build(Parameters()), assumed("churn", 5))

    assert seen_share(stage, Truth(shift=0.6), rng(), windows=20) == 1.0
    assert seen_share(stage, Truth(shift=0.02), rng(), windows=20) == 0.0
