"""Windows lie on one UTC grid and every end belongs to exactly one day."""

import itertools
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calslo_dagster.slo.model import Cadence
from calslo_dagster.slo.windows import (
    DAY,
    STEP,
    WEEK,
    Window,
    baseline_of,
    bucket_of,
    day_of,
    day_span,
    is_final,
    open_end,
    spoken,
    step_of,
    week_of,
    window_ends,
    window_of,
)
from calslo_dagster_tests.slo.samples import an_slo

MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC)
instants = st.integers(-(10**15), 3 * 10**15).map(lambda us: MIDNIGHT + timedelta(microseconds=us))


@given(instants, st.integers(0, 400), st.sampled_from([STEP, timedelta(hours=1), DAY, WEEK]))
def test_window_ends_lie_in_the_half_open_span_on_the_grid(start: datetime, minutes: int, step: timedelta) -> None:
    end = start + timedelta(minutes=minutes)

    ends = window_ends(start, end, step)

    assert all(start < e <= end for e in ends)
    assert all(b - a == step for a, b in itertools.pairwise(ends))
    assert all(open_end(e, step) == e + step for e in ends)


@given(instants, st.integers(0, 300), st.integers(0, 300))
def test_adjacent_spans_share_no_window_end_and_lose_none(start: datetime, first: int, second: int) -> None:
    middle = start + timedelta(minutes=first)
    end = middle + timedelta(minutes=second)

    assert window_ends(start, middle) + window_ends(middle, end) == window_ends(start, end)


def test_a_day_owns_ninety_six_window_ends_of_which_the_last_is_midnight() -> None:
    span = day_span(date(2026, 3, 1))

    ends = window_ends(span.start, span.end)

    assert len(ends) == 96
    assert ends[-1] == MIDNIGHT
    assert {day_of(end) for end in ends} == {date(2026, 3, 1)}


def test_weekly_ends_are_mondays() -> None:
    ends = window_ends(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC), WEEK)

    assert [e.date().isoformat() for e in ends] == ["2026-01-05", "2026-01-12", "2026-01-19", "2026-01-26"]


@given(instants)
def test_the_week_of_an_instant_is_its_iso_week(instant: datetime) -> None:
    week = week_of(instant)

    assert week.start <= instant < week.end
    assert week.start.isoweekday() == 1
    assert week.start.isocalendar()[:2] == instant.isocalendar()[:2]
    assert week_of(week.start) == week
    assert baseline_of(week) == week_of(week.start - timedelta(microseconds=1))


@given(instants)
def test_the_open_bucket_ends_after_now_by_at_most_a_step(now: datetime) -> None:
    assert timedelta(0) < open_end(now) - now <= STEP


def test_windows_follow_the_cadence_of_the_slo() -> None:
    minute, weekly = an_slo(window=DAY), an_slo(window=WEEK, cadence=Cadence.WEEKLY)

    assert (step_of(minute), step_of(weekly)) == (STEP, WEEK)
    assert window_of(minute, MIDNIGHT) == Window(MIDNIGHT - DAY, MIDNIGHT)
    assert bucket_of(minute, MIDNIGHT) == Window(MIDNIGHT - STEP, MIDNIGHT)
    assert bucket_of(weekly, MIDNIGHT) == Window(MIDNIGHT - WEEK, MIDNIGHT)


def test_windows_that_only_touch_do_not_overlap() -> None:
    first = Window(MIDNIGHT, MIDNIGHT + STEP)
    second = Window(MIDNIGHT + STEP, MIDNIGHT + 2 * STEP)

    assert not first.overlaps(second)
    assert first.shared(second) == timedelta(0)
    assert Window(MIDNIGHT, MIDNIGHT + DAY).shared(second) == STEP


def test_a_window_is_final_once_the_watermark_reaches_its_end() -> None:
    assert is_final(MIDNIGHT, MIDNIGHT)
    assert not is_final(MIDNIGHT, MIDNIGHT - timedelta(microseconds=1))
    assert not is_final(MIDNIGHT, None)


def test_other_time_zones_are_converted() -> None:
    tokyo = datetime(2026, 3, 2, 8, 59, tzinfo=timezone(timedelta(hours=9)))

    assert day_of(tokyo) == date(2026, 3, 1)
    assert open_end(tokyo) == MIDNIGHT


def test_a_naive_time_is_refused_with_the_fix() -> None:
    with pytest.raises(ValueError, match=r"no time zone; write it as 2026-03-02T00:00:00\+00:00"):
        window_ends(datetime(2026, 3, 2), MIDNIGHT)  # noqa: DTZ001


@pytest.mark.parametrize("step", [timedelta(0), -STEP, timedelta(minutes=7), timedelta(days=2)])
def test_a_step_that_does_not_divide_a_day_or_a_week_is_refused(step: timedelta) -> None:
    with pytest.raises(ValueError, match="divides a day or a week"):
        window_ends(MIDNIGHT, MIDNIGHT, step)


def test_a_window_that_does_not_go_forward_is_refused() -> None:
    with pytest.raises(ValueError, match="ends after it starts"):
        Window(MIDNIGHT, MIDNIGHT)


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (timedelta(0), "0 s"),
        (timedelta(seconds=59), "59 s"),
        (STEP, "15 min"),
        (timedelta(minutes=90), "1 h 30 min"),
        (timedelta(days=1, hours=6, minutes=5), "1 d 6 h"),
        (timedelta(days=2, minutes=5), "2 d"),
    ],
)
def test_durations_are_spoken_in_two_units(length: timedelta, text: str) -> None:
    assert spoken(length) == text
