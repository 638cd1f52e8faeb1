"""Mean times keep open breaches in the numbers, and are right on average where closed-only means are not."""

from collections.abc import Callable
from datetime import timedelta

import numpy as np
import pytest

from calslo_dagster.slo.availability import State, states
from calslo_dagster.slo.breach import BreachState, Episode, fold
from calslo_dagster.slo.reliability import Exposure, exposure, reliability
from calslo_dagster.slo.windows import STEP, Window
from calslo_dagster_tests.slo.samples import START, a_track, outcomes

HOUR = timedelta(hours=1)
Draw = Callable[[np.random.Generator], float]


def hours(length: timedelta | None) -> float:
    """Return the hours of a time that is known."""
    assert length is not None
    return length / HOUR


def observed(letters: str, first: int = 0, last: int | None = None, **policy: int) -> Exposure:
    """Return the exposure of the windows `first` to `last` of this series."""
    rows = outcomes(letters)
    episodes = fold(a_track(**policy), BreachState(), rows)[1]
    last = len(rows) if last is None else last
    ends = [row.window_end for row in rows[first:last]]
    found = states({row.window_end: row.verdict for row in rows}, ends)
    span = Window(START + first * STEP, START + last * STEP)
    return exposure(span, episodes, ends=ends, found=found, step=STEP)


def test_up_and_down_time_onsets_and_recoveries_are_counted() -> None:
    assert observed("mmbbbmmm") == Exposure(down=3 * STEP, up=5 * STEP, onsets=1, recoveries=1, ends_up=1)


def test_an_open_breach_is_exposure_without_recovery() -> None:
    assert observed("mmbb") == Exposure(down=2 * STEP, up=2 * STEP, onsets=1, recoveries=0, ends_down=1)


def test_a_breach_from_before_the_span_is_clipped_and_its_recovery_counts() -> None:
    assert observed("bbbbmm", first=2) == Exposure(down=2 * STEP, up=2 * STEP, recoveries=1, ends_up=1)


def test_a_recovery_at_the_very_end_of_the_span_counts_once() -> None:
    assert observed("bbmm", last=2).recoveries == 1
    assert observed("bbmm", first=2).recoveries == 0


def test_excluded_windows_add_no_exposure_anywhere() -> None:
    assert observed("mxxbxxbmm") == Exposure(down=2 * STEP, up=3 * STEP, onsets=1, recoveries=1, ends_up=1)


def test_unknown_windows_count_as_down_inside_a_breach_and_not_at_all_outside() -> None:
    assert observed("umububmm") == Exposure(down=3 * STEP, up=3 * STEP, onsets=1, recoveries=1, ends_up=1)


def test_bad_windows_that_open_no_breach_are_not_breach_time() -> None:
    assert observed("bmbm", open_after=2) == Exposure(up=4 * STEP, ends_up=1)


def test_the_three_means_fit_together() -> None:
    found = reliability(Exposure(down=10 * HOUR, up=90 * HOUR, onsets=5, recoveries=5, ends_up=1))

    assert found.mttr.value == 2 * HOUR
    assert found.mttf.value == 18 * HOUR
    assert found.mtbf.value == 20 * HOUR
    assert found.availability == pytest.approx(18 / 20)
    assert (found.mttr.is_censored, found.mttf.is_censored, found.mtbf.is_censored) == (False, True, True)


def test_without_a_recovery_the_time_to_recovery_is_only_bounded_below() -> None:
    found = reliability(Exposure(down=6 * HOUR, up=HOUR, onsets=1, ends_down=1)).mttr

    assert (found.value, found.high, found.is_censored) == (None, None, True)
    # exp(-6 h / low) = 5 %, so low = 6 h / ln 20.
    assert hours(found.low) == pytest.approx(6 / np.log(20))


def test_without_an_onset_the_time_to_failure_exceeds_a_third_of_the_time_seen() -> None:
    found = reliability(Exposure(up=300 * HOUR, ends_up=1))

    assert found.mttf.value is None
    assert hours(found.mttf.low) == pytest.approx(100, rel=0.01)
    assert found.availability == 1.0


def test_without_exposure_nothing_is_claimed() -> None:
    found = reliability(Exposure())

    assert (found.mttr.value, found.mttr.low, found.availability) == (None, None, None)


def test_exposures_of_tracks_add() -> None:
    one = Exposure(HOUR, 2 * HOUR, 1, 1, 0, 1)

    assert one + one == Exposure(2 * HOUR, 4 * HOUR, 2, 2, 0, 2)


def simulated(rng: np.random.Generator, span_hours: float, mean_up: float, draw_down: Draw) -> list[Episode]:
    """Return one week's breaches of a process that has been running for long, clipped by nothing."""
    episodes, clock = [], -2_000.0
    while clock < span_hours:
        onset = clock + rng.exponential(mean_up)
        clock = onset + draw_down(rng)
        if onset < span_hours and clock > 0:
            times = [START + float(h) * HOUR for h in (onset, clock)]
            is_open = clock > span_hours
            episodes.append(
                Episode(
                    "x",
                    "s",
                    "*",
                    "",
                    onset=times[0],
                    last_bad=times[0],
                    opened_at=times[0],
                    recovery=None if is_open else times[1],
                )
            )
    return episodes


@pytest.mark.parametrize(
    "draw_down", [lambda rng: rng.exponential(24.0), lambda rng: rng.lognormal(np.log(24.0) - 0.5, 1.0)]
)
def test_exposure_over_events_is_unbiased_where_means_of_closed_breaches_are_not(draw_down: Draw) -> None:
    """Breaches of 24 h every 72 h of up time, seen through windows of a week.

    600 weeks hold about 1,050 recoveries, so the standard error of both means is about 3 to 4 %.
    """
    rng, step, total, closed = np.random.default_rng(7), timedelta(minutes=15), Exposure(), []
    span = Window(START, START + timedelta(days=7))
    ends = [START + (i + 1) * step for i in range(7 * 96)]
    for _ in range(600):
        episodes = simulated(rng, 168.0, 72.0, draw_down)
        total += exposure(span, episodes, ends=ends, found=[State.GOOD] * len(ends), step=step)
        closed += [e.lasted(span.end) / HOUR for e in episodes if e.recovery and e.onset >= span.start]

    found = reliability(total)

    assert hours(found.mttr.value) == pytest.approx(24, rel=0.12)
    assert hours(found.mttf.value) == pytest.approx(72, rel=0.12)
    assert np.mean(closed) < 0.93 * 24
    assert hours(found.mttr.low) < 24 < hours(found.mttr.high)


def test_the_interval_of_the_mean_covers_the_truth_as_often_as_it_says() -> None:
    """Exponential breach times seen until 6 recoveries: 2 D / mean is chi-square, so coverage is at least 95 %."""
    rng = np.random.default_rng(11)
    totals = rng.exponential(24.0, size=(500, 6)).sum(axis=1)

    hits = 0
    for total in totals:
        mean = reliability(Exposure(down=float(total) * HOUR, recoveries=6)).mttr
        hits += hours(mean.low) <= 24 <= hours(mean.high)

    # 500 draws: three standard errors below 95 % are 92 %.
    assert hits >= 460
