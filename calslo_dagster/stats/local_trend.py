"""Local level and local trend models of a daily quantity, averaged by how well each has predicted the days so far.

    level(t + 1) = level(t) + slope(t) + N(0, l^2)
    slope(t + 1) = d slope(t) + N(0, s^2)
    value(t)     = level(t) + N(0, e(t)^2 + x^2)

with the sampling error e(t) known (Harvey 1989, section 2.3.2) and a slope that may fade (Gardner, McKenzie 1985). No
single l, s, d, x is chosen: each of a small grid is filtered (Kalman 1960), and weighs what its predictions of the next
day were worth (Hoeting, Madigan, Raftery, Volinsky 1999).
"""

from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Final, Self

import numpy as np

from calslo_dagster.stats.daily import Daily, Floats, Ints, Paths

# All in multiples of the distance to the limit. Steps of the level: with none at all, a month of quiet days would
# promise another one. Errors beyond sampling, such as of weekdays.
LEVEL_STEPS: Final = (0.02, 0.05, 0.1, 0.2)
EXCESS_ERRORS: Final = (0.0, 0.15, 0.4)
# The first slope: a typical one reaches the limit in a month. Then how much it changes a day, and what is left of it.
FIRST_SLOPE: Final = 1 / 30
SLOPE_STEPS: Final = (0.001, 0.003, 0.01)
FADING: Final = (1.0, 0.9)
# Skeptical: a quantity without a trend is twice as likely beforehand as one with any.
NO_SLOPE: Final = 2 / 3


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """The models, each array of shape (models,).

    level, excess, first, slope: variances of a step of the level, of errors beyond sampling, of the first slope, of a
    step of the slope; kept: what is left of a slope after a day; log_weight: log of the prior probability.
    """

    level: Floats
    excess: Floats
    first: Floats
    slope: Floats
    kept: Floats
    log_weight: Floats

    @classmethod
    @cache
    def default(cls) -> Self:
        """Return the grid of this module."""
        moving = [(FIRST_SLOPE, *rest) for rest in product(SLOPE_STEPS, FADING)]
        slopes = [(0.0, 0.0, 1.0, NO_SLOPE), *((*one, (1 - NO_SLOPE) / len(moving)) for one in moving)]
        rows = [(*steps, *slope) for steps in product(LEVEL_STEPS, EXCESS_ERRORS) for slope in slopes]
        level, excess, first, step, kept, weight = np.array(rows).T
        return cls(level**2, excess**2, first**2, step**2, kept, np.log(weight / weight.sum()))


@dataclass(frozen=True, slots=True, eq=False)
class Filtered:
    """What is known of the state on one day, each array of shape (models,).

    level, slope: means; level_variance, slope_variance, covariance; weight: probabilities of the models, summing to 1.
    """

    grid: Grid
    level: Floats
    slope: Floats
    level_variance: Floats
    slope_variance: Floats
    covariance: Floats
    weight: Floats

    def ahead(self, normals: Floats) -> Paths:
        """Return paths of the level from the day of the state on.

        normals: shape (paths, 2, days + 1), independent standard normals. Each model has its share of the paths.
        """
        count, _, days = normals.shape
        place = (np.arange(count) + 0.5) / count
        of = np.minimum(np.searchsorted(np.cumsum(self.weight), place), len(self.weight) - 1)
        slope, level = self._drawn(of, normals[:, :, 0])
        steps, turns, kept = np.sqrt(self.grid.level)[of], np.sqrt(self.grid.slope)[of], self.grid.kept[of]
        levels, first = np.empty((count, days)), slope
        levels[:, 0] = level
        for day in range(1, days):
            levels[:, day] = levels[:, day - 1] + slope + steps * normals[:, 0, day]
            slope = kept * slope + turns * normals[:, 1, day]
        return Paths(levels, first)

    def _drawn(self, of: Ints, normals: Floats) -> tuple[Floats, Floats]:
        """Return slope and level of today in these models, each shape (paths,), from normals of shape (paths, 2)."""
        deviation = np.sqrt(self.level_variance)
        turn = self.covariance / deviation
        rest = np.sqrt(np.maximum(self.slope_variance - turn * turn, 0.0))
        slope = self.slope[of] + turn[of] * normals[:, 0] + rest[of] * normals[:, 1]
        return slope, self.level[of] + deviation[of] * normals[:, 0]


def filtered(daily: Daily, until: int) -> Filtered:
    """Return the state on the day `until`, from at least one point, none of them later.

    Values and errors are in multiples of the distance to the limit.The level is unknown beforehand, so that the first
    point tells it and only the others tell models apart; days without a point are steps without news.
    """
    grid = Grid.default()
    state = _start(grid, daily)
    before = int(daily.days[0])
    likelihood = grid.log_weight.copy()
    for day, value, error in zip(daily.days[1:], daily.values[1:], daily.errors[1:], strict=True):
        state = _step(grid, state, int(day) - before)
        before = int(day)
        level, slope, p, c, q = state
        spread = p + error * error + grid.excess
        surprise = value - level
        likelihood -= 0.5 * (np.log(spread) + surprise * surprise / spread)
        gain, turn = p / spread, c / spread
        # p (1 - gain) in a form that does not lose what is left where the error is far below the spread.
        kept = (error * error + grid.excess) / spread
        state = (level + gain * surprise, slope + turn * surprise, p * kept, c * kept, q - turn * c)
    level, slope, p, c, q = _step(grid, state, until - before)
    weight = np.exp(likelihood - likelihood.max())
    return Filtered(grid, level, slope, p, np.maximum(q, 0.0), c, weight / weight.sum())


_State = tuple[Floats, Floats, Floats, Floats, Floats]


def _start(grid: Grid, daily: Daily) -> _State:
    none = np.zeros_like(grid.level)
    return none + daily.values[0], none, daily.errors[0] ** 2 + grid.excess, none, grid.first


def _step(grid: Grid, state: _State, days: int) -> _State:
    """Return level, slope, and the variances of level, both, and slope, so many days later."""
    level, slope, p, c, q = state
    for _ in range(days):
        level, p = level + slope, p + 2 * c + q + grid.level
        slope, c, q = grid.kept * slope, grid.kept * (c + q), grid.kept**2 * q + grid.slope
    return level, slope, p, c, q
