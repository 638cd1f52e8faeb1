"""The snapshots of one slice over time: any window of it is the difference of two running sums."""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from calslo_dagster.errors import SnapshotError
from calslo_dagster.stats import grid
from calslo_dagster.stats.batch import Batch
from calslo_dagster.stats.snapshot import BAD_REASONS, CELL_SUMS, LATENCY_BUCKETS, TOTAL_SUMS, Snapshot

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Names = tuple[tuple[str, ...], ...]

MOST_EVENTS: Final = 2**31
# Half of what 64 bits hold, because a sum is judged by the sizes of its panes, which bound it from above.
LARGEST_SUM: Final = 2.0**62
_EVENTS: Final = TOTAL_SUMS.index("n")
_ROWS: Final = [TOTAL_SUMS.index(name) for name in ("n", *BAD_REASONS, "duplicates")]


@dataclass(frozen=True, slots=True)
class Panes:
    """Equal buckets of time: `count` of them, `width_us` wide, from `start_us` on."""

    start_us: int
    width_us: int
    count: int

    def at(self, instant_us: int) -> int:
        """Return how many panes lie before the instant, which must be on an edge between panes."""
        place, rest = divmod(instant_us - self.start_us, self.width_us)
        if rest or not 0 <= place <= self.count:
            raise ValueError(f"{instant_us} is not an edge of {self}")
        return place

    def places(self, instants_us: Ints) -> Ints:
        """Return what `at` does for each of these instants, shape (instants,)."""
        found: Ints = (instants_us - self.start_us) // self.width_us
        if len(found):
            for edge in (int(instants_us.min()), int(instants_us.max())):
                self.at(edge)
        return found


@dataclass(frozen=True, slots=True)
class SliceRows:
    """The fact rows of one slice, each shape (rows, 2 + sums): pane, code (bin, bucket or place of a name), sums."""

    totals: Ints
    cells: Ints
    latency: Ints
    masks: Ints
    versions: Ints


