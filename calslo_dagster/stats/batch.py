"""Many windows of one slice at once: the sums of each are the difference of two rows of running sums.

What is estimated from a batch is bit by bit what the same estimator says of each window's snapshot by itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from calslo_dagster.stats.snapshot import BAD_REASONS, BAD_SCORE_REASONS, TOTAL_SUMS, scale_of

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

# So many numbers of the cells are taken apart at a time: they stay in the processor's cache.
_PORTION: Final = 2**17


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Some windows of a slice: `first` and `last` are the rows of the running sums at their two ends, shape (windows,).

    totals: those of each window, shape (windows, sums); running_cells: shape (edges, cell sums, bins that occur);
    running_latency: shape (edges, buckets that occur); bins, buckets: which those are, ascending; derived: what
    estimators that share a step have derived from it.
    """

    first: Ints
    last: Ints
    totals: Ints
    bins: Ints
    running_cells: Ints
    buckets: Ints
    running_latency: Ints
    derived: dict[object, Any] = field(default_factory=dict, init=False, repr=False)

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.first)

    def count(self, name: str) -> Ints:
        """Return the count `name` of each window, shape (windows,)."""
        counts: Ints = self.totals[:, TOTAL_SUMS.index(name)]
        return counts

    def total(self, name: str) -> Floats:
        """Return the total `name` of each window in its own unit, shape (windows,); not for sums in two parts."""
        totals: Floats = self.count(name) / scale_of(name)
        return totals

    @property
    def events(self) -> Ints:
        """Events with a valid score, shape (windows,)."""
        return self.count("n")

    @property
    def labeled(self) -> Ints:
        """Events with a valid score and a label, shape (windows,)."""
        return self.count("n_lab")

    @property
    def rows(self) -> Ints:
        """Events and rows that were kept out of the sums, shape (windows,)."""
        rows: Ints = np.sum([self.events, *(self.count(reason) for reason in BAD_REASONS)], axis=0)
        return rows

    @property
    def bad_scores(self) -> Ints:
        """Rows whose score is null, NaN, infinite or outside [0, 1], shape (windows,)."""
        rows: Ints = np.sum([self.count(reason) for reason in BAD_SCORE_REASONS], axis=0)
        return rows

    def cells(self, windows: Ints, sums: slice) -> Iterator[tuple[Ints, Ints]]:
        """Yield some of these windows at a time, with their cells, shape (windows, sums, bins that occur)."""
        part = self.running_cells[:, sums]
        step = max(1, _PORTION // max(1, part.shape[1] * part.shape[2]))
        for start in range(0, len(windows), step):
            some = windows[start : start + step]
            yield some, part[self.last[some]] - part[self.first[some]]

    def latency(self) -> Iterator[tuple[Ints, Ints]]:
        """Yield some of the windows at a time, with their latency, shape (windows, buckets that occur)."""
        step = max(1, _PORTION // max(1, len(self.buckets)))
        for start in range(0, len(self), step):
            some = np.arange(start, min(start + step, len(self)))
            yield some, self.running_latency[self.last[some]] - self.running_latency[self.first[some]]


@dataclass(frozen=True, slots=True, eq=False)
class Values:
    """One number per window and the events it rests on, each shape (windows,); NaN where nothing could be measured."""

    value: Floats
    events: Ints


def shares(parts: Ints, wholes: Ints) -> Values:
    """Return the share of each whole, missing where there is nothing; shapes (windows,)."""
    return ratios(parts, wholes, wholes)


def ratios(parts: Ints | Floats, wholes: Ints | Floats, events: Ints) -> Values:
    """Return each part over its whole, missing where that is not above zero; shapes (windows,)."""
    value = np.full(len(wholes), np.nan)
    np.divide(parts, wholes, out=value, where=wholes > 0)
    return Values(value, events)
