"""The fine grid of scores: log-linear cells, mirrored at one half, cut at multiples of 1/60.

From 1/32 to 1/2 a cell is 1/512 wide; below, each octave has sixteen cells, and what is under 2^-12 has sixteen more.
That makes 368 cells for [0, 0.5), mirrored for [0.5, 1]. Each is cut where a multiple of 1/60 falls inside it, so every
equal-width binning whose number of bins divides 60 is a union of fine bins. Equal-mass bins cut fine bins, which is why
those in the middle are narrow: most scores of most models are there. Only multiplication by powers of two and `1 - s`
for s >= 0.5 occur, both exact, so every engine computes one index.
"""

from functools import cache
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

GRID_ID: Final = "ll16l512m60v2"
SUB_BINS: Final = 16
# Octave o is [2^-(o+1), 2^-o); cells are 1/512 wide in octave 4 and above it, and 2^-16 in octave 11 and below it.
FIRST_OCTAVE: Final = 4
LAST_OCTAVE: Final = 11
CELLS_PER_UNIT: Final = 2 * SUB_BINS * 2**FIRST_OCTAVE
CELLS_PER_HALF: Final = CELLS_PER_UNIT // 2 + (LAST_OCTAVE - FIRST_OCTAVE) * SUB_BINS
CELLS: Final = 2 * CELLS_PER_HALF
SPLIT_BASE: Final = 60
FINE_BINS: Final = CELLS + SPLIT_BASE - 1

NULL, NAN, BELOW, ABOVE, INFINITE = -1, -2, -3, -4, -5
INVALID_BINS: Final = {"null": NULL, "nan": NAN, "below": BELOW, "above": ABOVE, "infinite": INFINITE}

_Item = TypeVar("_Item", np.float64, np.int64)
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@cache
def lower_half_edges() -> Floats:
    """Return the edges of the cells below one half, shape (369,), from 0.0 to 0.5."""
    octaves = range(LAST_OCTAVE, FIRST_OCTAVE, -1)
    below = [np.arange(SUB_BINS) / (2.0 * SUB_BINS * 2**LAST_OCTAVE)]
    rare = [(1.0 + np.arange(SUB_BINS) / SUB_BINS) * 2.0 ** -(octave + 1) for octave in octaves]
    return _frozen(np.concatenate([*below, *rare, np.arange(SUB_BINS, CELLS_PER_UNIT // 2 + 1) / CELLS_PER_UNIT]))


@cache
def multiples() -> Floats:
    """Return the multiples of 1/60 inside (0, 1), shape (59,)."""
    return _frozen(np.arange(1, SPLIT_BASE) / SPLIT_BASE)


def cells_of(scores: Floats) -> Ints:
    """Return the cell of each score in [0, 1], shape of `scores`, before the cut at multiples of 1/60.

    Cells below one half are [a, b), those above (1 - b, 1 - a].
    """
    mirrored = scores >= 0.5
    u = np.where(mirrored, 1.0 - scores, scores)
    octave = np.where(u < 2.0**-LAST_OCTAVE, LAST_OCTAVE, np.clip(-np.frexp(u)[1], FIRST_OCTAVE, LAST_OCTAVE))
    inner = np.minimum(CELLS_PER_UNIT // 2 - 1, np.floor(u * (2.0 * SUB_BINS * 2.0**octave)))
    k = (LAST_OCTAVE - octave) * SUB_BINS + inner.astype(np.int64)
    return np.where(mirrored, CELLS - 1 - k, k)


def fine_bins(scores: Floats) -> Ints:
    """Return the fine bin of each score: its cell plus the number of multiples of 1/60 up to it, shape of `scores`.

    Raises ValueError for scores that are not within [0, 1].
    """
    outside = ~((scores >= 0.0) & (scores <= 1.0))
    if outside.any():
        raise ValueError(f"scores must lie in [0, 1], got {scores[outside][0]}")
    return cells_of(scores) + np.searchsorted(multiples(), scores, side="right")


@cache
def bin_bounds() -> tuple[Floats, Floats]:
    """Return lower and upper bounds of the fine bins, each shape (795,).

    Where a multiple of 1/60 ends a cell, a bin has no width: at 3/4 it holds this one score, at 1/4 and 1/2 none.
    """
    edges = lower_half_edges()
    lower = np.sort(np.concatenate([edges[:-1], 1.0 - edges[:0:-1], multiples()]))
    return _frozen(lower), _frozen(np.append(lower[1:], 1.0))


@cache
def equal_width_bins(count: int) -> Ints:
    """Return the equal-width bin of each fine bin, shape (795,); `count` must divide 60.

    Bins are [k/count, (k+1)/count) with the last one closed.
    """
    if SPLIT_BASE % count:
        raise ValueError(f"equal-width bins need a count that divides {SPLIT_BASE}, got {count}")
    lower, _ = bin_bounds()
    return _frozen(np.searchsorted(np.arange(1, count) / count, lower, side="right").astype(np.int64))


def _frozen(array: NDArray[_Item]) -> NDArray[_Item]:
    """Return the array after forbidding writes to it: all callers share what a cache holds."""
    array.flags.writeable = False
    return array
