"""Why a calibration metric moved from one span to the next, exactly: four causes whose effects sum to the change.

A slice s has the share m_s of all events. Its scores fall into groups b with shares g_sb and mean scores; the share
l_sb of their events has labels, whose rate exceeds the mean score by d_sb. Any metric here is a function M(m, g, d, l)
of these, by the masses m_s g_sb l_sb and a mean residual or loss per group. M of hybrids, with some causes as they are
now and some as they were before, gives the effect of a cause as its Shapley value: the mean of what its switch from
then to now changes, over all orders in which the causes may switch (Shapley 1953; Shorrocks 2013, section 3; for two
causes the midpoint rule of Kitagawa 1955).
"""

import math
from collections.abc import Hashable, Mapping
from dataclasses import astuple, dataclass
from enum import StrEnum
from itertools import product
from typing import Final, Generic, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from calslo_dagster.stats import grid
from calslo_dagster.stats.bins import DEFAULT_BINS, equal_mass_bins
from calslo_dagster.stats.snapshot import SUM_SCALE, Snapshot

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Key = TypeVar("Key", bound=Hashable)
Spans = tuple[Snapshot, Snapshot]

CAUSES: Final = 4
WIDTH_BINS: Final = 10


class Metric(StrEnum):
    """What can be attributed. Log loss cannot: its sum is known per slice, not per score."""

    BRIER = "brier"
    BIAS = "bias"
    ECE = "ece"


@dataclass(frozen=True, slots=True)
class Effects:
    """What each cause adds to a metric, in its unit.

    mix: slices have other shares of the traffic; scores: the model scores a slice otherwise; outcome: labels have
    another rate at the same score; coverage: other parts of the events have labels.
    """

    mix: float
    scores: float
    outcome: float
    coverage: float

    @property
    def total(self) -> float:
        """The change of the metric."""
        return math.fsum(astuple(self))


@dataclass(frozen=True, slots=True)
class Attribution(Generic[Key]):
    """The change of a metric from `baseline` to `current`, which `effects` sum to within 1e-12.

    slices: the part that each slice has in the effects, which sum to them.
    """

    current: float
    baseline: float
    effects: Effects
    slices: tuple[tuple[Key, Effects], ...]


def attribution(
    current: Mapping[Key, Snapshot], baseline: Mapping[Key, Snapshot], metric: Metric, *, bins: int = WIDTH_BINS
) -> Attribution[Key] | None:
    """Return the causes of the change of a metric of all slices together, each slice with its snapshot.

    The metric is `brier`, `mean_bias` or, with `bins` that divide 60, `equal_width_ece` of the merged snapshots. Groups
    are at most 15 of equal mass per slice, no more than the root of its labelled events, and cut at the bins of the
    ECE; within one, scores that move and take the rate along count as scores. Where one span does not say what a cause
    would be (a slice without events, a group without labels), it is as in the other, so a new slice is a matter of the
    mix alone; groups with few labels in one span and much of the mass in the other make the outcome noisy. A slice's
    part in the mix is measured from the mean of both values: more traffic of a slice that is better than most lowers
    the metric. None where a span has no labelled weight, or some hybrid of both has none.
    """
    keys = tuple(dict.fromkeys([*baseline, *current]))
    pairs = [(baseline.get(key, Snapshot()), current.get(key, Snapshot())) for key in keys]
    if any(sum(float(pair[when].cell("w_lab").sum()) for pair in pairs) <= 0.0 for when in (0, 1)):
        return None
    world = _World.of(pairs, bins)
    ends = [world.value((when,) * CAUSES, metric) for when in (0, 1)]
    parts: dict[tuple[int, ...], Floats] = {}
    for switches in product((0, 1), repeat=CAUSES):
        found = world.parts(switches, metric, centre=sum(ends) / 2)
        if found is None:
            return None
        parts[switches] = found
    shares = _shapley(parts)
    if metric is Metric.BRIER:
        # The score is summed per event and per cell, each rounded; the difference is no matter of mix or scores.
        rounding = [_brier_rounding([pair[when] for pair in pairs]) for when in (0, 1)]
        ends = [end + float(rest.sum()) for end, rest in zip(ends, rounding, strict=True)]
        shares[2] += rounding[1] - rounding[0]
    slices = tuple((key, Effects(*map(float, shares[:, i]))) for i, key in enumerate(keys))
    return Attribution(ends[1], ends[0], Effects(*(math.fsum(row) for row in shares)), slices)


