"""Episodes per step: exact for windows that do not overlap, and near a simulation for those that do."""

import numpy as np
import pytest

from calslo_dagster.stats.crossings import (
    LITTLE,
    absolute_correlation,
    episode_rate,
    local_correlation,
    window_correlation,
)
from calslo_dagster.stats.intervals import HALF_NORMAL_VARIANCE
from calslo_dagster.stats.tails import absolute_sum_tail

BINS = 15


def begun(past: np.ndarray, open_after: int, close_after: int) -> int:
    """Count episodes as the fold of breaches does."""
    count, run, met, is_open = 0, 0, 0, False
    for one in past.tolist():
        run, met = (run + 1, 0) if one else (0, met + 1)
        if not is_open and run >= open_after:
            is_open, count = True, count + 1
        is_open = is_open and met < close_after
    return count


@pytest.mark.parametrize(("open_after", "close_after"), [(1, 1), (1, 2), (1, 8)])
def test_without_overlap_an_episode_is_a_miss_after_enough_kept_windows(open_after: int, close_after: int) -> None:
    found = episode_rate(0.1, window_correlation(1), open_after=open_after, close_after=close_after)

    assert found == pytest.approx(0.1 * 0.9**close_after, rel=0.01)


@pytest.mark.parametrize("limit", [0.5, 0.6])
@pytest.mark.parametrize(("steps", "open_after"), [(4, 1), (96, 1), (96, 3)])
def test_sliding_sums_begin_episodes_as_often_as_predicted(steps: int, open_after: int, limit: float) -> None:
    drawn = np.random.default_rng(2).standard_normal((60_000 + steps, BINS))
    sums = np.cumsum(drawn, axis=0)
    values = np.abs(sums[steps:] - sums[:-steps]).mean(axis=1) / (2 * np.sqrt(steps))
    unit = np.full(BINS, 0.5 / BINS)
    by = LITTLE * np.sqrt(HALF_NORMAL_VARIANCE / BINS) / 2
    tail, past = absolute_sum_tail(unit, limit), absolute_sum_tail(unit, limit + by)

    correlation = local_correlation(window_correlation(steps), tail, past)
    predicted = 60_000 * episode_rate(tail, correlation, open_after=open_after)

    count = begun(values > limit, open_after, 2)
    # Episodes come in clusters, which doubles their variance; the approximation itself is good to a fifth.
    assert count == pytest.approx(predicted, rel=0.2, abs=4 * np.sqrt(2 * count) + 1)


def test_what_never_or_always_happens_begins_nothing() -> None:
    assert episode_rate(0.0, 0.9) == 0.0
    assert episode_rate(1.0, 0.9) == 0.0


def test_absolute_values_forget_their_sign_and_so_are_less_alike() -> None:
    assert absolute_correlation(0.0) == pytest.approx(0.0)
    assert absolute_correlation(1.0) == pytest.approx(1.0)
    assert 0.5 < absolute_correlation(0.75) < 0.56
