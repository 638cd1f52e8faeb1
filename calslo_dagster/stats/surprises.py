"""Noise of sums over w (y - p)(1 - 2p): what labels add to a Brier score whose scores are given."""

import numpy as np

from calslo_dagster.stats.bins import DEFAULT_BINS, equal_mass_bins
from calslo_dagster.stats.remembered import remembered
from calslo_dagster.stats.snapshot import Snapshot


@remembered
def surprise_moments(snapshot: Snapshot) -> tuple[float, float]:
    """Return variance and third central moment of sum w (y - p)(1 - 2p), scores given; zeros without labels.

    Sums over cells, each as a whole in one of 15 equal-mass bins, of w^2 (1 - 2p)^2 v and w^3 (1 - 2p)^3 v (1 - 2q),
    with v = q (1 - q): q is the score, or the bin's rate of positives where that says more variance.
    """
    placed = equal_mass_bins(snapshot.cell_fixed("w_lab"), DEFAULT_BINS)
    w, w2, ws, wss, wy = (snapshot.cell(name) for name in ("w_lab", "w2_lab", "ws_lab", "wss_lab", "wy_lab"))
    safe = np.where(w > 0, w, 1.0)
    score, spread = ws / safe, np.maximum(ws - wss, 0.0) / safe
    tilt, unit = 1 - 2 * score, w2 / safe
    slopes = np.maximum(w - 4 * ws + 4 * wss, 0.0) * unit
    parts = (w, wy, slopes, slopes * spread, slopes * tilt * unit, slopes * spread * tilt * tilt * unit)
    weight, label, slope, model, lean, third = (np.bincount(placed, x, DEFAULT_BINS) for x in parts)
    rate = np.clip(label / np.where(weight > 0, weight, 1.0), 0.0, 1.0)
    seen = slope * rate * (1 - rate)
    thirds = np.where(seen > model, lean * rate * (1 - rate) * (1 - 2 * rate), third)
    return float(np.maximum(seen, model).sum()), float(thirds.sum())
