"""Models with known scores and known truth, and their events minute by minute."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from calslo_dagster.stats import grid
from calslo_dagster.stats.baseline import Baseline, scaled_tolerance
from calslo_dagster.stats.batches import Batch
from calslo_dagster.stats.snapshot import CELL_SUMS, Snapshot, scale_of

Floats = NDArray[np.float64]
Sampler = Callable[[np.random.Generator, int], Floats]
# The truth of each score.
Shape = Callable[[Floats], Floats]

MINUTES_AT_ONCE: Final = 250


def logit(p: Floats) -> Floats:
    found: Floats = np.log(p / (1 - p))
    return found


def expit(x: Floats) -> Floats:
    found: Floats = 1 / (1 + np.exp(-x))
    return found


def _churn(rng: np.random.Generator, size: int) -> Floats:
    return np.where(rng.random(size) < 0.7, rng.beta(2, 8, size), rng.beta(6, 3, size))


def _llm(rng: np.random.Generator, size: int) -> Floats:
    return np.where(rng.random(size) < 0.8, rng.beta(30, 1.5, size), rng.beta(4, 3, size))


SAMPLERS: Final[dict[str, Sampler]] = {
    "churn": _churn,
    "ctr": lambda rng, size: expit(rng.normal(-4.0, 0.6, size)),
    "llm": _llm,
    "bimodal": lambda rng, size: rng.beta(0.5, 0.5, size),
    "uniform": lambda rng, size: rng.random(size),
    "fraud": lambda rng, size: expit(rng.normal(-6.0, 1.5, size)),
}


@dataclass(frozen=True, slots=True)
class Population:
    """A model: its name, a large sample of its scores in ascending order, and the baseline of a quiet day."""

    name: str
    sample: Floats
    baseline: Baseline

    @property
    def variance(self) -> float:
        """Mean of p (1 - p)."""
        return float((self.sample * (1 - self.sample)).mean())

    def rank(self, p: Floats) -> Floats:
        """Return the share of scores below each."""
        found: Floats = np.interp(p, self.sample, np.linspace(0, 1, len(self.sample)))
        return found

    def error(self, shape: Shape) -> float:
        """Return the true calibration error."""
        return float(np.abs(shape(self.sample) - self.sample).mean())

    def information(self, shape: Shape) -> float:
        """Return the mean gain per event, in nats, of betting on the truth."""
        p, q = self.sample, shape(self.sample)
        return float((q * np.log(q / p) + (1 - q) * np.log((1 - q) / (1 - p))).mean())


def population(name: str) -> Population:
    rng = np.random.default_rng(7)
    sample = np.sort(np.clip(SAMPLERS[name](rng, 144_000), 1e-9, 1 - 1e-9))
    cells = np.zeros((len(CELL_SUMS), grid.FINE_BINS), dtype=np.int64)
    bins = grid.fine_bins(sample)
    for column, values in (("n_lab", None), ("w_lab", None), ("w2_lab", None), ("ws_lab", sample)):
        sums = np.bincount(bins, values, grid.FINE_BINS) * scale_of(column)
        cells[CELL_SUMS.index(column)] = np.round(sums)
    tolerance = scaled_tolerance(float((sample * (1 - sample)).mean()))
    return Population(name, sample, Baseline.of(Snapshot(cells=cells), tolerance=tolerance))


@dataclass(frozen=True, slots=True)
class Minute:
    """One minute: its batch, and what an oracle that knows the truth gains on it, in nats."""

    batch: Batch
    oracle: float


def minutes(model: Population, shape: Shape, rng: np.random.Generator, *, rate: int) -> Iterator[Minute]:
    """Yield minute after minute without end, of `rate` events each."""
    while True:
        p = np.clip(SAMPLERS[model.name](rng, MINUTES_AT_ONCE * rate), 1e-9, 1 - 1e-9)
        q = np.clip(shape(p), 1e-12, 1 - 1e-12)
        y = (rng.random(len(p)) < q).astype(np.float64)
        minute = np.repeat(np.arange(MINUTES_AT_ONCE), rate)
        gains = np.bincount(minute, np.where(y > 0, np.log(q / p), np.log((1 - q) / (1 - p))))
        keys, place = np.unique(minute * grid.FINE_BINS + grid.fine_bins(p), return_inverse=True)
        size, score, label = (np.bincount(place, values).astype(np.float64) for values in (np.ones(len(p)), p, y))
        ends = np.searchsorted(keys, np.arange(MINUTES_AT_ONCE + 1) * grid.FINE_BINS)
        for k in range(MINUTES_AT_ONCE):
            part = slice(ends[k], ends[k + 1])
            batch = Batch(keys[part] % grid.FINE_BINS, size[part], score[part], label[part])
            yield Minute(batch, float(gains[k]))
