"""Limits compare exactly, override in order, and rank how far a value is past them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calslo_dagster.slo.limits import excess, figure, is_stricter, limits_for, passes, promise
from calslo_dagster.slo.model import Bound, Limits, Objective, Operator, Override
from calslo_dagster_tests.slo.samples import NOTHING, an_slo

numbers = st.floats(-1e6, 1e6)
ONE_SIDED = [Operator.AT_MOST, Operator.BELOW, Operator.AT_LEAST, Operator.ABOVE]


@pytest.mark.parametrize(
    ("operator", "below", "at", "above"),
    [
        (Operator.AT_MOST, True, True, False),
        (Operator.BELOW, True, False, False),
        (Operator.AT_LEAST, False, True, True),
        (Operator.ABOVE, False, False, True),
        (Operator.EQUAL, False, True, False),
    ],
)
def test_operators_compare_exactly_at_the_limit(operator: Operator, below: bool, at: bool, above: bool) -> None:
    assert [passes(operator, v, 0.1) for v in (math.nextafter(0.1, 0), 0.1, math.nextafter(0.1, 1))] == [
        below,
        at,
        above,
    ]


def test_the_ends_of_a_range_belong_to_it() -> None:
    assert [passes(Operator.WITHIN, v, (1.0, 2.0)) for v in (0.9, 1.0, 1.5, 2.0, 2.1)] == [
        False,
        True,
        True,
        True,
        False,
    ]


@pytest.mark.parametrize("operator", list(Operator))
def test_nan_passes_nothing(operator: Operator) -> None:
    limit = (0.0, 1.0) if operator is Operator.WITHIN else 0.5

    assert not passes(operator, math.nan, limit)


@given(st.sampled_from(ONE_SIDED), numbers, numbers)
def test_excess_is_positive_exactly_where_a_limit_is_missed_and_zero_at_the_limit(
    operator: Operator, value: float, limit: float
) -> None:
    past = excess(operator, value, limit)

    assert past <= 0 or not passes(operator, value, limit)
    assert passes(operator, value, limit) or past >= 0
    assert excess(operator, limit, limit) == 0


def test_excess_counts_in_limits() -> None:
    assert excess(Operator.AT_MOST, 0.03, 0.015) == pytest.approx(1)
    assert excess(Operator.AT_LEAST, 0.45, 0.9) == pytest.approx(0.5)
    assert excess(Operator.WITHIN, 3.0, (1.0, 2.0)) == pytest.approx(2)
    assert excess(Operator.AT_MOST, 0.02, 0.0) == pytest.approx(2)
    assert excess(Operator.EQUAL, 1.5, 1.0) == pytest.approx(0.5)


def test_the_first_matching_override_wins() -> None:
    slo = an_slo(
        objective=Objective(at_most=0.10, warn=0.05),
        overrides=(
            Override(fail=0.5, warn=0.4, slices="intent=spam*", models="churn"),
            Override(fail=0.3, slices="intent=spam*"),
            Override(fail=0.2),
        ),
    )

    def limits(name: str, model: str) -> Limits:
        return limits_for(slo, NOTHING, name, model)

    assert limits("intent=spam,language=de", "churn") == Limits(0.5, 0.4)
    assert limits("intent=spam,language=de", "fraud") == Limits(0.3, 0.05)
    assert limits("*", "fraud") == Limits(0.2, 0.05)


def test_an_override_changes_computed_limits_too() -> None:
    slo = an_slo(
        objective=Objective(at_most=0.1, computed=lambda _: Limits(0.08, 0.07)), overrides=(Override(warn=0.01),)
    )

    assert limits_for(slo, NOTHING, "*", "") == Limits(0.08, 0.01)


def test_a_warn_limit_that_the_new_fail_limit_overtakes_is_dropped() -> None:
    slo = an_slo(objective=Objective(at_most=0.10, warn=0.05), overrides=(Override(fail=0.02),))

    assert limits_for(slo, NOTHING, "*", "") == Limits(0.02, None)


@pytest.mark.parametrize(
    ("operator", "warn", "fail", "stricter"),
    [
        (Operator.AT_MOST, 0.1, 0.2, True),
        (Operator.AT_MOST, 0.2, 0.2, False),
        (Operator.AT_LEAST, 0.2, 0.1, True),
        (Operator.ABOVE, 0.1, 0.2, False),
        (Operator.WITHIN, (1.0, 2.0), (0.0, 3.0), True),
        (Operator.WITHIN, (0.0, 3.0), (0.0, 3.0), False),
        (Operator.WITHIN, 1.0, (0.0, 3.0), False),
        (Operator.EQUAL, 1.0, 1.0, False),
        (Operator.AT_MOST, None, 1.0, False),
        (Operator.AT_MOST, 0.5, None, True),
    ],
)
def test_a_warning_must_come_before_the_breach(
    operator: Operator, warn: Bound | None, fail: Bound | None, stricter: bool
) -> None:
    assert is_stricter(operator, warn, fail) is stricter


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.1234567, "share", "12.35 %"),
        (0.0, "share", "0 %"),
        (1.0, "share", "100 %"),
        (0.0150, "ratio", "0.015"),
        (1234.6, "us", "1,235 us"),
        (999.6, "us", "999.6 us"),
        (12.0, "events", "12 events"),
        (-0.0, "ratio", "0"),
        (1e-9, "ratio", "1.000e-09"),
        (math.inf, "ratio", "inf"),
    ],
)
def test_figures_read_well(value: float, unit: str, text: str) -> None:
    assert figure(value, unit) == text


def test_limits_read_as_promises() -> None:
    assert promise(Operator.AT_MOST, 0.1, "share") == "at most 10 %"
    assert promise(Operator.WITHIN, (0.05, 0.1), "share") == "between 5 % and 10 %"
