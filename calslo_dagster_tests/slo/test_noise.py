"""A constant that noise alone breaks is told with how often it does, one that hides errors with until when."""

import numpy as np
import pytest

from calslo_dagster.slo.builtin.ece_bound import slo
from calslo_dagster.slo.noise import BINS, LEAST_C, MOST_C, UNUSABLE, constant_warning
from calslo_dagster.stats.bins import DEFAULT_BINS, SMALL_SAMPLE, default_bins
from calslo_dagster.stats.ece import ece_bound


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


@pytest.mark.parametrize(("c", "share"), [(0.599, 0.008), (0.54, 0.03), (0.42, 0.24), (0.3, 0.72), (0.1, 0.98)])
def test_a_perfect_model_breaches_at_least_so_often(c: float, share: float) -> None:
    """With scores near 0.5 each of 15 bins errs by half a standard normal, in units of sqrt(K / N)."""
    errors = np.abs(np.random.default_rng(3).standard_normal((40_000, 15))).mean(axis=1) / 2
    written = f"{share * 1000:.0f} of 1,000" if share < 0.01 else f"{share * 100:.0f} of 100"

    assert f"in more than {written} windows" in constant_warning(c)
    assert float((errors > c).mean()) > share * 0.95
