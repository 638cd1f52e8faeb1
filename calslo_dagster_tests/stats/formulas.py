"""The definitions of the metrics over raw arrays, written from the papers, in the plainest way there is."""

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def gap_per_bin(p: Floats, y: Floats, w: Floats, bin_of: NDArray[np.int64]) -> dict[int, tuple[float, float]]:
    """Return for each occupied bin its sum of w (p - y) and its weight."""
    return {
        int(k): (math.fsum(w[bin_of == k] * (p - y)[bin_of == k]), math.fsum(w[bin_of == k])) for k in np.unique(bin_of)
    }


def ece(p: Floats, y: Floats, w: Floats, bin_of: NDArray[np.int64]) -> float:
    return math.fsum(abs(gap) for gap, _ in gap_per_bin(p, y, w, bin_of).values()) / math.fsum(w)


def mce(p: Floats, y: Floats, w: Floats, bin_of: NDArray[np.int64]) -> float:
    return max(abs(gap / weight) for gap, weight in gap_per_bin(p, y, w, bin_of).values())


def width_bins(p: Floats, count: int) -> NDArray[np.int64]:
    """Return bins [k/count, (k+1)/count), the last closed; the bounds are the floats nearest to k/count."""
    return np.array([sum(score >= k / count for k in range(1, count)) for score in p], dtype=np.int64)


def mass_bins(p: Floats, count: int) -> NDArray[np.int64]:
    """Return tie-safe equal-mass bins: floor(count * (events below + half the events equal) / N)."""
    ordered = np.sort(p)
    twice_ranks = np.searchsorted(ordered, p, side="left") + np.searchsorted(ordered, p, side="right")
    return np.array([count * int(twice) // (2 * len(p)) for twice in twice_ranks], dtype=np.int64)


def brier(p: Floats, y: Floats, w: Floats) -> float:
    return math.fsum(w * (p - y) ** 2) / math.fsum(w)


def log_loss(p: Floats, y: Floats, w: Floats) -> float:
    q = [min(max(score, 2.0**-52), 1 - 2.0**-52) for score in p]
    losses = [-math.log(a) if label == 1 else -math.log(1 - a) for a, label in zip(q, y, strict=True)]
    return math.fsum(weight * loss for weight, loss in zip(w, losses, strict=True)) / math.fsum(w)


def spiegelhalter_z(p: Floats, y: Floats, w: Floats) -> float:
    top = math.fsum(w * (y - p) * (1 - 2 * p))
    return top / math.sqrt(math.fsum(w**2 * (1 - 2 * p) ** 2 * p * (1 - p)))


def debiased_squares(p: Floats, y: Floats, bin_of: NDArray[np.int64]) -> float:
    """Return the squared error of Kumar, Liang and Ma (2019), unweighted."""
    total = 0.0
    for k in np.unique(bin_of):
        mine = bin_of == k
        n, rate = int(mine.sum()), float(y[mine].mean())
        if n >= 2:
            total += n / len(p) * ((float(p[mine].mean()) - rate) ** 2 - rate * (1 - rate) / (n - 1))
    return total


def logistic_fit(x: Floats, y: Floats) -> tuple[float, float, float]:
    """Return intercept, slope and the slope's standard error of a logistic regression, by Newton over all events."""
    design = np.column_stack([np.ones_like(x), x])
    beta = np.array([0.0, 1.0])
    for _ in range(50):
        q = 1 / (1 + np.exp(-design @ beta))
        information = design.T @ (design * (q * (1 - q))[:, None])
        beta = beta + np.linalg.solve(information, design.T @ (y - q))
    return float(beta[0]), float(beta[1]), math.sqrt(np.linalg.inv(information)[1, 1])