@dataclass(frozen=True, slots=True)
class _World:
    """Both spans, as arrays of shape (2, slices) or (2, groups) with the earlier span first.

    slice_of, bin_of: the slice and the equal-width bin of each group, (groups,); mix: shares of the slices; share: of
    each group in its slice; coverage: labelled part; score, square: mean of p and p^2; gap: mean of y - p; tie:
    covariance of p and y - p within the group.
    """

    slice_of: Ints
    bin_of: Ints
    mix: Floats
    share: Floats
    coverage: Floats
    score: Floats
    square: Floats
    gap: Floats
    tie: Floats

    @classmethod
    def of(cls, pairs: list[Spans], bins: int) -> Self:
        groups = [_groups(pair, bins) for pair in pairs]
        slice_of = np.repeat(np.arange(len(groups)), [len(bin_of) for bin_of, _ in groups])
        bin_of = np.concatenate([bin_of for bin_of, _ in groups])
        sums = np.concatenate([sums for _, sums in groups], axis=2)
        weight, labeled, score, square, label, both = sums
        size = np.array([np.bincount(slice_of, one, len(pairs)) for one in weight], dtype=np.float64)
        mean, excess = _ratio(score, labeled), label - score
        return cls(
            slice_of,
            bin_of,
            mix=size / size.sum(axis=1, keepdims=True),
            share=_ratio(weight, size[:, slice_of]),
            coverage=_ratio(labeled, weight),
            score=mean,
            square=_ratio(square, labeled),
            gap=_ratio(excess, labeled),
            tie=_ratio(both - square - mean * excess, labeled),
        )

    def parts(self, switches: tuple[int, ...], metric: Metric, *, centre: float) -> Floats | None:
        """Return what each slice has in the metric less `centre`, shape (slices,), in this hybrid of both spans.

        None without labelled mass in it. For the ECE, a slice has in each bin what its residuals add to the bin's sign.
        """
        mix, scores, outcome, coverage = switches
        masses = self.mix[mix, self.slice_of] * self.share[scores] * self.coverage[coverage]
        total = float(masses.sum())
        if total <= 0.0:
            return None
        each = -self.gap[outcome]
        if metric is Metric.BRIER:
            # (p - y)^2 = p (1 - p) + (y - p)(1 - 2p): calibrated scores that move take their labels along.
            p = self.score[scores]
            each = p - self.square[scores] - each * (1 - 2 * p) - 2 * self.tie[outcome]
        if metric is Metric.ECE:
            each = each * np.sign(np.bincount(self.bin_of, masses * each))[self.bin_of]
        parts: Floats = np.bincount(self.slice_of, masses * (each - centre), self.mix.shape[1]) / total
        return parts

    def value(self, switches: tuple[int, ...], metric: Metric) -> float:
        """Return the metric in this hybrid, 0 without labelled mass."""
        parts = self.parts(switches, metric, centre=0.0)
        return 0.0 if parts is None else float(parts.sum())


def _groups(pair: Spans, bins: int) -> tuple[Ints, Floats]:
    """Return the equal-width bin of each group, (groups,), and its sums in both spans, (6, 2, groups)."""
    enough = min((span.labeled for span in pair if span.labeled), default=1)
    pooled = pair[0].cell_counts("n") + pair[1].cell_counts("n")
    placed = equal_mass_bins(pooled, min(DEFAULT_BINS, math.isqrt(enough)))
    wide = grid.equal_width_bins(bins)
    used = np.flatnonzero(pair[0].cell_fixed("w") + pair[1].cell_fixed("w"))
    found, group = np.unique(wide[used] * DEFAULT_BINS + placed[used], return_inverse=True)
    names = ("w", "w_lab", "ws_lab", "wss_lab", "wy_lab", "wsy_lab")
    sums = [[np.bincount(group, span.cell(name)[used], len(found)) for span in pair] for name in names]
    return found // DEFAULT_BINS, np.array(sums, dtype=np.float64).reshape(len(names), 2, len(found))


def _ratio(above: Floats, below: Floats) -> Floats:
    """Return the ratio in each span, that of the other span where `below` is 0, 0 where it is in both; (2, n)."""
    known = below > 0
    ratio = np.where(known, above / np.where(known, below, 1.0), 0.0)
    filled: Floats = np.where(known, ratio, ratio[::-1])
    return filled


def _shapley(parts: Mapping[tuple[int, ...], Floats]) -> Floats:
    """Return the Shapley value of each cause per slice, shape (CAUSES, slices)."""
    orders = [math.factorial(k) * math.factorial(CAUSES - 1 - k) / math.factorial(CAUSES) for k in range(CAUSES)]
    rows = []
    for cause in range(CAUSES):
        steps = [
            orders[sum(now)] * (parts[(*now[:cause], 1, *now[cause + 1 :])] - parts[now])
            for now in parts
            if not now[cause]
        ]
        rows.append(np.sum(steps, axis=0))
    shapley: Floats = np.array(rows)
    return shapley


def _brier_rounding(spans: list[Snapshot]) -> Floats:
    """Return per slice what its Brier sum exceeds that of its cells by, over the weight of all."""
    weight = sum(float(span.cell("w_lab").sum()) for span in spans)
    rests = [span.total("brier") - _cell_brier(span) for span in spans]
    return np.array(rests) / weight


def _cell_brier(span: Snapshot) -> float:
    fixed = span.cell_fixed("wss_lab") - 2 * span.cell_fixed("wsy_lab") + span.cell_fixed("wy_lab")
    return float(fixed.sum()) / SUM_SCALE
