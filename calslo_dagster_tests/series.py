"""Series made from the snapshots of their panes, without an engine."""

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from calslo_dagster.engine.facts import PANE_US
from calslo_dagster.engine.series import Ints, Panes, SliceRows, SnapshotSeries
from calslo_dagster.stats.snapshot import Snapshot

_Key = TypeVar("_Key", bound=Hashable)


def series_of(panes: Sequence[Snapshot], start_us: int = 0) -> SnapshotSeries:
    """Return the series whose panes of 15 minutes, from the start on, are these snapshots."""
    masks = sorted({mask for pane in panes for mask in pane.masks})
    versions = sorted({version for pane in panes for version in pane.versions})
    rows = SliceRows(
        totals=_rows([pane.totals[:, None] for pane in panes]),
        cells=_rows([pane.cells for pane in panes]),
        latency=_rows([pane.latency[None] for pane in panes]),
        masks=_named([pane.masks for pane in panes], masks),
        versions=_named([pane.versions for pane in panes], versions),
    )
    names = tuple((version,) for version in versions)
    return SnapshotSeries.of(rows, Panes(start_us, PANE_US, len(panes)), mask_names=tuple(masks), version_names=names)


def _rows(panes: Sequence[Ints]) -> Ints:
    """Return a row for each pane and code with any sum, from arrays of shape (sums, codes)."""
    table = []
    for pane, sums in enumerate(panes):
        codes = np.flatnonzero(sums.any(axis=0))
        table.append(np.column_stack([np.full(len(codes), pane), codes, sums[:, codes].T]))
    return np.concatenate(table).astype(np.int64)


def _named(panes: Sequence[Mapping[_Key, int]], names: Sequence[_Key]) -> Ints:
    found = [[pane, names.index(name), n] for pane, counts in enumerate(panes) for name, n in counts.items()]
    return np.array(found, dtype=np.int64).reshape(len(found), 3)
