"""Waits grow, have a limit, differ, and respect what the other side asks for."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calslo_dagster.alerting.backoff import Backoff

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
BACKOFF = Backoff(5 * SECOND, 60 * SECOND)


@pytest.mark.parametrize(("failures", "seconds"), [(1, 5), (2, 10), (3, 20), (4, 40), (5, 60), (6, 60), (10_000, 60)])
def test_a_wait_doubles_up_to_the_cap(failures: int, seconds: int) -> None:
    assert BACKOFF.delay(failures) == seconds * SECOND


@given(st.integers(1, 200), st.floats(0, 1))
def test_the_draw_takes_away_up_to_half(failures: int, draw: float) -> None:
    whole = BACKOFF.delay(failures)

    assert whole / 2 <= BACKOFF.delay(failures, draw) <= whole


@pytest.mark.parametrize(("retry_after", "seconds"), [(None, 5), (3 * SECOND, 5), (90 * SECOND, 90)])
def test_the_next_try_is_when_the_other_side_wants_it_if_that_is_later(
    retry_after: timedelta | None, seconds: int
) -> None:
    assert BACKOFF.next_try(NOW, failures=1, retry_after=retry_after) == NOW + seconds * SECOND
