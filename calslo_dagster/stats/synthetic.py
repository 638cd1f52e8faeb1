"""Synthetic snapshots: the sums that given numbers of events and positives per fine bin would have left."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from calslo_dagster.stats import grid
from calslo_dagster.stats.snapshot import CELL_SUMS, TOTAL_SUMS, Snapshot, scale_of

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_CELL_SCALES: Final = np.array([[float(scale_of(name))] for name in CELL_SUMS])
_TOTAL_SCALES: Final = np.array([float(scale_of(name)) for name in TOTAL_SUMS])
_SMALLEST: Final = 2.0**-52


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Scores by occupied fine bin, each of shape (cells,): its index, its share of the events, mean and variance."""

    at: Ints
    share: Floats
    mean: Floats
    variance: Floats

    @classmethod
    def of_scores(cls, scores: Floats) -> Self:
        """Return the cells of a sample of scores."""
        bins = grid.fine_bins(scores)
        count, total, square = (np.bincount(bins, w, grid.FINE_BINS) for w in (None, scores, scores * scores))
        at = np.flatnonzero(count)
        mean = total[at] / count[at]
        return cls(at, count[at] / len(scores), mean, np.maximum(square[at] / count[at] - mean * mean, 0.0))

    @classmethod
    def of_snapshot(cls, snapshot: Snapshot) -> Self:
        """Return the cells of the labelled events of a snapshot, of all events where none has a label.

        Weighted events count as many as carry their information, (sum w)^2 / sum w^2 per bin (Kish 1965).
        """
        weight, mean, square = (snapshot.cell(name) for name in ("w_lab", "ws_lab", "wss_lab"))
        size = weight * weight / np.where(weight > 0, snapshot.cell("w2_lab"), 1.0)
        if not size.any():
            weight = size = snapshot.cell("w")
            mean = snapshot.cell("ws")
            square = np.zeros(len(mean))
        at = np.flatnonzero(size)
        mean = np.clip(mean[at] / weight[at], 0.0, 1.0)
        return cls(at, size[at] / size.sum(), mean, np.maximum(square[at] / weight[at] - mean * mean, 0.0))


@dataclass(frozen=True, slots=True, eq=False)
class Extras:
    """What is known of the events of each snapshot beside scores and labels, each of shape (snapshots,).

    clamp_known, clamped, timed, slow: counts; latency: fast and slow events per bucket, (snapshots, 1200); alphas,
    alpha, alpha2: events with an alpha, its sum and the sum of its square; versions: what the events are shared among.
    """

    clamp_known: Ints
    clamped: Ints
    timed: Ints
    slow: Ints
    latency: Ints
    alphas: Ints
    alpha: Floats
    alpha2: Floats
    versions: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """What was drawn for each snapshot and cell, each of shape (snapshots, cells).

    labeled, positive, others: events with a label, with a label of 1, without a label; normal: standard normals.
    """

    labeled: Ints
    positive: Ints
    others: Ints
    normal: Floats


def snapshots_of(cells: Cells, drawn: Drawn, extras: Extras) -> Iterator[Snapshot]:
    """Yield the snapshots of what was drawn, in order.

    Scores are spread within their bin as its variance says, and so are the labels: where a bin is cut, that sets how
    many of them fall on either side.
    """
    sums = _cell_sums(cells, drawn)
    totals = _totals(cells, drawn, sums, extras)
    stored = np.round(sums * _CELL_SCALES).astype(np.int64)
    for row, (part, total) in enumerate(zip(stored, totals, strict=True)):
        whole = np.zeros((len(CELL_SUMS), grid.FINE_BINS), dtype=np.int64)
        whole[:, cells.at] = part
        yield Snapshot(total, whole, extras.latency[row], versions=dict(extras.versions))


def _cell_sums(cells: Cells, drawn: Drawn) -> Floats:
    """Return the sums of CELL_SUMS, shape (snapshots, sums, cells)."""
    labeled, positive, others = (one.astype(np.float64) for one in (drawn.labeled, drawn.positive, drawn.others))
    # A single event has no spread about its own score.
    spread = np.maximum(labeled - 1, 0.0) * cells.variance
    # sum (s - m)(y - s) of n events has the variance n var(s) m (1 - m).
    leaning = drawn.normal * np.sqrt(spread * (cells.mean * (1 - cells.mean)))
    score = labeled * cells.mean
    sums = {
        "n": labeled + others,
        "w": labeled + others,
        "ws": score + others * cells.mean,
        "n_lab": labeled,
        "w_lab": labeled,
        "w2_lab": labeled,
        "ws_lab": score,
        "wss_lab": score * cells.mean + spread,
        "wy_lab": positive,
        "wsy_lab": positive * cells.mean + spread + leaning,
    }
    return np.stack([sums[name] for name in CELL_SUMS], axis=1)


def _totals(cells: Cells, drawn: Drawn, sums: Floats, extras: Extras) -> Ints:
    """Return the sums of TOTAL_SUMS as they are stored, shape (snapshots, totals)."""
    labeled, positive = drawn.labeled, drawn.positive
    p, negative = cells.mean, labeled - positive
    by_cell = dict(zip(CELL_SUMS, sums.sum(axis=2).T, strict=True))
    surprise, calm = -np.log(np.maximum(p, _SMALLEST)), -np.log(np.maximum(1 - p, _SMALLEST))
    told = by_cell | {
        "wss": (sums[:, CELL_SUMS.index("n")] * (p * p + cells.variance)).sum(axis=1),
        "brier": by_cell["wss_lab"] - 2 * by_cell["wsy_lab"] + by_cell["wy_lab"],
        "brier2": positive @ (1 - p) ** 4 + negative @ p**4,
        "log_loss": positive @ surprise + negative @ calm,
        "log_loss2": positive @ surprise**2 + negative @ calm**2,
        "z_num": (positive - labeled * p) @ (1 - 2 * p),
        "z_var": labeled @ ((1 - 2 * p) ** 2 * p * (1 - p)),
        "n_clamp_known": extras.clamp_known,
        "n_clamped": extras.clamped,
        "n_alpha": extras.alphas,
        "alpha": extras.alpha,
        "alpha2": extras.alpha2,
        "n_latency": extras.timed,
        "n_slow": extras.slow,
    }
    nothing = np.zeros(len(labeled))
    table = np.stack([np.asarray(told.get(name, nothing), dtype=np.float64) for name in TOTAL_SUMS], axis=1)
    stored: Ints = np.round(table * _TOTAL_SCALES).astype(np.int64)
    return stored
