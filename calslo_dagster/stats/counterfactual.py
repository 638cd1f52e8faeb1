"""A snapshot as it would have been, had one thing about it stayed as it was in a baseline.

Each function puts one thing back and leaves the others, so that an estimator, whichever it is, tells by its new value
how much of what it found came from that.
"""

import math
from collections.abc import Hashable, Mapping
from dataclasses import replace
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from calslo_dagster.stats.bins import DEFAULT_BINS, equal_mass_bins
from calslo_dagster.stats.snapshot import (
    BAD_SCORE_REASONS,
    CELL_SUMS,
    LATENCY_BUCKETS,
    TOTAL_SUMS,
    Snapshot,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Key = TypeVar("Key", bound=Hashable)

_AT: Final = {name: i for i, name in enumerate(TOTAL_SUMS)}
_LABELED: Final = slice(CELL_SUMS.index("n_lab"), len(CELL_SUMS))
_SHARED: Final = tuple(name for name in CELL_SUMS if name in _AT)


def repeated(snapshot: Snapshot, times: int) -> Snapshot:
    """Return so many copies of the snapshot added up, to weigh as much as a longer baseline."""
    if times == 1:
        return snapshot
    return Snapshot(
        snapshot.totals * times,
        snapshot.cells * times,
        snapshot.latency * times,
        {key: n * times for key, n in snapshot.masks.items()},
        {key: n * times for key, n in snapshot.versions.items()},
    )


def divided(snapshot: Snapshot, times: int) -> Snapshot:
    """Return the snapshot of which this is so many copies."""
    if times == 1:
        return snapshot
    return Snapshot(
        snapshot.totals // times,
        snapshot.cells // times,
        snapshot.latency // times,
        {key: n // times for key, n in snapshot.masks.items()},
        {key: n // times for key, n in snapshot.versions.items()},
    )


def scaled(snapshot: Snapshot, factor: float) -> Snapshot:
    """Return the snapshot with every sum multiplied, counts to the nearest whole number."""
    return Snapshot(
        _scaled(snapshot.totals, factor),
        _scaled(snapshot.cells, factor),
        _scaled(snapshot.latency, factor),
        {key: round(n * factor) for key, n in snapshot.masks.items()},
        {key: round(n * factor) for key, n in snapshot.versions.items()},
    )


def swapped(whole: Snapshot, part: Snapshot, other: Snapshot) -> Snapshot:
    """Return the whole with `other` in the place of a part of it."""
    return Snapshot(
        whole.totals - part.totals + other.totals,
        whole.cells - part.cells + other.cells,
        whole.latency - part.latency + other.latency,
        _counts(whole.masks, part.masks, other.masks),
        _counts(whole.versions, part.versions, other.versions),
    )


def _counts(whole: Mapping[Key, int], part: Mapping[Key, int], other: Mapping[Key, int]) -> dict[Key, int]:
    sums = {key: whole.get(key, 0) - part.get(key, 0) + other.get(key, 0) for key in {**whole, **other}}
    return {key: n for key, n in sums.items() if n > 0}


def outcome_put_back(current: Snapshot, baseline: Snapshot) -> Snapshot:
    """Return the scores of today with the labels that such scores had: baseline labels at today's mix of scores."""
    now, before = (_masses(span, "w_lab", current, baseline) for span in (current, baseline))
    weights = _ratio(now, before)
    cells = current.cells.copy()
    group = _groups(current, baseline)
    # A group that had no labels says nothing, and keeps those of today.
    told = (before > 0)[group]
    cells[_LABELED] = np.where(told, _scaled(baseline.cells[_LABELED], weights[group]), cells[_LABELED])
    return _with_cells(current, cells)


def scores_put_back(current: Snapshot, baseline: Snapshot) -> Snapshot:
    """Return the labels of today at the mix of scores of the baseline."""
    now, before = (_masses(span, "w", current, baseline) for span in (current, baseline))
    total = float(before.sum()) or 1.0
    weights = _ratio(before * (float(now.sum()) / total), now)
    return _with_cells(current, _scaled(current.cells, weights[_groups(current, baseline)]))


def coverage_put_back(current: Snapshot, baseline: Snapshot) -> Snapshot:
    """Return today with as large a part of each range of scores labelled as in the baseline."""
    shares = [
        _ratio(_masses(span, "w_lab", current, baseline), _masses(span, "w", current, baseline))
        for span in (current, baseline)
    ]
    weights = _ratio(shares[1], shares[0])[_groups(current, baseline)]
    cells = current.cells.copy()
    cells[_LABELED] = _scaled(cells[_LABELED], weights)
    return _with_cells(current, cells)


def bad_scores_put_back(current: Snapshot, baseline: Snapshot) -> Snapshot:
    """Return today with as large a share of bad scores as in the baseline; the others are events of unknown score."""
    totals, usual = current.totals.copy(), baseline.events + baseline.bad_scores
    rows = current.events + current.bad_scores
    for name in BAD_SCORE_REASONS:
        totals[_AT[name]] = round(baseline.count(name) * rows / usual) if usual else totals[_AT[name]]
    totals[_AT["n"]] = rows - sum(int(totals[_AT[name]]) for name in BAD_SCORE_REASONS)
    return replace(current, totals=totals)


def clamping_put_back(current: Snapshot, baseline: Snapshot) -> Snapshot:
    """Return today with as large a share of clamped events as in the baseline."""
    return _with_counts(current, baseline, ("n_clamped",), "n_clamp_known")


def alpha_put_back(current: Snapshot, baseline: Snapshot) -> Snapshot:
    """Return today with the clamp alpha of the baseline."""
    return _with_counts(current, baseline, ("alpha", "alpha2"), "n_alpha")


def latency_put_back(current: Snapshot, baseline: Snapshot) -> Snapshot:
    """Return today with the distribution of latencies of the baseline."""
    events, usual = int(current.latency.sum()), int(baseline.latency.sum())
    if not events or not usual:
        return current
    # Rounding the running sum keeps the number of events.
    running = np.rint(np.cumsum(baseline.latency) * (events / usual)).astype(np.int64)
    latency = np.diff(running, prepend=0).reshape(LATENCY_BUCKETS)
    return replace(_with_counts(current, baseline, ("n_slow",), "n_latency"), latency=latency)


def outcome_score(current: Snapshot, baseline: Snapshot) -> float:
    """Return how unusual it is that labels come at another rate at the same scores, as a normal score.

    Over groups of equal mass, the sum of (gap now - gap then)^2 / variance, chi-square, made normal by its cube root.
    """
    group, squares, degrees = _groups(current, baseline), 0.0, 0
    sums = [[np.bincount(group, span.cell(n), DEFAULT_BINS) for n in _GAP_SUMS] for span in (current, baseline)]
    (w1, v1, s1, y1), (w0, v0, s0, y0) = sums
    for b in np.flatnonzero((w1 > 0) & (w0 > 0)):
        rate = min(1.0, (y1[b] + y0[b] + 0.5) / (w1[b] + w0[b] + 1))
        variance = rate * (1 - rate) * (v1[b] / w1[b] ** 2 + v0[b] / w0[b] ** 2)
        if variance > 0:
            squares += ((y1[b] - s1[b]) / w1[b] - (y0[b] - s0[b]) / w0[b]) ** 2 / variance
            degrees += 1
    return chi_score(squares, degrees)


_GAP_SUMS: Final = ("w_lab", "w2_lab", "ws_lab", "wy_lab")


def rate_score(part: float, whole: float, usual_part: float, usual_whole: float) -> float:
    """Return how unusual a share is beside another, as a normal score of the difference of two angles (Cohen 1988)."""
    if whole <= 0 or usual_whole <= 0:
        return 0.0
    angles = [
        math.asin(math.sqrt(min(1.0, (k + 0.375) / (n + 0.75)))) for k, n in ((part, whole), (usual_part, usual_whole))
    ]
    return 2 * (angles[0] - angles[1]) / math.sqrt(1 / (whole + 0.5) + 1 / (usual_whole + 0.5))


def chi_score(value: float, degrees: int) -> float:
    """Return the normal score of a chi-square (Wilson and Hilferty 1931), 0 without degrees of freedom."""
    if degrees < 1:
        return 0.0
    shift = 2 / (9 * degrees)
    return (math.cbrt(value / degrees) - (1 - shift)) / math.sqrt(shift)


def _groups(current: Snapshot, baseline: Snapshot) -> Ints:
    return equal_mass_bins(current.cell_counts("n") + baseline.cell_counts("n"), DEFAULT_BINS)


def _masses(span: Snapshot, name: str, current: Snapshot, baseline: Snapshot) -> Floats:
    masses: Floats = np.bincount(_groups(current, baseline), span.cell(name), DEFAULT_BINS).astype(np.float64)
    return masses


def _ratio(above: Floats, below: Floats) -> Floats:
    """Return the ratio, 1 where there is nothing to divide by."""
    known = below > 0
    ratio: Floats = np.where(known, above / np.where(known, below, 1.0), 1.0)
    return ratio


def _scaled(cells: Ints, weights: Floats | float) -> Ints:
    scaled: Ints = np.rint(cells * weights).astype(np.int64)
    return scaled


def _with_cells(snapshot: Snapshot, cells: Ints) -> Snapshot:
    """Return the snapshot with these cells, and those totals that the cells give."""
    totals, sums = snapshot.totals.copy(), dict(zip(CELL_SUMS, cells.sum(axis=1), strict=True))
    for name in _SHARED:
        totals[_AT[name]] = sums[name]
    totals[_AT["brier"]] = sums["wss_lab"] - 2 * sums["wsy_lab"] + sums["wy_lab"]
    return replace(snapshot, totals=totals, cells=cells)


def _with_counts(current: Snapshot, baseline: Snapshot, names: tuple[str, ...], of: str) -> Snapshot:
    """Return today with these totals as large, beside the total `of`, as in the baseline."""
    totals, usual = current.totals.copy(), int(baseline.totals[_AT[of]])
    if usual:
        for name in names:
            totals[_AT[name]] = round(int(baseline.totals[_AT[name]]) * int(totals[_AT[of]]) / usual)
    return replace(current, totals=totals)
