"""Coarse bins: the labelled sums per equal-width or equal-mass bin, from the sums per fine bin."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from calslo_dagster.stats import grid
from calslo_dagster.stats.batch import Batch
from calslo_dagster.stats.snapshot import CELL_SUMS, Snapshot, scale_of

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

DEFAULT_BINS: Final = 15
SMALL_SAMPLE: Final = 4_000
# Scores and their squares are stored to 2**-31 each: a smaller variance within a fine bin may be rounding alone.
ROUNDING_VARIANCE: Final = 2.0**-29
# So few events of a fine bin lie near each other by chance.
FEW: Final = 4

_LABELED: Final = CELL_SUMS[CELL_SUMS.index("n_lab") :]
_SCALES: Final = np.array([[scale_of(name)] for name in _LABELED])
_EVENTS, _WEIGHT, _SQUARE_WEIGHT, _SCORE, _SQUARE_SCORE, _LABEL, _SCORE_LABEL = range(len(_LABELED))
_VARIANCE: Final = len(_LABELED)
_LABELED_SUMS: Final = slice(len(CELL_SUMS) - len(_LABELED), None)
_WEIGHT_SCALE: Final = scale_of("w_lab")
_SAFE_BITS: Final = 62
_FIRST: Final = np.zeros(1, dtype=np.int64)


def default_bins(events: int) -> int:
    """Return the number of equal-mass bins for so many labelled events: floor(sqrt(events)) below 4,000, else 15."""
    return max(1, int(events**0.5)) if events < SMALL_SAMPLE else DEFAULT_BINS


def default_bins_many(events: Ints, bins: int = DEFAULT_BINS) -> Ints:
    """Return `default_bins` of small samples and `bins` of the others, shape (windows,)."""
    return np.array([default_bins(n) if n < SMALL_SAMPLE else bins for n in events.tolist()], dtype=np.int64)


def equal_mass_bins(counts: Ints, bins: int) -> Ints:
    """Return the equal-mass bin of each cell, in integer arithmetic: floor(bins * (2 * before + c) / (2 * total)).

    counts: shape (cells,), non-negative, in the order of the score; the answer has the same shape. A cell goes whole
    to the bin of its midpoint, so that equal scores share a bin and the order of events does not matter. Some of the
    bins stay empty when single cells hold more than a bin's share.
    """
    if bins < 1:
        raise ValueError(f"the number of bins must be at least 1, got {bins}")
    counts = _product_safe(counts, bins)
    total = int(counts.sum())
    if total == 0:
        return np.zeros(counts.shape, dtype=np.int64)
    middles = 2 * np.cumsum(counts) - counts
    placed: Ints = np.minimum(bins * middles // (2 * total), bins - 1)
    return placed


@dataclass(frozen=True, slots=True)
class Binned:
    """The labelled sums of the occupied coarse bins, each array of shape (occupied,).

    index: which bin, ascending; events: counts; weight = sum w; square_weight = sum w^2; score = sum w p;
    label = sum w y; model_variance = sum w^2 p (1 - p), the variance of `label` if the model is calibrated, where w is
    taken as unrelated to p within one fine bin; lower, upper: bounds of the bin.
    """

    index: Ints
    events: Floats
    weight: Floats
    square_weight: Floats
    score: Floats
    label: Floats
    model_variance: Floats
    lower: Floats
    upper: Floats

    @classmethod
    def equal_width(cls, snapshot: Snapshot, bins: int) -> Self:
        """Return the sums in equal-width bins [k/bins, (k+1)/bins), the last one closed; `bins` must divide 60."""
        bin_of = grid.equal_width_bins(bins)
        cells = _Cells.of(snapshot)
        if not len(cells.at):
            return cls._of(cells.at, cells.sums, np.zeros(1))
        placed = bin_of[cells.at]
        starts = np.flatnonzero(np.diff(placed, prepend=-1))
        return cls._of(placed[starts], np.add.reduceat(cells.sums, starts, axis=1), np.arange(bins + 1) / bins)

    @classmethod
    def equal_mass(cls, snapshot: Snapshot, bins: int) -> Self:
        """Return the sums in equal-mass bins of the labelled weight.

        A bin boundary that falls into a fine bin cuts it between two events, with score and label rate linear in the
        rank within (both slopes are known from the second-order sums). Where most of a fine bin sits on one
        score it is not cut: the boundary moves to its nearer end, so that equal scores share a coarse bin. Several
        distinct scores of some weight within one fine bin are cut as if they were spread evenly over it.
        """
        # Several estimators begin with the same bins of one snapshot, and cutting them is most of their work.
        key = cls, bins
        if key not in snapshot.derived:
            snapshot.derived[key] = cls._equal_mass(_Cells.of(snapshot), bins)
        found: Self = snapshot.derived[key]
        return found

    @classmethod
    def equal_mass_many(cls, batch: Batch, bins: Ints) -> "list[tuple[Ints, Self]]":
        """Return `equal_mass` of every window with labelled weight, those with equally many occupied bins together.

        bins: how many for each window, shape (windows,). Each part names its windows, and its arrays have the shape
        (windows, occupied).
        """
        key = cls, bins.tobytes()
        if key not in batch.derived:
            groups = [np.flatnonzero(bins == count) for count in np.unique(bins)]
            batch.derived[key] = [
                part
                for windows in groups
                for some, fixed in batch.cells(windows, _LABELED_SUMS)
                for cells in _Cells.several(batch.bins, fixed)
                for part in cls._parted(cells, some, int(bins[windows[0]]))
            ]
        found: list[tuple[Ints, Self]] = batch.derived[key]
        return found

    @classmethod
    def _equal_mass(cls, cells: "_Cells", bins: int) -> Self:
        if not len(cells.at):
            return cls._of(cells.at, cells.sums, np.zeros(1))
        (bounds,), sums = _cut(cells.one(), bins)
        occupied = (sums[_WEIGHT, 0] > 0).nonzero()[0]
        return cls._of(occupied, sums[:, 0, occupied], bounds)

    @classmethod
    def _parted(cls, cells: "_Cells", windows: Ints, bins: int) -> "Iterator[tuple[Ints, Self]]":
        bounds, sums = _cut(cells, bins)
        is_occupied = sums[_WEIGHT] > 0
        # Adding up with zeros in between would round in another order than adding up the occupied bins alone.
        places, counts = np.argsort(~is_occupied, axis=1, kind="stable"), is_occupied.sum(axis=1)
        for count in np.unique(counts):
            rows = np.flatnonzero(counts == count)
            index = places[rows, :count]
            # The places of the bounds, were those of all windows in one row.
            flat, first = bounds[rows].reshape(-1), np.arange(len(rows))[:, None] * (bins + 1)
            yield windows[cells.windows[rows]], cls._of(index, sums[:, rows[:, None], index], flat, first + index)

    @classmethod
    def _of(cls, index: Ints, sums: Floats, bounds: Floats, at: Ints | None = None) -> Self:
        lower = index if at is None else at
        return cls(
            index=index,
            # A cut of whole events must not read 9.999999999 where somebody compares with 10.
            events=np.round(sums[_EVENTS], 6),
            weight=sums[_WEIGHT],
            square_weight=sums[_SQUARE_WEIGHT],
            score=sums[_SCORE],
            label=sums[_LABEL],
            model_variance=sums[_VARIANCE],
            lower=bounds[lower],
            upper=bounds[lower + 1],
        )

    @property
    def total_events(self) -> int:
        """The number of labelled events, without those in fine bins of no weight."""
        return round(float(self.events.sum()))

    @property
    def total_weight(self) -> float:
        """The weight of all labelled events."""
        return float(self.weight.sum())

    @property
    def gap(self) -> Floats:
        """Sum of w (p - y) per bin, shape (occupied,): positive where the model overstates."""
        return self.score - self.label

    @property
    def rate(self) -> Floats:
        """Weighted rate of positives per bin, shape (occupied,)."""
        share: Floats = np.clip(self.label / self.weight, 0.0, 1.0)
        return share

    @property
    def size(self) -> Floats:
        """Effective number of events per bin, shape (occupied,)."""
        return self.weight**2 / self.square_weight

    @property
    def label_variance(self) -> Floats:
        """Variance of `label` if every event of a bin has the bin's observed rate, shape (occupied,)."""
        return self.square_weight * (self.rate * (1 - self.rate))

    @property
    def variance(self) -> Floats:
        """The larger of both variances per bin, shape (occupied,)."""
        return np.maximum(self.model_variance, self.label_variance)

    @property
    def unit(self) -> float:
        """What one event weighs, sum w^2 / sum w."""
        return float(self.square_weight.sum()) / self.total_weight


