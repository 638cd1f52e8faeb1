"""Models with a known truth and a finite number of scores, whose snapshots are drawn without going through events."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.detection.populations import SAMPLERS, Sampler, expit, logit
from calslo_dagster.stats import grid
from calslo_dagster.stats.snapshot import CELL_SUMS, TOTAL_SUMS, Snapshot, scale_of

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SAMPLE: Final = 200_000
SCORES: Final = 1_000
CLIP: Final = 2.0**-52
# So many numbers are drawn at once.
AT_ONCE: Final = 400_000
# The events of the snapshot that stands for all there are.
ENDLESS: Final = 2**24

_CELLS: Final = {name: i for i, name in enumerate(CELL_SUMS)}
_TOTALS: Final = {name: i for i, name in enumerate(TOTAL_SUMS)}


def _with_atom(rng: np.random.Generator, size: int) -> Floats:
    return np.where(rng.random(size) < 0.4, 0.8, rng.beta(2, 3, size))


SHAPES: Final[dict[str, Sampler]] = {
    **SAMPLERS,
    "atom": _with_atom,
    "narrow": lambda rng, size: 0.7 + 0.005 * rng.standard_normal(size),
}
# The truth of a score, from its logit and its rank.
TRUTHS: Final[dict[str, Callable[[Floats, Floats], Floats]]] = {
    "calibrated": lambda x, rank: x,
    "shift +.3": lambda x, rank: x + 0.3,
    "shift -.3": lambda x, rank: x - 0.3,
    "shift -1": lambda x, rank: x - 1.0,
    "slope .7": lambda x, rank: 0.7 * x,
    "slope 1.4": lambda x, rank: 1.4 * x,
    "bump": lambda x, rank: x + 0.8 * ((rank > 0.45) & (rank < 0.6)),
    "wave": lambda x, rank: x + 0.5 * np.sin(6 * np.pi * rank),
}
SIZES: Final = (100, 300, 1_000, 10_000, 100_000)


@dataclass(frozen=True, slots=True)
class World:
    """A model of finitely many scores, each of one probability to occur, and the truth of each, both (scores,)."""

    name: str
    scores: Floats
    truth: Floats

    def counts(self, events: int, rng: np.random.Generator) -> Ints:
        """Return how often each score occurs among so many events, shape (scores,)."""
        chosen = np.full(len(self.scores), 1 / len(self.scores))
        return rng.multinomial(events, chosen).astype(np.int64)

    def labelings(self, counts: Ints, reps: int, rng: np.random.Generator) -> Iterator[Snapshot]:
        """Yield snapshots of these scores with labels drawn anew."""
        for size in _parts(reps, len(counts)):
            positives = rng.binomial(counts, self.truth, (size, len(counts)))
            yield from self._snapshots(np.broadcast_to(counts, positives.shape), positives)

    def draws(self, events: int, reps: int, rng: np.random.Generator) -> Iterator[Snapshot]:
        """Yield snapshots of scores and labels drawn anew."""
        chosen = np.full(len(self.scores), 1 / len(self.scores))
        for size in _parts(reps, len(self.scores)):
            counts = rng.multinomial(events, chosen, size)
            yield from self._snapshots(counts, rng.binomial(counts, self.truth))

    def expected(self, counts: Ints) -> Snapshot:
        """Return the snapshot whose sums over labels are what they are on average."""
        return next(self._snapshots(counts[None].astype(np.float64), (counts * self.truth)[None]))

    def endless(self) -> Snapshot:
        """Return the average snapshot of all events there could be."""
        return self.expected(np.full(len(self.scores), ENDLESS // len(self.scores)))

    def _snapshots(self, counts: Ints | Floats, positives: Ints | Floats) -> Iterator[Snapshot]:
        """Yield the snapshot of each row; counts and positives: shape (snapshots, scores)."""
        starts, at = _cells_of(self)
        cells = np.zeros((len(counts), len(CELL_SUMS), grid.FINE_BINS), dtype=np.int64)
        for name, (always, if_positive) in _cell_parts(self).items():
            rows = counts * always + positives * if_positive
            cells[:, _CELLS[name], at] = np.rint(np.add.reduceat(rows, starts, axis=1))
        totals = np.zeros((len(counts), len(TOTAL_SUMS)), dtype=np.int64)
        for name, (if_negative, if_positive) in _total_parts(self).items():
            sums = counts @ if_negative + positives @ (if_positive - if_negative)
            totals[:, _TOTALS[name]] = np.rint(sums * scale_of(name))
        for i in range(len(counts)):
            yield Snapshot(totals=totals[i], cells=cells[i])


@cache
def world(shape: str, truth: str) -> World:
    """Return the model of this shape, its scores in ascending order, with this truth."""
    sample = np.sort(SHAPES[shape](np.random.default_rng(7), SAMPLE))
    scores = sample[SAMPLE // SCORES // 2 :: SAMPLE // SCORES].copy()
    rank = (np.arange(SCORES) + 0.5) / SCORES
    scores = np.clip(scores, 1e-6, 1 - 1e-6)
    return World(f"{shape}, {truth}", scores, np.clip(expit(TRUTHS[truth](logit(scores), rank)), 1e-12, 1 - 1e-12))


def _parts(reps: int, width: int) -> Iterator[int]:
    step = max(1, AT_ONCE // width)
    for start in range(0, reps, step):
        yield min(step, reps - start)


def _cells_of(model: World) -> tuple[Ints, Ints]:
    """Return where each occupied fine bin begins among the scores, and which it is."""
    bins = grid.fine_bins(model.scores)
    starts = np.flatnonzero(np.diff(bins, prepend=-1))
    return starts, bins[starts]


def _cell_parts(model: World) -> dict[str, tuple[Floats, Floats]]:
    """Return what one event adds to each sum of its cell, and what a positive label adds to that; as stored."""
    p, zero, one = model.scores, np.zeros(len(model.scores)), np.ones(len(model.scores))
    values = {"n": one, "w": one, "ws": p, "n_lab": one, "w_lab": one, "w2_lab": one, "ws_lab": p, "wss_lab": p * p}
    parts = {name: (np.floor(value * scale_of(name) + 0.5), zero) for name, value in values.items()}
    labels = {"wy_lab": one, "wsy_lab": p}
    return parts | {name: (zero, np.floor(value * scale_of(name) + 0.5)) for name, value in labels.items()}


def _total_parts(model: World) -> dict[str, tuple[Floats, Floats]]:
    """Return what an event of either label adds to each total, in its own unit."""
    p, one, zero = model.scores, np.ones(len(model.scores)), np.zeros(len(model.scores))
    q = np.clip(p, CLIP, 1 - CLIP)
    losses = -np.log1p(-q), -np.log(q)
    spread = (1 - 2 * p) ** 2 * p * (1 - p)
    same = {"n": one, "w": one, "ws": p, "wss": p * p, "n_lab": one, "w_lab": one, "ws_lab": p, "z_var": spread}
    return {
        **{name: (value, value) for name, value in same.items()},
        "wy_lab": (zero, one),
        "brier": (p**2, (1 - p) ** 2),
        "brier2": (p**4, (1 - p) ** 4),
        "log_loss": losses,
        "log_loss2": (losses[0] ** 2, losses[1] ** 2),
        "z_num": (-p * (1 - 2 * p), (1 - p) * (1 - 2 * p)),
    }
