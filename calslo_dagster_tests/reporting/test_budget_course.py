"""A rolling budget: what leaves the period comes back, and the pace of a week says when nothing is left."""

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from calslo_dagster.reporting.budget_course import budget_course
from calslo_dagster.slo.windows import DAY

FIRST = date(2026, 3, 1)


def days(*bad: int) -> list[tuple[date, int]]:
    return [(FIRST + n * DAY, count) for n, count in enumerate(bad)]


def test_what_leaves_the_period_comes_back() -> None:
    course = budget_course(days(3, 0, 0, 0), allowed=5, period_days=3)

    assert [one.left for one in course.days] == [2, 2, 5]


def test_it_runs_out_at_the_pace_of_the_last_week() -> None:
    course = budget_course(days(*[0] * 20, *[2] * 8), allowed=30, period_days=28)

    assert course.per_day == 2.0
    assert course.days[-1].left == 14
    # Seven more days at two a day, and nothing comes back until the first bad day leaves the period.
    assert course.runs_out == course.days[-1].day + 7 * DAY
    assert course.ahead[-1].left <= 0


def test_what_lasts_has_no_date_and_what_is_spent_has_none_either() -> None:
    assert budget_course(days(*[0] * 28), allowed=3, period_days=28).runs_out is None
    assert budget_course(days(*[0] * 28), allowed=3, period_days=28).ahead == ()
    assert budget_course(days(*[5] * 28), allowed=3, period_days=28).runs_out is None
    assert budget_course([], allowed=3, period_days=28).days == ()


@given(st.lists(st.integers(0, 9), min_size=1, max_size=70), st.integers(0, 60), st.integers(1, 30))
def test_every_day_has_what_the_period_before_it_left(bad: list[int], allowed: int, period: int) -> None:
    course = budget_course(days(*bad), allowed, period)
    by_day = {one.day: one.left for one in course.days}

    assert len(course.days) == min(len(bad), period)
    for day, left in by_day.items():
        end = (day - FIRST) // DAY + 1
        assert left == allowed - sum(bad[max(0, end - period) : end])
