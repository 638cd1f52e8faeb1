"""A rate allows bursts of its size and an even flow, never more."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from calslo_dagster.alerting.rate import Rate

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def test_a_burst_is_allowed_after_a_pause_and_then_one_at_a_time() -> None:
    rate = Rate(SECOND, burst=3)

    assert rate.allowed(10, due=None, now=NOW) == 3
    assert rate.allowed(2, due=NOW - 60 * SECOND, now=NOW) == 2
    assert [rate.allowed(10, due=NOW + seconds * SECOND, now=NOW) for seconds in range(5)] == [3, 2, 1, 0, 0]
    assert Rate(SECOND).allowed(10, due=NOW + SECOND / 2, now=NOW) == 0


def test_the_wait_is_until_one_is_allowed_and_no_longer() -> None:
    rate = Rate(SECOND, burst=3)

    waits = [rate.wait(due=NOW + seconds * SECOND, now=NOW) for seconds in range(6)]

    assert [wait // SECOND for wait in waits] == [0, 0, 0, 1, 2, 3]
    assert [rate.allowed(1, due=NOW + n * SECOND, now=NOW + wait) for n, wait in enumerate(waits)] == [1] * 6
    assert (rate.wait(due=None, now=NOW), Rate().wait(due=NOW + SECOND, now=NOW)) == (timedelta(0), timedelta(0))


def test_without_an_interval_everything_is_allowed() -> None:
    assert Rate().allowed(1_000, due=NOW + SECOND, now=NOW) == 1_000


@given(
    st.integers(1, 20),
    st.integers(1, 5_000),
    st.lists(st.tuples(st.integers(0, 3_000), st.integers(0, 9)), max_size=60),
)
def test_no_span_of_time_has_more_than_a_burst_and_the_even_flow(
    burst: int, every: int, asked: list[tuple[int, int]]
) -> None:
    rate, due, now, sent = Rate(timedelta(milliseconds=every), burst), NOW, NOW, []
    for wait, wanted in asked:
        now += timedelta(milliseconds=wait)
        count = rate.allowed(wanted, due=due, now=now)
        due = max(due, now) + count * rate.every
        sent += [now] * count

    for index, start in enumerate(sent):
        for number, end in enumerate(sent[index:], start=1):
            assert number <= burst + (end - start) // rate.every
