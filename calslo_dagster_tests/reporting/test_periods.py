"""Weeks and months by their names."""

from datetime import UTC, date, datetime

import pytest

from calslo_dagster.reporting.periods import month_before, period_of, week_before


def test_a_week_is_the_iso_week() -> None:
    week = period_of("2026-W01")

    assert week.days == (date(2025, 12, 29), date(2026, 1, 4))
    assert week.is_week
    assert week.spoken == "Week 2026-W01, 2025-12-29 to 2026-01-04"


def test_a_month_ends_with_its_last_day() -> None:
    assert period_of("2028-02").days == (date(2028, 2, 1), date(2028, 2, 29))
    assert period_of("2026-12").days == (date(2026, 12, 1), date(2026, 12, 31))


@pytest.mark.parametrize(
    "name", ["2026-W54", "2026-13", "2026-00", "march", "2026-3", "2026-W1", "", "0000-01", "9999-12"]
)
def test_what_is_no_period_is_refused_by_name(name: str) -> None:
    with pytest.raises(ValueError, match=r"does not exist|is no period"):
        period_of(name)


def test_the_last_ones_are_those_that_are_over() -> None:
    monday = datetime(2026, 3, 2, tzinfo=UTC)

    assert week_before(monday).name == "2026-W09"
    assert week_before(monday.replace(day=1)).name == "2026-W08"
    assert month_before(monday).name == "2026-02"