@dataclass(frozen=True, slots=True)
class _Cells:
    """The fine bins with labelled weight, of one window, or of several that need not have weight in each of them.

    at: their indices, shape (cells,); masses: labelled weight in the smallest integers, (cells,) or (windows, cells);
    sums: the labelled sums and the model variance, (8, cells) or (8, windows, cells); windows: which ones.
    """

    at: Ints
    masses: Ints
    sums: Floats
    windows: Ints

    @classmethod
    def of(cls, snapshot: Snapshot) -> Self:
        fixed = snapshot.cells[_LABELED_SUMS]
        at = np.flatnonzero(fixed[_WEIGHT])
        return cls._of(at, fixed[:, at], _FIRST)

    @classmethod
    def several(cls, at: Ints, fixed: Ints) -> Iterator[Self]:
        """Yield the windows with labelled weight, from cells of shape (windows, sums, cells)."""
        fixed = fixed.transpose(1, 0, 2)
        windows = np.flatnonzero(fixed[_WEIGHT].any(axis=1))
        fixed = np.where(fixed[_WEIGHT, windows] != 0, fixed[:, windows], 0)
        is_plain = (fixed[_WEIGHT] == fixed[_EVENTS] * _WEIGHT_SCALE).all(axis=1)
        for rows in (np.flatnonzero(is_plain), np.flatnonzero(~is_plain)):
            if len(rows):
                yield cls._of(at, fixed[:, rows], windows[rows])

    @classmethod
    def _of(cls, at: Ints, fixed: Ints, windows: Ints) -> Self:
        sums = np.empty((len(_LABELED) + 1, *fixed.shape[1:]))
        np.divide(fixed, _SCALES.reshape(-1, *[1] * (fixed.ndim - 1)), out=sums[:_VARIANCE])
        np.maximum(sums[_SCORE] - sums[_SQUARE_SCORE], 0.0, out=sums[_VARIANCE])
        # Weighing each event 1 keeps the integers small enough for the placement of any number of events.
        if np.array_equal(sums[_WEIGHT], sums[_EVENTS]):
            return cls(at, fixed[_EVENTS], sums, windows)
        weight = sums[_WEIGHT]
        sums[_VARIANCE] *= sums[_SQUARE_WEIGHT] / np.where(weight > 0, weight, 1.0)
        return cls(at, fixed[_WEIGHT], sums, windows)

    def one(self) -> Self:
        """Return the cells of a single window as those of several."""
        return type(self)(self.at, self.masses[None], self.sums[:, None], self.windows)


