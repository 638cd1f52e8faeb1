"""Populations with a known truth: many labellings of the same scores, without going through events each time."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calslo_dagster.stats import grid
from calslo_dagster.stats.snapshot import CELL_SUMS, Snapshot, scale_of
from calslo_dagster_tests.builders import snap

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Population:
    """Scores with the true probability of each, both of shape (N,)."""

    scores: Floats
    truth: Floats

    def labelings(self, count: int, rng: np.random.Generator) -> Iterator[Snapshot]:
        """Yield snapshots of these scores with labels drawn from the truth."""
        blank = snap(self.scores, np.zeros(len(self.scores)))
        for _ in range(count):
            yield self._labeled(blank, (rng.random(len(self.scores)) < self.truth).astype(np.float64))

    def expected(self) -> Snapshot:
        """Return the snapshot whose label sums are their expectations."""
        return self._labeled(snap(self.scores, np.zeros(len(self.scores))), self.truth)

    def _labeled(self, blank: Snapshot, labels: Floats) -> Snapshot:
        bins = grid.fine_bins(self.scores)
        cells = blank.cells.copy()
        for name, values in (("wy_lab", labels), ("wsy_lab", self.scores * labels)):
            fixed = np.floor(values * scale_of(name) + 0.5)
            row = np.bincount(bins, weights=fixed, minlength=grid.FINE_BINS)
            cells[CELL_SUMS.index(name)] = row.astype(np.int64)
        return Snapshot(totals=blank.totals, cells=cells)
