"""Local trend models: the Kalman filter against an independent solution, and what their weights say."""

import numpy as np
import pytest

from calslo_dagster.stats.daily import Daily
from calslo_dagster.stats.local_trend import Filtered, Grid, filtered

DAYS = (0, 1, 2, 5, 6, 9)
ERRORS = np.array([0.3, 0.1, 0.2, 0.5, 0.1, 0.2])


def direct(model: int, values: np.ndarray, until: int) -> tuple[float, float, float]:
    """Return mean and variance of the level, and the log likelihood, by one multivariate normal over all days.

    A flat level is one with a variance that dwarfs all else; the first point pays for it in the likelihood.
    """
    grid, flat, last = Grid.default(), 1e4, max(until, DAYS[-1])
    size = last + 1
    state, noise = np.diag([flat, grid.first[model]]), np.diag([grid.level[model], grid.slope[model]])
    move = np.array([[1.0, 1.0], [0.0, grid.kept[model]]])
    blocks = [state]
    for _ in range(last):
        blocks.append(move @ blocks[-1] @ move.T + noise)
    together = np.array([[_covariance(blocks, move, i, j) for j in range(size)] for i in range(size)])
    seen = list(DAYS)
    observed = together[np.ix_(seen, seen)] + np.diag(ERRORS**2 + grid.excess[model])
    gain = together[until, seen] @ np.linalg.inv(observed)
    mean, variance = gain @ values, together[until, until] - gain @ together[seen, until]
    _, log_determinant = np.linalg.slogdet(observed)
    return float(mean), float(variance), float(-0.5 * (log_determinant + values @ np.linalg.solve(observed, values)))


def _covariance(blocks: list[np.ndarray], move: np.ndarray, i: int, j: int) -> float:
    first, later = min(i, j), max(i, j)
    return float((np.linalg.matrix_power(move, later - first) @ blocks[first])[0, 0])


@pytest.mark.parametrize("until", [9, 12])
def test_the_filter_gives_what_all_days_at_once_give(until: int) -> None:
    values = np.array([0.1, 0.0, 0.3, 0.2, 0.6, 0.5])
    state = filtered(Daily.of(zip(DAYS, values.tolist(), ERRORS.tolist(), strict=True)), until)
    some = range(0, len(state.weight), 9)

    found = [direct(model, values, until) for model in some]

    # The flat prior of the reference is large, not infinite.
    np.testing.assert_allclose([state.level[m] for m in some], [f[0] for f in found], atol=1e-4)
    np.testing.assert_allclose([state.level_variance[m] for m in some], [f[1] for f in found], rtol=1e-3)
    logs = np.log([state.weight[m] for m in some]) - Grid.default().log_weight[list(some)]
    likelihoods = np.array([f[2] for f in found])
    np.testing.assert_allclose(logs - logs[0], likelihoods - likelihoods[0], atol=1e-3)


def test_weights_of_the_models_are_probabilities() -> None:
    grid = Grid.default()

    assert np.exp(grid.log_weight).sum() == pytest.approx(1.0)
    assert np.exp(grid.log_weight[grid.first == 0.0]).sum() == pytest.approx(2 / 3)


def sloping(state: Filtered) -> float:
    """Return the probability of a slope."""
    return float(state.weight[state.grid.first > 0.0].sum())


def test_a_steady_climb_speaks_for_a_slope_and_quiet_days_against_it() -> None:
    climbing = filtered(Daily.of((day, 0.05 * day, 0.05) for day in range(28)), 27)
    quiet = filtered(Daily.of((day, 0.0, 0.05) for day in range(28)), 27)

    assert sloping(climbing) > 0.95
    assert sloping(quiet) < 1 / 3
    assert climbing.weight @ climbing.slope == pytest.approx(0.05, rel=0.1)


def test_days_without_a_point_only_widen() -> None:
    daily = Daily.of((day, 0.01 * day, 0.1) for day in range(14))

    now, later = filtered(daily, 13), filtered(daily, 20)

    assert (later.level_variance > now.level_variance).all()
    np.testing.assert_array_equal(now.weight, later.weight)


def test_every_model_has_its_share_of_the_paths() -> None:
    state = filtered(Daily.of((day, 0.02 * day, 0.1) for day in range(20)), 19)
    normals = np.zeros((5_000, 2, 11))

    paths = state.ahead(normals)

    assert paths.levels.shape == (5_000, 11)
    assert paths.slope.mean() == pytest.approx(float(state.weight @ state.slope), abs=1e-3)
    assert paths.levels[:, 0].mean() == pytest.approx(float(state.weight @ state.level), abs=1e-3)
