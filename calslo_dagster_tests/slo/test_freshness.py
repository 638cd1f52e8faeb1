"""A measurement speaks of now for one and a half steps after an evaluation, and for some hours after its window."""

from datetime import timedelta

import pytest

from calslo_dagster.slo.freshness import Patience
from calslo_dagster.slo.model import Verdict
from calslo_dagster.slo.windows import WEEK
from calslo_dagster_tests.logs import HOUR, MINUTE, START
from calslo_dagster_tests.pipeline.courses import measured

QUARTER = Patience.of(15 * MINUTE, lateness=10 * MINUTE)
ROW = measured(START, Verdict.MEETING)


def test_patience_is_one_and_a_half_steps_and_the_lateness_but_a_window_gets_eight_hours() -> None:
    assert Patience(32.5 * MINUTE, 8 * HOUR) == QUARTER


def test_a_weekly_measurement_speaks_for_a_week_and_a_half() -> None:
    assert Patience.of(WEEK, lateness=10 * MINUTE).window == 1.5 * WEEK + 10 * MINUTE


@pytest.mark.parametrize(
    ("evaluated", "age", "since"),
    [
        (timedelta(0), timedelta(0), None),
        (timedelta(0), 32.5 * MINUTE, None),
        (timedelta(0), 33 * MINUTE, START),
        (7 * HOUR, 7.5 * HOUR, None),
        (8 * HOUR, 8 * HOUR, START),
        (8 * HOUR - MINUTE, 8 * HOUR - MINUTE, None),
    ],
)
def test_it_is_stale_when_nothing_is_evaluated_or_no_window_ends(
    evaluated: timedelta, age: timedelta, since: object
) -> None:
    assert QUARTER.stale_since(ROW, START + evaluated, START + age) == since


def test_without_a_record_of_evaluations_the_window_decides() -> None:
    assert QUARTER.stale_since(ROW, None, START + 7 * HOUR) is None
    assert QUARTER.stale_since(ROW, None, START + 8 * HOUR) == START
