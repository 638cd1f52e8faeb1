"""Calibration tables: what was claimed and what happened, bin by bin, and where evaluation has left what was fitted."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from calslo_dagster.slo.model import Manifest
from calslo_dagster.stats import grid
from calslo_dagster.stats.bins import Binned
from calslo_dagster.stats.intervals import clopper_pearson, effective_size
from calslo_dagster.stats.snapshot import Snapshot

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """One bin: labelled events, their mean score, their observed rate with its exact interval; None without any.

    size: the effective number of events, which weights make smaller.
    """

    index: int
    lower: float
    upper: float
    events: int
    mean_score: float | None = None
    observed: float | None = None
    low: float | None = None
    high: float | None = None
    size: float = 0.0

    @property
    def gap(self) -> float | None:
        """Mean score less observed rate: positive where the model overstates."""
        return None if self.mean_score is None or self.observed is None else self.mean_score - self.observed

    @property
    def is_consistent(self) -> bool:
        """Whether the interval of the rate holds the mean score, or nothing speaks against it."""
        if self.mean_score is None or self.low is None or self.high is None:
            return True
        return self.low <= self.mean_score <= self.high


class Support(StrEnum):
    """How a bin's evaluation traffic compares with what the calibrator was fitted on."""

    BOTH = "both"
    NO_FIT = "traffic without fit"
    NO_TRAFFIC = "fit without traffic"
    NEITHER = "neither"


@dataclass(frozen=True, slots=True)
class BinSupport:
    """One bin of a manifest with its events at fit and in evaluation, labelled or not.

    explained: the part of the traffic in scores that another version was fitted on, which may have served it;
    near: events at the bin's edges that may belong to it.
    """

    index: int
    lower: float
    upper: float
    fitted: int
    traffic: int
    explained: int = 0
    near: int = 0

    @property
    def support(self) -> Support:
        """Which of the two the bin has; what may have an innocent reason is not reported as a mismatch."""
        if self.fitted:
            return Support.BOTH if self.traffic or self.near else Support.NO_TRAFFIC
        return Support.NO_FIT if self.traffic > self.explained else Support.NEITHER


@dataclass(frozen=True, slots=True)
class MaskMismatch:
    """Events by whether they carry the mask of the manifest of their version.

    foreign: they carry another one; unchecked: their version has no manifest, or one without a mask.
    """

    matching: int
    foreign: int
    unchecked: int

    @property
    def share(self) -> float | None:
        """Foreign share of the events that could be checked; None if none could."""
        checked = self.matching + self.foreign
        return self.foreign / checked if checked else None


def calibration_table(snapshot: Snapshot, bins: int) -> tuple[CalibrationBin, ...]:
    """Return the occupied equal-mass bins of the labelled events, in the order of the score."""
    sums = Binned.equal_mass(snapshot, bins)
    rows = zip(sums.index, sums.lower, sums.upper, sums.events, strict=True)
    return tuple(
        _bin((int(index), float(lower), float(upper)), round(float(events)), _Sums(*map(float, parts)))
        for (index, lower, upper, events), *parts in zip(
            rows, sums.weight, sums.square_weight, sums.score, sums.label, strict=True
        )
    )


def manifest_table(snapshot: Snapshot, manifest: Manifest) -> tuple[CalibrationBin, ...]:
    """Return the bins of the manifest, empty ones included, from the fine bins that lie in each."""
    bin_of = _bins_between(manifest, snapshot)
    names = ("w_lab", "w2_lab", "ws_lab", "wy_lab")
    sums = [_binned(snapshot.cell(name), bin_of, manifest) for name in names]
    events = _binned(snapshot.cell_counts("n_lab"), bin_of, manifest)
    return tuple(
        _bin((k, *bounds), round(float(events[k])), _Sums(*(float(s[k]) for s in sums)))
        for k, bounds in enumerate(pairwise(manifest.edges))
    )


