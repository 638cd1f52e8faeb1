"""Overdispersion: by how much labels that come in clusters vary more than independent ones would."""

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from calslo_dagster.stats.batches import Floats

LARGEST_DISPERSION: Final = 5.0
# Days whose batches count, the one that goes on not among them.
DAYS: Final = 7
# As if so many batches had been seen of labels that are independent: a few differences tell next to nothing.
PRIOR_STEPS: Final = 32
# A sudden change is one large difference and no noise; of noise five times the usual, one difference in 25 is cut.
LARGEST_STEP: Final = 50.0


@dataclass(frozen=True, slots=True)
class Noise:
    """The same estimate as `dispersion`, batch by batch over the last days, drawn towards 1 while batches are few.

    days: the squared differences of z and their number, per day, the last one going on; z: of the last batch, None
    before the first.
    """

    days: tuple[tuple[float, int], ...] = ((0.0, 0),)
    z: float | None = None

    def after(self, residual: float, variance: float) -> "Noise":
        """Return the estimate after a batch; the same after one without variance."""
        if variance <= 0.0:
            return self
        z, (squares, steps) = residual / math.sqrt(variance), self.days[-1]
        if self.z is None:
            return replace(self, z=z)
        return Noise((*self.days[:-1], (squares + min(LARGEST_STEP, (z - self.z) ** 2), steps + 1)), z)

    def next_day(self) -> "Noise":
        """Return the estimate at the begin of a day, which forgets the oldest."""
        return replace(self, days=(*self.days[-DAYS:], (0.0, 0)))

    @property
    def dispersion(self) -> float:
        """phi, from 1 to 5."""
        squares = sum(one for one, _ in self.days) + 2 * PRIOR_STEPS
        steps = sum(count for _, count in self.days) + PRIOR_STEPS
        return min(LARGEST_DISPERSION, max(1.0, squares / steps / 2))


def dispersion(residuals: Floats, variances: Floats) -> float:
    """Return phi = max(1, mean((z_t - z_{t-1})^2) / 2) with z = residual / sqrt(variance), at most 5; 1 for no pairs.

    residuals: labels less scores per batch, in the order of time; variances: their p (1 - p), both shape (batches,).
    Batches without variance are left out. A constant or slowly moving miscalibration cancels in the differences (von
    Neumann 1941), so what is to be detected does not count as noise. Clusters longer than a batch escape it in part.
    Dividing log bets by phi makes them fair for clustered labels in the limit of many events, and less than fair for
    independent ones.
    """
    if residuals.shape != variances.shape or residuals.ndim != 1:
        raise ValueError(f"one residual per variance is needed, got shapes {residuals.shape} and {variances.shape}")
    known = variances > 0
    steps = np.diff(residuals[known] / np.sqrt(variances[known]))
    if not len(steps):
        return 1.0
    return min(LARGEST_DISPERSION, max(1.0, float((steps * steps).mean()) / 2))
