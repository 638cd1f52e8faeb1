"""Verdicts are never meeting without evidence, and every one says why."""

import math
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calslo_dagster.slo.exclusions import Exclusion, exclusion_of
from calslo_dagster.slo.model import Evidence, Limits, Objective, Operator, Override, Verdict
from calslo_dagster.slo.verdict import Judgement, Provenance, judge, measure
from calslo_dagster.slo.windows import DAY, STEP, Window
from calslo_dagster.stats.estimate import Estimate
from calslo_dagster_tests.builders import snap
from calslo_dagster_tests.slo.samples import NOTHING, START, an_slo

WINDOW = Window(START, START + STEP)
WARNED = Objective(at_most=0.10, warn=0.05)
MAINTENANCE = Exclusion(Window(START, START + timedelta(hours=2)), "label backfill", "ml-lead")


def judged(
    value: float | None, objective: Objective = WARNED, events: int = 5_000, reason: str = "", **fields: Any
) -> Judgement:
    slo = an_slo(objective=objective, title="Share of clamped scores", unit="share", **fields)
    return judge(slo, NOTHING, Estimate(value, events=events, reason=reason))


@pytest.mark.parametrize(
    ("value", "verdict", "reason"),
    [
        (0.02, Verdict.MEETING, "Share of clamped scores is 2 % over 5,000 events, within its limits."),
        (0.05, Verdict.MEETING, "Share of clamped scores is 5 % over 5,000 events, within its limits."),
        (0.07, Verdict.WARNING, "Share of clamped scores is 7 % over 5,000 events; it should be at most 5 %."),
        (0.12, Verdict.BREACHED, "Share of clamped scores is 12 % over 5,000 events; it must be at most 10 %."),
    ],
)
def test_values_are_judged_against_warn_and_fail_limits_in_a_sentence(
    value: float | None, verdict: Verdict, reason: str
) -> None:
    judgement = judged(value)

    assert (judgement.verdict, judgement.reason) == (verdict, reason)
    assert (judgement.fail, judgement.warn) == (0.10, 0.05)


def test_the_indicator_adds_its_own_sentence() -> None:
    assert judged(0.12, reason="most of them in version v7").reason.endswith(
        "at most 10 %. Most of them in version v7."
    )


def test_a_value_that_rounds_to_its_limit_is_shown_in_full() -> None:
    assert "is 0.10000001 over" in judged(0.10000001).reason


@pytest.mark.parametrize(
    ("objective", "meeting", "breached"),
    [
        (Objective(at_most=1.0), 1.0, 1.1),
        (Objective(below=1.0), 0.9, 1.0),
        (Objective(at_least=1.0), 1.0, 0.9),
        (Objective(above=1.0), 1.1, 1.0),
        (Objective(equal=1.0), 1.0, 1.1),
        (Objective(within=(0.5, 1.0)), 0.5, 0.4),
    ],
)
def test_every_operator_meets_and_breaches(objective: Objective, meeting: float, breached: float) -> None:
    assert judged(meeting, objective).verdict is Verdict.MEETING
    assert judged(breached, objective).verdict is Verdict.BREACHED


def test_too_few_events_are_unknown_and_say_how_many_are_missing() -> None:
    judgement = judged(0.0, events=60, min_events=100)

    assert judgement.verdict is Verdict.UNKNOWN
    assert judgement.reason == "Needs 40 more events: has 60 of 100."


def test_no_value_is_unknown_with_the_reason_of_the_indicator() -> None:
    judgement = judge(an_slo(), NOTHING, Estimate.missing("no labelled events"))

    assert (judgement.verdict, judgement.reason) == (Verdict.UNKNOWN, "No labelled events.")


@given(
    st.none() | st.floats(),
    st.integers(0, 200),
    st.sampled_from(Operator),
    st.floats(-1, 1),
)
def test_meeting_means_a_finite_value_that_passes_on_enough_events(
    value: float | None, events: int, operator: Operator, limit: float
) -> None:
    bound = (limit, limit + 1) if operator is Operator.WITHIN else limit

    judgement = judged(value, Objective.of(operator, bound), events, min_events=100)

    if judgement.verdict in (Verdict.MEETING, Verdict.BREACHED):
        assert value is not None
        assert math.isfinite(value)
        assert events >= 100
    assert judgement.reason.endswith(".")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_no_number_is_an_error_and_is_not_stored(value: float | None) -> None:
    row = measure(an_slo(Estimate(value, events=100)), NOTHING, WINDOW)

    assert (row.verdict, row.value) == (Verdict.ERROR, None)
    assert "no measurement" in row.reason