def support(snapshot: Snapshot, manifest: Manifest, others: Iterable[Manifest] = ()) -> tuple[BinSupport, ...]:
    """Return for each bin of the manifest its events at fit and in evaluation; the manifest must have fit counts.

    `others` are the manifests of the other versions that served the same window: traffic is not split by version, so
    what one of them was fitted on speaks against none.
    """
    if len(manifest.fit_counts) != len(manifest.edges) - 1:
        raise ValueError(
            f"manifest {manifest.version} has {len(manifest.edges)} edges, so it needs one fit count less, "
            f"not {len(manifest.fit_counts)}"
        )
    bin_of, events = _bins_between(manifest, snapshot), snapshot.cell_counts("n")
    traffic = _binned(events, bin_of, manifest)
    explained = _binned(np.where(_fitted_by(others, snapshot), events, 0), bin_of, manifest)
    near = _near(events, manifest)
    return tuple(
        BinSupport(
            k, lower, upper, manifest.fit_counts[k], round(traffic[k]), explained=round(explained[k]), near=near[k]
        )
        for k, (lower, upper) in enumerate(pairwise(manifest.edges))
    )


def _fitted_by(manifests: Iterable[Manifest], snapshot: Snapshot) -> NDArray[np.bool_]:
    """Return, for each fine bin, whether one of the manifests was fitted there."""
    found = np.zeros(grid.FINE_BINS, dtype=np.bool_)
    for manifest in manifests:
        counts = np.array(manifest.fit_counts)
        if len(counts) == len(manifest.edges) - 1:
            found |= counts[_bins_between(manifest, snapshot)] > 0
    return found


def _near(events: Ints, manifest: Manifest) -> list[int]:
    """Return, for each bin, the events of the fine bins that an edge of it cuts."""
    lower, upper = grid.bin_bounds()
    found = [0] * (len(manifest.edges) - 1)
    for k, edge in enumerate(manifest.edges[1:-1], start=1):
        cut = int(events[(lower < edge) & (edge < upper)].sum())
        found[k - 1] += cut
        found[k] += cut
    return found


def mask_mismatch(snapshot: Snapshot, expected: Mapping[str, Manifest]) -> MaskMismatch:
    """Return how many events carry the mask of their version's manifest; events without a mask id are not counted."""
    matching = foreign = unchecked = 0
    for (version, mask_id), events in snapshot.masks.items():
        manifest = expected.get(version)
        if manifest is None or manifest.mask_id is None:
            unchecked += events
        elif manifest.mask_id == mask_id:
            matching += events
        else:
            foreign += events
    return MaskMismatch(matching, foreign, unchecked)


@dataclass(frozen=True, slots=True)
class _Sums:
    weight: float
    square_weight: float
    score: float
    label: float


def _bin(place: tuple[int, float, float], events: int, sums: _Sums) -> CalibrationBin:
    if sums.weight <= 0:
        return CalibrationBin(*place, events)
    rate = min(1.0, max(0.0, sums.label / sums.weight))
    size = effective_size(sums.weight, sums.square_weight)
    low, high = clopper_pearson(rate * size, size)
    return CalibrationBin(
        *place, events, mean_score=sums.score / sums.weight, observed=rate, low=low, high=high, size=size
    )


def _bins_between(manifest: Manifest, snapshot: Snapshot) -> Ints:
    """Return the bin of each fine bin, shape (795,); one that an edge cuts goes whole to the bin of its mean score."""
    edges = manifest.edges
    if len(edges) < 2 or any(a >= b for a, b in pairwise(edges)):
        raise ValueError(f"manifest {manifest.version} needs at least two ascending bin edges, not {edges}")
    lower, upper = grid.bin_bounds()
    weight, middle, inner = snapshot.cell("w"), (lower + upper) / 2, np.array(edges[1:-1])
    is_cut = np.searchsorted(inner, lower, side="right") != np.searchsorted(inner, upper, side="left")
    place = np.divide(snapshot.cell("ws"), weight, out=middle, where=is_cut & (weight > 0))
    return np.searchsorted(inner, place, side="right").astype(np.int64)


def _binned(values: NDArray[np.float64] | Ints, bin_of: Ints, manifest: Manifest) -> NDArray[np.float64]:
    return np.bincount(bin_of, weights=values, minlength=len(manifest.edges) - 1).astype(np.float64)
