"""A batch: the labelled sums of one step of a detector, per occupied fine bin."""

from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from calslo_dagster.stats.snapshot import Snapshot

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Labelled sums of the occupied fine bins, in ascending order, each of shape (occupied,).

    at: index of the fine bin; size: sum w; score: sum w p; label: sum w y, where the weights w lie in [0, 1] and are 1
    for unweighted events. mean: mean score, within [0, 1]; variances: sum of p (1 - p), with p the mean of the bin.
    """

    at: Ints
    size: Floats
    score: Floats
    label: Floats
    # Each detector needs both several times.
    mean: Floats = field(init=False)
    variances: Floats = field(init=False)

    def __post_init__(self) -> None:
        """Derive what follows from the sums."""
        mean = (self.score / self.size).clip(0.0, 1.0)
        object.__setattr__(self, "mean", mean)
        object.__setattr__(self, "variances", self.size * (mean * (1 - mean)))

    @classmethod
    def of(cls, snapshot: Snapshot, *, largest_weight: float | None = None) -> Self:
        """Return the batch of a snapshot, with weights divided by `largest_weight`.

        An event of weight w enters as the w-th power of its bet, and a power of at most 1 of a fair bet is at most
        fair: E[(1 + x)^w] <= 1 + E[w x] (Bernoulli). Without `largest_weight`, an upper bound of it is taken from the
        sums, which is right whenever weights do not depend on labels. Where they do, as when one class is thinned
        out, the largest weight must be given, and be known before the labels.
        """
        weight = snapshot.cell("w_lab")
        at = np.flatnonzero(weight)
        weight = weight[at]
        if not len(at):
            return cls(at, weight, weight, weight)
        unit = largest_weight or _largest(weight, snapshot.cell("w2_lab")[at], snapshot.cell("n_lab")[at])
        return cls(at, weight / unit, snapshot.cell("ws_lab")[at] / unit, snapshot.cell("wy_lab")[at] / unit)

    @property
    def events(self) -> float:
        """The events, or what they weigh in units of the heaviest."""
        return float(self.size.sum())

    @property
    def residual(self) -> float:
        """Labels less scores."""
        return float((self.label - self.score).sum())

    @property
    def variance(self) -> float:
        """The variance of `residual` if the model is calibrated and labels are independent."""
        return float(self.variances.sum())


def _largest(weight: Floats, square: Floats, events: Floats) -> float:
    """Return a bound that no weight exceeds, exact for equal weights: mean + sd sqrt(n - 1) (Samuelson 1968)."""
    if np.array_equal(weight, events) and np.array_equal(square, events):
        return 1.0
    mean = weight / events
    spread = np.sqrt(np.maximum(square / events - mean * mean, 0.0) * (events - 1))
    return float(np.minimum(weight, mean + spread).max())
