"""A constant that noise alone breaks is told with how often it does, one that hides errors with until when."""

import numpy as np
import pytest

from calslo_dagster.slo.builtin.ece_bound import slo
from calslo_dagster.slo.certificate import TRUE_PER_MONTH
from calslo_dagster.slo.noise import (
    BINS,
    FALSE_BREACHES,
    LEAST_C,
    MOST_C,
    MOST_EVENTS,
    NOISE_C,
    UNUSABLE,
    constant_mistake,
    constant_warning,
    limit_warning,
)
from calslo_dagster.stats.bins import DEFAULT_BINS, SMALL_SAMPLE, default_bins
from calslo_dagster.stats.crossings import LITTLE, episode_rate, local_correlation, window_correlation
from calslo_dagster.stats.ece import ece_bound, worst_null_floor
from calslo_dagster.stats.tails import absolute_sum_tail

LOOKS_PER_DAY, LOOKS_PER_MONTH = 96, 2_880


def worst_case(c: float, bins: int = BINS) -> tuple[float, float]:
    """Return the share of windows past the bound and the breaches of 30 days, of all scores near 0.5."""
    unit = np.full(bins, 0.5 / bins)
    by = LITTLE * worst_null_floor(bins, bins).deviation
    tail, past = absolute_sum_tail(unit, c), absolute_sum_tail(unit, c + by)
    correlation = local_correlation(window_correlation(LOOKS_PER_DAY), tail, past)
    return tail, LOOKS_PER_MONTH * episode_rate(tail, correlation)


@pytest.mark.parametrize("c", [LEAST_C, 0.7, 2.0, MOST_C])
def test_a_constant_above_the_noise_is_fine(c: float) -> None:
    assert constant_warning(c) == ""


@pytest.mark.parametrize(("c", "events"), [(3.1, "4,000"), (5.0, "12,000"), (100.0, "4,630,000"), (1e200, "inf")])
def test_a_constant_that_hides_errors_is_told_with_the_events_it_takes(c: float, events: str) -> None:
    """The limit falls below an unusable model's error at about so many events; they are rounded to the thousand."""
    assert BINS == DEFAULT_BINS
    assert constant_warning(c).startswith(f"{c:g} is so large that with fewer than {events} labelled events")
    if c < 1e6:
        assert ece_bound(float(events.replace(",", "")), DEFAULT_BINS, c, 0.0) == pytest.approx(UNUSABLE, rel=0.06)


def test_the_most_that_is_not_doubted_bounds_as_the_default_does_with_the_least_events() -> None:
    least = ece_bound(slo.min_events, default_bins(slo.min_events), 0.7, 0.0)

    assert ece_bound(SMALL_SAMPLE, default_bins(SMALL_SAMPLE), MOST_C, 0.0) == pytest.approx(least, rel=0.02)
    assert least == pytest.approx(UNUSABLE, rel=0.05)


@pytest.mark.parametrize(("c", "share", "breaches"), FALSE_BREACHES)
def test_the_table_is_what_the_certificate_predicts(c: float, share: str, breaches: float) -> None:
    part, whole = (float(number.replace(",", "")) for number in share.split(" of "))
    tail, rate = worst_case(c)

    # Both are said to be more than this, so they are rounded down.
    assert part / whole <= tail < (part + 1) / whole
    assert breaches <= rate < 1.09 * breaches + 0.1 or not breaches


def test_the_least_constant_is_the_least_that_a_certificate_finds_sound() -> None:
    """K = 14 is the smallest that min_events lets be judged, and noise falls with K; all in the unit sqrt(K / N)."""
    assert worst_case(LEAST_C, 14)[1] < TRUE_PER_MONTH
    assert worst_case(LEAST_C - 0.02, 14)[1] > TRUE_PER_MONTH


def test_a_constant_that_is_of_use_to_no_model_is_a_mistake() -> None:
    assert "is noise" in constant_mistake(NOISE_C - 0.01)
    assert "can never fire" in constant_mistake(47.0)
    assert [constant_mistake(c) for c in (NOISE_C, 0.5, LEAST_C, MOST_C, 46.0, -1.0)] == [""] * 6


def test_such_a_mistake_holds_for_the_rarest_events_that_it_names_and_the_most() -> None:
    """The mean of the binned error is sqrt(2 / pi) sqrt(p (1 - p)) in units of sqrt(K / N)."""
    mean = float(np.sqrt(2 / np.pi * 0.016 * (1 - 0.016)))

    assert mean == pytest.approx(NOISE_C, rel=0.01)
    assert ece_bound(MOST_EVENTS, DEFAULT_BINS, 46.48, 0.0) == pytest.approx(UNUSABLE, rel=0.01)


@pytest.mark.parametrize(("limit", "least"), [(0.02, 18_400), (0.05, 3_000)])
def test_a_fixed_limit_is_told_with_the_events_from_which_on_it_is_no_noise(limit: float, least: int) -> None:
    assert f"write min_events: {least}" in limit_warning(limit, 200)
    assert limit_warning(limit, least) == ""
    assert worst_null_floor(least, BINS).exceedance(limit) < 1e-3


@pytest.mark.parametrize(("c", "share"), [(0.599, 0.008), (0.54, 0.03), (0.42, 0.24), (0.3, 0.72), (0.1, 0.98)])
def test_a_perfect_model_breaches_at_least_so_often(c: float, share: float) -> None:
    """With scores near 0.5 each of 15 bins errs by half a standard normal, in units of sqrt(K / N)."""
    errors = np.abs(np.random.default_rng(3).standard_normal((40_000, 15))).mean(axis=1) / 2
    written = f"{share * 1000:.0f} of 1,000" if share < 0.01 else f"{share * 100:.0f} of 100"

    assert f"in more than {written} windows" in constant_warning(c)
    assert float((errors > c).mean()) > share * 0.95
