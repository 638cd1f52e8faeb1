"""Overdispersion: by how much labels that come in clusters vary more than independent ones would."""

from typing import Final

import numpy as np

from calslo_dagster.stats.batches import Floats

LARGEST_DISPERSION: Final = 5.0


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
