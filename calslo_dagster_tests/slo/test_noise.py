"""A constant that noise alone breaks is told with how often it does."""

import numpy as np
import pytest

from calslo_dagster.slo.noise import LEAST_C, noise_warning


@pytest.mark.parametrize("c", [LEAST_C, 0.7, 2.0])
def test_a_constant_above_the_noise_is_fine(c: float) -> None:
    assert noise_warning(c) == ""


@pytest.mark.parametrize(("c", "share"), [(0.599, 0.008), (0.54, 0.03), (0.42, 0.24), (0.3, 0.72), (0.1, 0.98)])
def test_a_perfect_model_breaches_at_least_so_often(c: float, share: float) -> None:
    """With scores near 0.5 each of 15 bins errs by half a standard normal, in units of sqrt(K / N)."""
    errors = np.abs(np.random.default_rng(3).standard_normal((40_000, 15))).mean(axis=1) / 2
    written = f"{share * 1000:.0f} of 1,000" if share < 0.01 else f"{share * 100:.0f} of 100"

    assert f"in more than {written} windows" in noise_warning(c)
    assert float((errors > c).mean()) > share * 0.95