def _cut(cells: _Cells, bins: int) -> tuple[Floats, Floats]:
    """Return the score at the bounds of the bins, (windows, bins + 1), and the sums per bin, (8, windows, bins)."""
    rows, at, inner = _cells_at_bounds(cells, bins)
    sums, (lower, upper) = cells.sums[:, rows, at], (bounds[cells.at[at]] for bounds in grid.bin_bounds())
    weight, mean = sums[_WEIGHT], sums[_SCORE] / sums[_WEIGHT]
    variance = sums[_SQUARE_SCORE] / weight - mean * mean
    # A quarter of the variance of scores spread evenly over the fine bin: below it, one score dominates many events.
    events = sums[_EVENTS]
    narrow = (upper - lower) ** 2 / 48 * np.maximum(1.0 - FEW / events, 0.0)
    is_spread = variance > np.maximum(narrow, ROUNDING_VARIANCE)
    # No event is cut: it belongs to the bin in which the middle of its mass lies.
    share = np.where(is_spread, np.ceil(inner * events - 0.5) / events, inner > 0.5)
    slope = (sums[_SCORE_LABEL] - mean * sums[_LABEL]) / (weight * np.where(is_spread, variance, 1.0))
    # Of n scores with the same distance between neighbours; their masses reach half a distance further.
    reach = np.sqrt(3 * np.where(is_spread, variance * events**2 / np.maximum(events**2 - 1, 1.0), 0.0))
    bend = weight * reach * share * (share - 1)
    running = np.zeros((*cells.sums.shape[:2], len(cells.at) + 1))
    np.cumsum(cells.sums, axis=2, out=running[:, :, 1:])
    # The sums before each bound; none before the first, all before the last.
    before = np.empty((*cells.sums.shape[:2], bins + 1))
    before[:, :, 0], before[:, :, -1] = 0.0, running[:, :, -1]
    before[:, :, 1:-1] = running[:, rows, at] + share * sums
    before[_SCORE, :, 1:-1] += bend
    before[_LABEL, :, 1:-1] += slope * bend
    cut = np.where(is_spread, mean + reach * (2 * share - 1), np.where(share > 0, upper, lower))
    first, last = (bounds[cells.at[end]][:, None] for bounds, end in zip(grid.bin_bounds(), _ends(cells), strict=True))
    bounds = np.concatenate([first, np.minimum(np.maximum(cut, lower), upper), last], axis=1)
    return bounds, before[:, :, 1:] - before[:, :, :-1]


def _ends(cells: _Cells) -> tuple[Ints, Ints]:
    """Return the first and the last cell of each window that has weight, each shape (windows,)."""
    has_weight = cells.sums[_WEIGHT] > 0
    return has_weight.argmax(axis=1), len(cells.at) - 1 - has_weight[:, ::-1].argmax(axis=1)


def _cells_at_bounds(cells: _Cells, bins: int) -> tuple[Ints, Ints, Floats]:
    """Return the cell in which each inner bin bound lies and the share of its mass before it, (windows, bins - 1).

    Before both stands the row of the window, which with the cell picks one out of its sums.
    """
    masses = cells.masses
    if (2 * bins * int(masses.sum(axis=1).max())).bit_length() > _SAFE_BITS:
        masses = np.array([_product_safe(row, bins) for row in masses])
    running = np.cumsum(masses, axis=1)
    ends, targets = 2 * bins * running, 2 * running[:, -1:] * np.arange(1, bins)
    at = np.array([end.searchsorted(target, side="right") for end, target in zip(ends, targets, strict=True)])
    rows = np.arange(len(masses))[:, None]
    # Twice the share in integers first: exactly one half belongs to the bin above, as in `equal_mass_bins`.
    share: Floats = 1.0 - (ends[rows, at] - targets) / (2 * bins * masses[rows, at])
    return rows, at, share


def _product_safe(counts: Ints, bins: int) -> Ints:
    """Return the counts, without their lowest bits where twice their sum times `bins` needs more than 62."""
    spare = max(0, (2 * bins * int(counts.sum())).bit_length() - _SAFE_BITS)
    return counts >> spare if spare else counts
