"""A breaker opens after failures in a row, lets one try, and rests longer each time that fails."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from calslo_dagster.alerting.backoff import Backoff
from calslo_dagster.alerting.breaker import Breaker, Phase, Terms

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
TERMS = Terms(failures=3, rest=Backoff(MINUTE, 3 * MINUTE))


def failed(breaker: Breaker, token: str = "a", times: int = 1) -> Breaker:
    for _ in range(times):
        breaker = breaker.failed(TERMS, now=NOW, token=token)
    return breaker


def probing(breaker: Breaker) -> Breaker:
    return replace(breaker, phase=Phase.HALF_OPEN, probe_token="probe", probe_until=NOW + MINUTE)


def test_a_breaker_opens_after_so_many_failures_in_a_row() -> None:
    assert failed(Breaker(), times=2) == Breaker(failures=2)
    assert failed(Breaker(), times=3) == Breaker(Phase.OPEN, failures=3, opens=1, open_until=NOW + MINUTE)


def test_a_failure_of_what_left_before_does_not_make_the_rest_longer() -> None:
    opened = failed(Breaker(), times=3)

    assert failed(opened) == replace(opened, failures=4)
    assert failed(probing(opened), token="a") == replace(probing(opened), failures=4)


def test_each_rest_in_a_row_is_longer_up_to_a_limit() -> None:
    breaker, rests = failed(Breaker(), times=3), []
    for _ in range(4):
        breaker = failed(probing(breaker), token="probe")
        assert breaker.open_until is not None
        rests.append(breaker.open_until - NOW)

    assert rests == [2 * MINUTE, 3 * MINUTE, 3 * MINUTE, 3 * MINUTE]
    assert (breaker.phase, breaker.opens, breaker.probe_token) == (Phase.OPEN, 5, None)
