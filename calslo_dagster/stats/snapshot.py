"""A calibration snapshot: the mergeable sums of one slice over one span of time.

All sums are int64 fixed point, `floor(x * scale + 0.5)` per event, so a merge is exact in any order. Sums over labelled
events carry `lab`; with weight w, score s, label y: ws = sum w*s, wss = sum w*s*s, wsy = sum w*s*y, and so on.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from calslo_dagster.errors import SnapshotError
from calslo_dagster.stats import grid

_K = TypeVar("_K")
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

SUM_SCALE: Final = 2**30
WEIGHT_SQUARE_SCALE: Final = 2**20
# Spiegelhalter's Z divides by a root of its sums, which magnifies what rounding adds to many equal scores. So what
# rounding takes off an event is summed too, as `rest` in units of its own.
Z_SCALE: Final = 2**36
REST_SCALE: Final = 2**26

CELL_SUMS: Final = ("n", "w", "ws", "n_lab", "w_lab", "w2_lab", "ws_lab", "wss_lab", "wy_lab", "wsy_lab")
BAD_REASONS: Final = ("null", "nan", "infinite", "below", "above", "bad_label", "bad_weight")
BAD_SCORE_REASONS: Final = ("null", "nan", "infinite", "below", "above")
TOTAL_SUMS: Final = (
    # events with a valid score, and the part of them that has a label
    *("n", "w", "ws", "wss", "n_lab", "w_lab", "ws_lab", "wy_lab"),
    # proper scores of labelled events; log loss clips scores to [2**-52, 1 - 2**-52]
    *("brier", "brier2", "log_loss", "log_loss2"),
    # Spiegelhalter 1986: sum w*(y-p)*(1-2p) and sum w^2*(1-2p)^2*p*(1-p)
    *("z_num", "z_var", "z_num_rest", "z_var_rest"),
    # what the calibrator did: events whose clamping is known and those clamped; alpha; latency
    *("n_clamp_known", "n_clamped", "n_alpha", "alpha", "alpha2", "n_latency", "n_slow", "bad_latency"),
    # rows kept out of every sum above, by reason, and repeated prediction ids
    *BAD_REASONS,
    *("duplicates", "conflicts"),
)
_OF_LABELS: Final = frozenset(TOTAL_SUMS[4:16]) | {"bad_label", "conflicts"}
COUNTS: Final = frozenset(
    {"n", "n_lab", "n_clamp_known", "n_clamped", "n_alpha", "n_latency", "n_slow", "bad_latency"}
    | {*BAD_REASONS, "duplicates", "conflicts"}
)

LATENCY_GAMMA: Final = 1.01 / 0.99
LATENCY_BUCKETS: Final = 1_200

# Sums in two parts, with the name of the second.
RESTS: Final = {"z_num": "z_num_rest", "z_var": "z_var_rest"}

_TOTAL_AT: Final = {name: i for i, name in enumerate(TOTAL_SUMS)}
_CELL_AT: Final = {name: i for i, name in enumerate(CELL_SUMS)}


def scale_of(name: str) -> int:
    """Return what one unit of the sum `name` is stored as: 1 for counts, a power of two otherwise."""
    if name in COUNTS:
        return 1
    if name in RESTS:
        return Z_SCALE
    if name in RESTS.values():
        return Z_SCALE * REST_SCALE
    return WEIGHT_SQUARE_SCALE if name == "w2_lab" else SUM_SCALE


def _zeros(*shape: int) -> Callable[[], Ints]:
    return lambda: np.zeros(shape, dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """Sums of one slice over one span.

    totals: shape (len(TOTAL_SUMS),); cells: shape (len(CELL_SUMS), 795), valid scores only; latency: shape
    (1200,), events per log bucket with upper bound LATENCY_GAMMA ** index microseconds; masks: (calibrator version,
    mask id) to events; versions: calibrator version to events; is_restricted: `above` or `below` cut off a part;
    derived: what estimators that share a step have derived from it, no part of its value.
    """

    totals: Ints = field(default_factory=_zeros(len(TOTAL_SUMS)))
    cells: Ints = field(default_factory=_zeros(len(CELL_SUMS), grid.FINE_BINS))
    latency: Ints = field(default_factory=_zeros(LATENCY_BUCKETS))
    masks: dict[tuple[str, str], int] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    is_restricted: bool = False
    derived: dict[object, Any] = field(default_factory=dict, init=False, repr=False)

    def count(self, name: str) -> int:
        """Return the count `name` as an integer."""
        return int(self.totals[_TOTAL_AT[name]])

    def total(self, name: str) -> float:
        """Return the total `name` in its own unit."""
        rest = self.total(RESTS[name]) if name in RESTS else 0.0
        return float(self.totals[_TOTAL_AT[name]]) / scale_of(name) + rest

    def cell(self, name: str) -> Floats:
        """Return the cell sums `name` in their own unit, shape (795,)."""
        sums: Floats = self.cells[_CELL_AT[name]] / scale_of(name)
        return sums

    def cell_fixed(self, name: str) -> Ints:
        """Return the cell sums `name` as they are stored, shape (795,)."""
        sums: Ints = self.cells[_CELL_AT[name]]
        return sums

    def cell_counts(self, name: str) -> Ints:
        """Return the cell counts `n` or `n_lab` as integers, shape (795,)."""
        if name not in COUNTS:
            raise ValueError(f"{name} is a fixed-point sum, not a count; use cell({name!r})")
        counts: Ints = self.cells[_CELL_AT[name]]
        return counts

    @property
    def events(self) -> int:
        """Events with a valid score."""
        return self.count("n")

    @property
    def labeled(self) -> int:
        """Events with a valid score and a label."""
        return self.count("n_lab")

    @property
    def bad_scores(self) -> int:
        """Rows whose score is null, NaN, infinite or outside [0, 1]."""
        return sum(self.count(reason) for reason in BAD_SCORE_REASONS)

    def without_labels(self) -> Self:
        """Return what is known of events whatever their labels: totals, latency, masks and versions, no cells."""
        known = np.array([name not in _OF_LABELS for name in TOTAL_SUMS])
        return type(self)(
            np.where(known, self.totals, 0), latency=self.latency, masks=self.masks, versions=self.versions
        )

    def above(self, score: float) -> Self:
        """Return the part of the snapshot with scores at or above `score`; exact for multiples of 1/60 below 1.

        Only sums that the cells hold can be restricted: totals that they do not give are zero in the part, as if
        unknown, and masks and versions are those of the whole.
        """
        return self._cells_where(grid.bin_bounds()[0] >= score)

    def below(self, score: float) -> Self:
        """Return the part of the snapshot with scores below `score`; the other half of `above`."""
        return self._cells_where(grid.bin_bounds()[0] < score)

    def _cells_where(self, keep: NDArray[np.bool_]) -> Self:
        cells = np.where(keep, self.cells, 0)
        return type(self)(
            totals=_totals_of(cells), cells=cells, masks=self.masks, versions=self.versions, is_restricted=True
        )

    def __add__(self, other: Self) -> Self:
        """Return the snapshot of both together; exact."""
        return type(self)(
            _added([self.totals, other.totals]),
            _added([self.cells, other.cells]),
            _added([self.latency, other.latency]),
            _sum_counts((self.masks, other.masks)),
            _sum_counts((self.versions, other.versions)),
            self.is_restricted or other.is_restricted,
        )


def merge(snapshots: Iterable[Snapshot]) -> Snapshot:
    """Return the sum of the snapshots; the empty snapshot for none."""
    parts = list(snapshots)
    if not parts:
        return Snapshot()
    return Snapshot(
        _added([s.totals for s in parts]),
        _added([s.cells for s in parts]),
        _added([s.latency for s in parts]),
        _sum_counts(s.masks for s in parts),
        _sum_counts(s.versions for s in parts),
        any(s.is_restricted for s in parts),
    )


def _added(parts: Sequence[Ints]) -> Ints:
    """Return the sum of equally shaped parts; raise SnapshotError where 64 bits do not hold it."""
    stacked = np.stack(parts)
    total: Ints = stacked.sum(axis=0)
    # Integers wrap around in silence; the sum in floating point shows that they did.
    if np.abs(stacked.sum(axis=0, dtype=np.float64)).max() >= 2.0**63:
        raise SnapshotError("sums over this span do not fit 64 bits; merge fewer events or scale the weights down")
    return total


def _totals_of(cells: Ints) -> Ints:
    """Return the totals that the cells give, the others zero; shape (len(TOTAL_SUMS),)."""
    totals = np.zeros(len(TOTAL_SUMS), dtype=np.int64)
    sums = dict(zip(CELL_SUMS, cells.sum(axis=1), strict=True))
    sums["brier"] = sums["wss_lab"] - 2 * sums["wsy_lab"] + sums["wy_lab"]
    for name, i in _TOTAL_AT.items():
        totals[i] = sums.get(name, 0)
    return totals


def _sum_counts(counts: Iterable[dict[_K, int]]) -> dict[_K, int]:
    out: dict[_K, int] = {}
    for part in counts:
        for key, n in part.items():
            out[key] = out.get(key, 0) + n
    return out
