"""Surety: what an estimate with a standard error says about its limit, look after look."""

import math
from dataclasses import replace
from statistics import NormalDist

import pytest

from calslo_dagster.slo.model import SLO, Limits, Objective, Operator, Verdict
from calslo_dagster.slo.surety import alarm_z, surety
from calslo_dagster.slo.trials import AlarmRates, Interval
from calslo_dagster.stats.estimate import Estimate
from calslo_dagster_tests.slo.samples import an_slo

UPPER = an_slo(objective=Objective(at_most=0.10, warn=0.05))
LIMITS = Limits(0.10, 0.05)
LOOKS = 2_880.0


def verdict(value: float, error: float, slo: SLO = UPPER, limits: Limits = LIMITS, looks: float = LOOKS) -> Verdict:  # noqa: PLR0917 - a table
    return surety(slo, Estimate(value, events=100, standard_error=error), limits, looks).verdict


@pytest.mark.parametrize(
    ("value", "error", "expected"),
    [
        (0.20, 0.01, Verdict.BREACHED),
        (0.13, 0.01, Verdict.WARNING),
        (0.08, 0.001, Verdict.WARNING),
        (0.099, 0.005, Verdict.WARNING),
        (0.095, 0.05, Verdict.UNKNOWN),
        (0.06, 0.01, Verdict.MEETING),
        (0.04, 0.01, Verdict.MEETING),
        (0.10, 0.0, Verdict.WARNING),
        (0.11, 0.0, Verdict.BREACHED),
        (0.05, 0.0, Verdict.MEETING),
    ],
)
def test_each_outcome_has_its_distance(value: float, error: float, expected: Verdict) -> None:
    assert verdict(value, error) is expected


def test_without_noise_or_limit_nothing_is_known() -> None:
    for estimate, limits in (
        (Estimate(0.2, events=9), LIMITS),
        (Estimate(None), LIMITS),
        (Estimate(0.2, standard_error=0.1), Limits(None, 0.05)),
    ):
        found = surety(UPPER, estimate, limits, LOOKS)

        assert (found.verdict, found.needed) == (Verdict.UNKNOWN, None)
        assert "write mode: threshold" in found.words


def test_false_breaches_come_as_often_as_allowed_at_the_limit() -> None:
    """The chance of a normal estimate at the limit to be called a breach, times the looks, is the budget."""
    z = alarm_z(1 / LOOKS)

    assert LOOKS * (1 - NormalDist().cdf(z)) == pytest.approx(1.0)
    assert verdict(0.10 + 1.001 * z * 0.01, 0.01) is Verdict.BREACHED
    assert verdict(0.10 + 0.999 * z * 0.01, 0.01) is Verdict.WARNING


@pytest.mark.parametrize(("slo", "ways"), [(replace(UPPER, trial=Interval(8)), 8), (UPPER, 1)])
def test_each_part_may_miss(slo: SLO, ways: int) -> None:
    z = alarm_z(1 / LOOKS / ways)

    assert verdict(0.10 + 1.001 * z * 0.01, 0.01, slo) is Verdict.BREACHED
    assert verdict(0.10 + 0.999 * z * 0.01, 0.01, slo) is Verdict.WARNING


def test_one_value_may_be_missed_on_both_sides() -> None:
    equal, z = an_slo(objective=Objective(equal=0.5)), alarm_z(1 / LOOKS / 2)

    assert verdict(0.5 - 1.001 * z * 0.01, 0.01, equal, Limits(0.5)) is Verdict.BREACHED
    assert verdict(0.5 - 0.999 * z * 0.01, 0.01, equal, Limits(0.5)) is Verdict.WARNING
    assert verdict(0.5, 0.01, equal, Limits(0.5)) is Verdict.UNKNOWN


@pytest.mark.parametrize("operator", [Operator.AT_LEAST, Operator.ABOVE])
def test_a_lower_limit_is_missed_from_above(operator: Operator) -> None:
    slo, limits = an_slo(objective=Objective.of(operator, 0.9)), Limits(0.9)

    assert verdict(0.8, 0.01, slo, limits) is Verdict.BREACHED
    assert verdict(0.95, 0.01, slo, limits) is Verdict.MEETING


def test_a_range_is_missed_on_either_side() -> None:
    slo, limits = an_slo(objective=Objective(within=(0.8, 1.2))), Limits((0.8, 1.2), (0.9, 1.1))

    assert [verdict(v, 0.01, slo, limits) for v in (0.7, 0.85, 1.0, 1.15, 1.3)] == [
        Verdict.BREACHED, Verdict.WARNING, Verdict.MEETING, Verdict.WARNING, Verdict.BREACHED,
    ]  # fmt: skip
    assert verdict(1.19, 0.05, slo, Limits((0.8, 1.2))) is Verdict.UNKNOWN


def test_so_many_more_events_would_show_that_the_limit_is_kept() -> None:
    """The error falls with the root of the events: with those needed, the value is 1.645 errors below the limit."""
    found = surety(UPPER, Estimate(0.08, events=1_000, standard_error=0.02), Limits(0.10), LOOKS)
    assert found.needed is not None
    later = replace(
        Estimate(0.08, events=1_000 + found.needed), standard_error=0.02 * math.sqrt(1_000 / (1_000 + found.needed))
    )

    assert found.verdict is Verdict.UNKNOWN
    assert surety(UPPER, later, Limits(0.10), LOOKS).verdict is Verdict.MEETING
    assert surety(UPPER, Estimate(0.10, events=50, standard_error=0.1), Limits(0.10), LOOKS).needed is None


def test_a_generous_budget_needs_no_distance() -> None:
    slo = replace(UPPER, alarms=AlarmRates(5_000.0, 5_000.0))

    assert alarm_z(0.7) == 0.0
    assert verdict(0.1001, 0.05, slo) is Verdict.BREACHED
    assert verdict(0.0501, 0.01, slo) is Verdict.WARNING
