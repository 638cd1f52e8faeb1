"""Snapshots from plain arrays: the slow, independent reference of what one aggregate pass must yield.

Every sum is `floor(x * scale + 0.5)` per event, products are taken from left to right as written in `_values`, and
logarithms come from the C library, so an engine that follows the same text yields the same integers.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from calslo_dagster.stats import grid
from calslo_dagster.stats.snapshot import (
    CELL_SUMS,
    LATENCY_BUCKETS,
    LATENCY_GAMMA,
    REST_SCALE,
    RESTS,
    TOTAL_SUMS,
    Z_SCALE,
    Snapshot,
    scale_of,
)

Column = Iterable[Any] | None
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

MAX_WEIGHT: Final = 10_000.0
LOG_LOSS_CLIP: Final = 2.0**-52


@dataclass(frozen=True, slots=True)
class Event:
    """One row as the log has it; None is a null."""

    score: float | None
    label: float | None = None
    weight: float | None = None
    latency_us: float | None = None
    clamped: bool | None = None
    alpha: float | None = None
    version: str = ""
    mask_id: str | None = None


def snap(
    scores: Iterable[Any],
    labels: Column = None,
    weights: Column = None,
    latency: Column = None,
    *,
    clamped: Column = None,
    alpha: Column = None,
    versions: Column = None,
    mask_ids: Column = None,
    slow_us: float = 1_000.0,
) -> Snapshot:
    """Return the snapshot of these columns, each of length N or None for nulls.

    A None in any column is a null; a NaN score is rejected as such, a NaN label is a null. Rows are rejected by the
    first reason of null, nan, infinite, below, above, bad_weight, bad_label, and counted under it.
    """
    score_column = list(scores)
    columns = [_column(c, len(score_column)) for c in (labels, weights, latency, clamped, alpha, versions, mask_ids)]
    rows = zip(score_column, *columns, strict=True)
    events = [Event(s, y, w, us, c, a, v or "", m) for s, y, w, us, c, a, v, m in rows]
    return snap_events(events, slow_us=slow_us)


def snap_events(
    events: Sequence[Event], *, slow_us: float = 1_000.0, duplicates: int = 0, conflicts: int = 0
) -> Snapshot:
    """Return the snapshot of these events, which hold no repeated prediction any more."""
    reasons = [rejection(event) for event in events]
    good = [event for event, reason in zip(events, reasons, strict=True) if reason is None]
    totals = Counter({reason: n for reason, n in Counter(reasons).items() if reason is not None})
    totals.update(duplicates=duplicates, conflicts=conflicts)
    sums, latency = _values(good), Counter(_latency_bucket(e.latency_us) for e in good)
    for name in TOTAL_SUMS:
        if name in sums:
            totals[name] += int(sums[name].sum())
    totals.update(_latency_counts(good, slow_us))
    del latency[None]
    return Snapshot(
        totals=np.array([totals[name] for name in TOTAL_SUMS], dtype=np.int64),
        cells=_cells(good, sums),
        latency=np.array([latency[i] for i in range(LATENCY_BUCKETS)], dtype=np.int64),
        masks=dict(Counter((e.version, e.mask_id) for e in good if e.mask_id is not None)),
        versions=dict(Counter(e.version for e in good)),
    )


def rejection(event: Event) -> str | None:
    """Return why the event is kept out of every sum, or None for a good one."""
    s, y, w = event.score, event.label, event.weight
    checks = (
        ("null", s is None),
        ("nan", s is not None and math.isnan(s)),
        ("infinite", s is not None and math.isinf(s)),
        ("below", s is not None and s < 0.0),
        ("above", s is not None and s > 1.0),
        ("bad_weight", w is not None and not 0.0 <= w <= MAX_WEIGHT),
        ("bad_label", not _is_null(y) and y not in (0, 1)),
    )
    return next((reason for reason, applies in checks if applies), None)


def _is_null(value: float | None) -> bool:
    return value is None or math.isnan(value)


def _column(column: Column, count: int) -> list[Any]:
    return [None] * count if column is None else list(column)


def _fixed(values: Floats, name: str) -> Ints:
    return np.floor(values * scale_of(name) + 0.5).astype(np.int64)


def _values(good: Sequence[Event]) -> dict[str, Ints]:
    """Return per good event what it adds to each sum, each shape (N,)."""
    s = np.array([e.score for e in good], dtype=np.float64) + 0.0
    w = np.array([1.0 if e.weight is None else e.weight for e in good], dtype=np.float64)
    has = np.array([not _is_null(e.label) for e in good], dtype=np.float64)
    y = np.array([0.0 if e.label is None or _is_null(e.label) else e.label for e in good], dtype=np.float64)
    known = np.array([e.alpha is not None and math.isfinite(e.alpha) for e in good], dtype=np.float64)
    a = np.array([e.alpha if k else 0.0 for e, k in zip(good, known, strict=True)], dtype=np.float64)
    b, loss = (s - y) * (s - y), _log_loss(s, y)
    plain = {
        "n": np.ones(len(good)),
        "w": w,
        "ws": w * s,
        "wss": w * s * s,
        "n_clamp_known": np.array([e.clamped is not None for e in good], dtype=np.float64),
        "n_clamped": np.array([bool(e.clamped) for e in good], dtype=np.float64),
        "n_alpha": known,
        "alpha": a,
        "alpha2": a * a,
    }
    labelled = {
        "n_lab": np.ones(len(good)),
        "w_lab": w,
        "w2_lab": w * w,
        "ws_lab": w * s,
        "wss_lab": w * s * s,
        "wy_lab": w * y,
        "wsy_lab": w * s * y,
        "brier": w * b,
        "brier2": w * b * b,
        "log_loss": w * loss,
        "log_loss2": w * loss * loss,
        "z_num": w * ((y - s) * (1.0 - 2.0 * s)),
        "z_var": w * w * ((1.0 - 2.0 * s) * (1.0 - 2.0 * s) * (s * (1.0 - s))),
    }
    out = {name: _fixed(values, name) for name, values in plain.items()}
    out.update({name: _fixed(values * has, name) for name, values in labelled.items()})
    out.update({rest: _rest(labelled[name] * has) for name, rest in RESTS.items()})
    return out


def _rest(values: Floats) -> Ints:
    scaled = values * Z_SCALE
    return np.floor((scaled - np.floor(scaled + 0.5)) * REST_SCALE + 0.5).astype(np.int64)


def _log_loss(s: Floats, y: Floats) -> Floats:
    q = np.clip(s, LOG_LOSS_CLIP, 1.0 - LOG_LOSS_CLIP)
    return np.array([-math.log(x) for x in np.where(y == 1.0, q, 1.0 - q)], dtype=np.float64)


def _cells(good: Sequence[Event], sums: dict[str, Ints]) -> Ints:
    bins = grid.fine_bins(np.array([e.score for e in good], dtype=np.float64) + 0.0)
    out = np.zeros((len(CELL_SUMS), grid.FINE_BINS), dtype=np.int64)
    for i, name in enumerate(CELL_SUMS):
        np.add.at(out[i], bins, sums[name])
    return out


def _is_good_latency(us: float | None) -> bool:
    return us is not None and math.isfinite(us) and us >= 0.0


def _latency_bucket(us: float | None) -> int | None:
    if us is None or not _is_good_latency(us):
        return None
    if us <= 1.0:
        return 0
    return min(LATENCY_BUCKETS - 1, math.ceil(math.log(us) / math.log(LATENCY_GAMMA)))


def _latency_counts(good: Sequence[Event], slow_us: float) -> dict[str, int]:
    given = [e.latency_us for e in good if e.latency_us is not None]
    valid = [us for us in given if _is_good_latency(us)]
    return {
        "n_latency": len(valid),
        "n_slow": sum(us >= slow_us for us in valid),
        "bad_latency": len(given) - len(valid),
    }
