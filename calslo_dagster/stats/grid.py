"""The fine grid of scores: log-linear cells, mirrored at one half, split at multiples of 1/60.

Twelve octaves of sixteen cells cover (0, 0.5), the same mirrored cover [0.5, 1]: 384 cells. Each is split where a
multiple of 1/60 falls inside it, so every equal-width binning whose number of bins divides 60 is a union of fine bins.
Only multiplication by powers of two and `1 - s` for s >= 0.5 occur, both exact, so every engine computes one index.
"""

from functools import cache
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

GRID_ID: Final = "ll12x16m60v1"
OCTAVES: Final = 12
SUB_BINS: Final = 16
CELLS_PER_HALF: Final = OCTAVES * SUB_BINS
CELLS: Final = 2 * CELLS_PER_HALF
FINE_BINS: Final = 2 * CELLS
SPLIT_BASE: Final = 60

NULL, NAN, BELOW, ABOVE, INFINITE = -1, -2, -3, -4, -5
INVALID_BINS: Final = {"null": NULL, "nan": NAN, "below": BELOW, "above": ABOVE, "infinite": INFINITE}

_Item = TypeVar("_Item", np.float64, np.int64)
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@cache
def lower_half_edges() -> Floats:
    """Return the 193 edges of the cells below one half, shape (193,), from 0.0 to 0.5."""
    first = np.arange(SUB_BINS) / 65536.0
    octaves = [(1.0 + np.arange(SUB_BINS) / SUB_BINS) * 2.0 ** -(o + 1) for o in range(OCTAVES - 1, 0, -1)]
    return _frozen(np.concatenate([first, *octaves, [0.5]]))


@cache
def cell_splits() -> Floats:
    """Return each cell's split point, shape (384,): the multiple of 1/60 inside it, else 2.0, which no score reaches.

    Cells below one half are [a, b), those above (1 - b, 1 - a]; a split at a cell's closed lower end would
    leave an empty half, so it is none; one at a closed upper end separates that single point.
    """
    edges = lower_half_edges()
    splits = np.full(CELLS, 2.0)
    for m in range(1, SPLIT_BASE):
        point = m / SPLIT_BASE
        cell = int(cells_of(np.array([point]))[0])
        if point != 0.5 and (cell >= CELLS_PER_HALF or point != edges[cell]):
            splits[cell] = point
    return _frozen(splits)


def cells_of(scores: Floats) -> Ints:
    """Return the cell of each score in [0, 1], shape of `scores`, before the split at multiples of 1/60."""
    mirrored = scores >= 0.5
    u = np.where(mirrored, 1.0 - scores, scores)
    octave = np.clip(-np.frexp(u)[1], 1, OCTAVES)
    octave = np.where(u >= 0.5, 1, octave)
    octave = np.where(u < 2.0**-OCTAVES, OCTAVES, octave)
    inner = np.minimum(SUB_BINS - 1, np.floor((u * 2.0 ** (octave + 1) - 1.0) * SUB_BINS))
    k = np.where(octave == OCTAVES, np.floor(u * 65536.0), (OCTAVES - octave) * SUB_BINS + inner).astype(np.int64)
    return np.where(mirrored, CELLS - 1 - k, k)


def fine_bins(scores: Floats) -> Ints:
    """Return the fine bin of each score: `2 * cell + (score >= split)`, shape of `scores`.

    Raises ValueError for scores that are not within [0, 1].
    """
    outside = ~((scores >= 0.0) & (scores <= 1.0))
    if outside.any():
        raise ValueError(f"scores must lie in [0, 1], got {scores[outside][0]}")
    cells = cells_of(scores)
    return 2 * cells + (scores >= cell_splits()[cells])


@cache
def bin_bounds() -> tuple[Floats, Floats]:
    """Return lower and upper bounds of the fine bins, each shape (768,); an unsplit cell's second bin has no width."""
    low_edges = lower_half_edges()
    lower = np.concatenate([low_edges[:-1], 1.0 - low_edges[:0:-1]])
    upper = np.concatenate([low_edges[1:], 1.0 - low_edges[-2::-1]])
    split = np.minimum(np.maximum(cell_splits(), lower), upper)
    return _frozen(np.stack([lower, split], 1).ravel()), _frozen(np.stack([split, upper], 1).ravel())


@cache
def equal_width_bins(count: int) -> Ints:
    """Return the equal-width bin of each fine bin, shape (768,); `count` must divide 60.

    Bins are [k/count, (k+1)/count) with the last one closed.
    """
    if SPLIT_BASE % count:
        raise ValueError(f"equal-width bins need a count that divides {SPLIT_BASE}, got {count}")
    lower, upper = bin_bounds()
    inner = np.arange(1, count) / count
    split = np.repeat(cell_splits(), 2)
    second = np.arange(FINE_BINS) % 2 == 1
    anchor = np.where(second & (split <= 1.0), split, (lower + upper) / 2)
    return _frozen(np.searchsorted(inner, anchor, side="right").astype(np.int64))


def _frozen(array: NDArray[_Item]) -> NDArray[_Item]:
    """Return the array after forbidding writes to it: all callers share what a cache holds."""
    array.flags.writeable = False
    return array
