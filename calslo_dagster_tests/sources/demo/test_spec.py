"""The demo's size and dates."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from calslo_dagster.sources.demo.spec import DemoSpec, latest_monday

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)


def test_two_whole_iso_weeks_end_at_the_end() -> None:
    spec = DemoSpec(MONDAY)

    assert spec.start == spec.opening == datetime(2026, 11, 9, tzinfo=UTC)
    assert spec.start.isoweekday() == 1


def test_a_longer_demo_begins_before_its_script() -> None:
    spec = DemoSpec(MONDAY, days=28)

    assert spec.opening - spec.start == timedelta(days=14)


@pytest.mark.parametrize("end", [MONDAY + timedelta(days=1), MONDAY + timedelta(hours=1)])
def test_an_end_that_is_no_monday_midnight_is_refused(end: datetime) -> None:
    with pytest.raises(ValueError, match="ends on a Monday 00:00 UTC"):
        DemoSpec(end)


def test_a_naive_end_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        DemoSpec(datetime(2026, 11, 23))  # noqa: DTZ001 - the naive time is the point


@pytest.mark.parametrize("wrong", [{"days": 0}, {"events_per_day": 0.0}, {"seed": -1}])
def test_a_demo_without_events_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least one day"):
        DemoSpec(MONDAY, **wrong)


def test_the_latest_monday_is_that_of_the_running_utc_week() -> None:
    early_in_tokyo = datetime(2026, 11, 23, 3, tzinfo=timezone(timedelta(hours=9)))

    assert latest_monday(MONDAY) == MONDAY
    assert latest_monday(MONDAY - timedelta(microseconds=1)) == MONDAY - timedelta(days=7)
    assert latest_monday(early_in_tokyo) == MONDAY - timedelta(days=7)