def test_an_exception_of_the_indicator_is_the_verdict_error_with_its_text() -> None:
    def broken(_: Evidence) -> Estimate:
        raise ZeroDivisionError("division by zero")

    slo = an_slo()
    row = measure(type(slo)(name="x", title="X", sli=broken, objective=WARNED), NOTHING, WINDOW)

    assert row.verdict is Verdict.ERROR
    assert row.reason == "The indicator failed: ZeroDivisionError: division by zero"


def test_an_exception_while_computing_limits_is_the_verdict_error() -> None:
    def broken(_: Evidence) -> Limits:
        raise KeyError("c_hat")

    row = measure(an_slo(objective=Objective(at_most=1.0, computed=broken)), NOTHING, WINDOW)

    assert row.verdict is Verdict.ERROR
    assert "c_hat" in row.reason


def test_without_any_limit_the_verdict_is_unknown() -> None:
    row = measure(an_slo(objective=Objective(at_most=1.0, computed=lambda _: Limits(None))), NOTHING, WINDOW)

    assert row.verdict is Verdict.UNKNOWN


def test_a_warn_limit_alone_warns_and_never_breaches() -> None:
    slo = an_slo(objective=Objective(at_most=1.0, computed=lambda _: Limits(None, warn=0.1)))

    assert measure(slo, NOTHING, WINDOW).verdict is Verdict.WARNING


def test_limits_differ_per_slice_and_model() -> None:
    slo = an_slo(objective=Objective(at_most=0.1), overrides=(Override(fail=0.9, slices="intent=*", models="churn"),))

    assert measure(slo, NOTHING, WINDOW, slice_name="intent=a", model="churn").verdict is Verdict.MEETING
    assert measure(slo, NOTHING, WINDOW, slice_name="intent=a", model="fraud").verdict is Verdict.BREACHED
    assert measure(slo, NOTHING, WINDOW).threshold == 0.1


def test_an_exclusion_overrides_every_other_verdict() -> None:
    def broken(_: Evidence) -> Estimate:
        raise ValueError("no")

    slo = an_slo(objective=WARNED)
    for judged_slo in (slo, type(slo)(name="x", title="X", sli=broken, objective=WARNED)):
        row = measure(judged_slo, NOTHING, WINDOW, exclusion=MAINTENANCE)

        assert row.verdict is Verdict.EXCLUDED
        assert row.reason == "Excluded, 2026-03-02 00:00 to 2026-03-02 02:00 UTC: label backfill"


def test_a_window_falls_under_an_exclusion_while_it_rests_on_excluded_events() -> None:
    def found(end: datetime) -> Exclusion | None:
        return exclusion_of([MAINTENANCE], Window(end - DAY, end), slo="ece_bound", slice_name="*", model="")

    assert found(START) is None
    assert found(START + STEP) is MAINTENANCE
    assert found(START + timedelta(hours=26) - STEP) is MAINTENANCE
    assert found(START + timedelta(hours=26)) is None


def test_an_exclusion_speaks_only_of_what_it_names_and_the_longest_wins() -> None:
    short = Exclusion(WINDOW, "deploy", slos="ece_*", slices="intent=a*", models="churn")

    def found(slo: str, slice_name: str, model: str) -> Exclusion | None:
        return exclusion_of([short, MAINTENANCE], WINDOW, slo=slo, slice_name=slice_name, model=model)

    assert short.covers("ece_bound", "intent=ab", "churn")
    assert not short.covers("p99_latency", "intent=ab", "churn")
    assert not short.covers("ece_bound", "*", "churn")
    assert not short.covers("ece_bound", "intent=ab", "fraud")
    assert found("ece_bound", "intent=ab", "churn") is MAINTENANCE


def test_a_measurement_carries_its_window_sizes_and_provenance() -> None:
    evidence = Evidence(snap([0.1, 0.9, 0.5], [0, 1, None]))
    source = Provenance(is_final=False, watermark=START, definition_hash="d" * 64, code_version="0.1.0", run_id="run")

    row = measure(an_slo(Estimate(0.5, 0.4, 0.6, 3)), evidence, WINDOW, slice_name="intent=a", provenance=source)

    assert (row.window_start, row.window_end) == (WINDOW.start, WINDOW.end)
    assert (row.value, row.low, row.high, row.events, row.labeled) == (0.5, 0.4, 0.6, 3, 2)
    assert (row.is_final, row.watermark, row.definition_hash) == (False, START, "d" * 64)
    assert (row.code_version, row.run_id) == ("0.1.0", "run")


@pytest.mark.parametrize(
    "returned",
    [None, 0.01, "0.01", Estimate(0.01, low=math.nan, events=5), Estimate(0.01, events=-1)],
)
def test_an_indicator_that_returns_no_estimate_is_an_error_of_that_slo(returned: Any) -> None:
    row = measure(replace(an_slo(), sli=lambda _: returned), Evidence(snap([0.5], [1])), WINDOW)

    assert row.verdict is Verdict.ERROR
    assert (row.value, row.low, row.events) == (None, None, 0)
