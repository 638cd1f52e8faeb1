"""A baseline: what a detector knows of the scores before it sees a batch."""

import math
from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from calslo_dagster.stats import grid
from calslo_dagster.stats.batches import Batch, Floats
from calslo_dagster.stats.bins import DEFAULT_BINS, equal_mass_bins
from calslo_dagster.stats.intervals import HALF_NORMAL_MEAN
from calslo_dagster.stats.snapshot import Snapshot

BLOCKS: Final = 16
# Tables are shared between slices whose medians are this close; so small a turn about another point costs nothing.
PIVOT_STEP: Final = 0.25
LARGEST_TOLERANCE: Final = 0.015
ODDS_TOLERANCE: Final = 0.10
# One-sided 95%.
VERDICT_Z: Final = 1.645


@dataclass(frozen=True, slots=True)
class Baseline:
    """What the bets on a batch may depend on: scores of the time before it, and no label.

    edges: the first fine bin of each of 16 blocks of equal mass, and 795, shape (17,); pivot: logit of the median score
    in steps of 1/4; variance: mean of p (1 - p); deviation: mean of sqrt(p (1 - p)); tolerance: the largest
    calibration error that is no breach.
    """

    edges: tuple[int, ...]
    pivot: float
    variance: float
    deviation: float
    tolerance: float

    @classmethod
    def of(cls, trailing: Snapshot, *, tolerance: float | None = None) -> Self:
        """Return the baseline of the labelled events of a span that ended before the first batch it serves.

        tolerance: None for `scaled_tolerance`. Without any event, scores count as spread evenly over [0, 1].
        """
        if tolerance is not None and not 0.0 <= tolerance <= 1.0:
            raise ValueError(f"a tolerance lies in [0, 1], got {tolerance}")
        batch = Batch.of(trailing)
        if not len(batch.at):
            lower, upper = grid.bin_bounds()
            width = upper - lower
            at = np.flatnonzero(width)
            batch = Batch(at, width[at], (width * centres())[at], np.zeros(len(at)))
            masses = np.round(width * 2**20).astype(np.int64)
        else:
            masses = trailing.cell_fixed("w_lab")
        variance = batch.variance / batch.events
        deviation = float((batch.size * np.sqrt(batch.mean * (1 - batch.mean))).sum()) / batch.events
        placed = equal_mass_bins(masses, BLOCKS)
        middle = int(np.searchsorted(np.cumsum(masses), int(masses.sum()) / 2))
        return cls(
            edges=tuple(np.searchsorted(placed, np.arange(BLOCKS + 1)).tolist()),
            pivot=round(float(logits()[middle]) / PIVOT_STEP) * PIVOT_STEP,
            variance=variance,
            deviation=deviation,
            tolerance=scaled_tolerance(variance) if tolerance is None else tolerance,
        )

    def needed_events(self, *, bins: int = DEFAULT_BINS, z: float = VERDICT_Z, dispersion: float = 1.0) -> int | None:
        """Return from how many events on a calibrated model can be told to meet the tolerance.

        The smallest N with sqrt(2 bins / (pi N)) mean sqrt(p (1 - p)) + z sqrt(mean p (1 - p) / N) <= tolerance: the
        mean of the binned error under calibration and z of its deviations. None for a tolerance of 0, which no number
        of events shows.
        """
        if self.tolerance <= 0.0:
            return None
        noise = HALF_NORMAL_MEAN * math.sqrt(bins) * self.deviation + z * math.sqrt(self.variance)
        return math.ceil(dispersion * (noise / self.tolerance) ** 2)


def scaled_tolerance(variance: float, *, ece: float = LARGEST_TOLERANCE, odds: float = ODDS_TOLERANCE) -> float:
    """Return the smaller of `ece` and what odds that are wrong by the share `odds` come to: odds * mean p (1 - p).

    A logit shift a moves each probability by a p (1 - p) to first order. Without the second part, no error of a model
    of rare events would ever be one: at scores of 0.02, odds wrong by a third are an ECE of 0.007.
    """
    return min(ece, odds * variance)


def centres() -> Floats:
    """Return the middle of each fine bin, shape (795,)."""
    lower, upper = grid.bin_bounds()
    middle: Floats = (lower + upper) / 2
    return middle


def logits() -> Floats:
    """Return the logit of the middle of each fine bin, shape (795,)."""
    middle = centres()
    found: Floats = np.log(middle / (1 - middle))
    return found