@dataclass(frozen=True, slots=True, eq=False)
class SnapshotSeries:
    """Running sums of one slice, each with one row per edge of a pane.

    totals: shape (panes + 1, sums); cells: shape (panes + 1, cell sums, bins that occur); latency, masks, versions:
    shape (panes + 1, buckets or names that occur); sizes: shape (panes + 1,), the largest sum of each pane, added up,
    which tells when a difference would not fit 64 bits.
    """

    panes: Panes
    totals: Ints
    cells: Ints
    bins: Ints
    latency: Ints
    buckets: Ints
    masks: Ints
    mask_names: Names
    versions: Ints
    version_names: Names
    sizes: Floats

    @classmethod
    def of(cls, rows: SliceRows, panes: Panes, *, mask_names: Names, version_names: Names) -> Self:
        """Return the running sums of the rows of one slice."""
        bins, cells = _running(rows.cells, panes.count, len(CELL_SUMS))
        buckets, latency = _running(rows.latency, panes.count, 1)
        masks_at, masks = _running(rows.masks, panes.count, 1)
        versions_at, versions = _running(rows.versions, panes.count, 1)
        return cls(
            panes=panes,
            totals=_running(rows.totals, panes.count, len(TOTAL_SUMS))[1].sum(axis=2),
            cells=cells,
            bins=bins,
            latency=latency[:, 0],
            buckets=buckets,
            masks=masks[:, 0],
            mask_names=tuple(mask_names[i] for i in masks_at),
            versions=versions[:, 0],
            version_names=tuple(version_names[i] for i in versions_at),
            sizes=_sizes(rows, panes.count),
        )

    @property
    def events(self) -> Ints:
        """Events with a valid score per pane, shape (panes,)."""
        return np.diff(self.totals[:, _EVENTS])

    @property
    def rows(self) -> Ints:
        """All rows per pane, rejected and repeated ones too, shape (panes,); a window without any holds nothing."""
        rows: Ints = self.totals[:, _ROWS].sum(axis=1)
        return np.diff(rows)

    def window(self, start_us: int, end_us: int) -> Snapshot:
        """Return the snapshot of the half-open window between two edges; raise SnapshotError where it overflows."""
        first, last = self.panes.at(start_us), self.panes.at(end_us)
        totals = self.totals[last] - self.totals[first]
        _check_size(int(totals[_EVENTS]), float(self.sizes[last] - self.sizes[first]))
        cells = np.zeros((len(CELL_SUMS), grid.FINE_BINS), dtype=np.int64)
        cells[:, self.bins] = self.cells[last] - self.cells[first]
        latency = np.zeros(LATENCY_BUCKETS, dtype=np.int64)
        latency[self.buckets] = self.latency[last] - self.latency[first]
        masks = zip(self.mask_names, (self.masks[last] - self.masks[first]).tolist(), strict=True)
        versions = zip(self.version_names, (self.versions[last] - self.versions[first]).tolist(), strict=True)
        return Snapshot(
            totals,
            cells,
            latency,
            {(version, mask): n for (version, mask), n in masks if n},
            {version: n for (version,), n in versions if n},
        )

    def batch(self, first: Ints, last: Ints) -> Batch:
        """Return the windows between these edges of panes, given by their places; SnapshotError where one overflows."""
        totals, sizes = self.totals[last] - self.totals[first], self.sizes[last] - self.sizes[first]
        if len(totals):
            _check_size(int(totals[:, _EVENTS].max()), float(sizes.max()))
        return Batch(first, last, totals, self.bins, self.cells, self.buckets, self.latency)

    def versions_seen(self, first: Ints, last: Ints) -> tuple[list[tuple[str, ...]], Ints]:
        """Return the different sets of versions in windows between these edges, and which one each has, (windows,)."""
        counts = self.versions[last] - self.versions[first]
        sets, kind = np.unique(counts != 0, axis=0, return_inverse=True)
        names = [tuple(name for (name,), is_in in zip(self.version_names, one, strict=True) if is_in) for one in sets]
        return names, kind.reshape(-1)

    def has_rows(self, first: Ints, last: Ints) -> NDArray[np.bool_]:
        """Whether the spans between these edges hold any row, shape (spans,)."""
        running = np.concatenate([[0], np.cumsum(self.rows)])
        found: NDArray[np.bool_] = running[last] > running[first]
        return found

    def whole(self) -> Snapshot:
        """Return the snapshot of all panes together."""
        panes = self.panes
        return self.window(panes.start_us, panes.start_us + panes.count * panes.width_us)


def _running(rows: Ints, panes: int, sums: int) -> tuple[Ints, Ints]:
    """Return the codes that occur, and running sums of shape (panes + 1, sums, codes).

    They may wrap around; the difference of two is right all the same, as long as itself fits 64 bits.
    """
    codes = np.flatnonzero(np.bincount(rows[:, 1]))
    place = np.searchsorted(codes, np.arange(codes[-1] + 1 if len(codes) else 0))[rows[:, 1]]
    out = np.zeros((panes + 1, sums, len(codes)), dtype=np.int64)
    at = (rows[:, 0] + 1) * (sums * len(codes)) + place
    for row, column in enumerate(rows[:, 2:].T):
        np.add.at(out.reshape(-1), at + row * len(codes), column)
    return codes, np.cumsum(out, axis=0, out=out)


def _sizes(rows: SliceRows, panes: int) -> Floats:
    """Bound the sums of a pane by what the largest number of each of its rows comes to."""
    sizes = [
        np.bincount(part[:, 0] + 1, weights=_largest(part[:, 2:]), minlength=panes + 1)
        for part in (rows.totals, rows.cells)
    ]
    return np.cumsum(np.max(sizes, axis=0))


def _largest(sums: Ints) -> Floats:
    """Return the largest size of a number in each row, shape (rows,)."""
    largest: Floats = np.maximum(sums.max(axis=1).astype(np.float64), -sums.min(axis=1).astype(np.float64))
    return largest


def _check_size(events: int, size: float) -> None:
    if events > MOST_EVENTS:
        raise SnapshotError(
            f"a window holds {events} events, more than the {MOST_EVENTS} whose sums fit 64 bits; use a shorter window"
        )
    if size > LARGEST_SUM:
        raise SnapshotError(
            f"the weighted sums of a window with {events} events do not fit 64 bits; divide the weights by their mean, "
            "or use a shorter window"
        )
