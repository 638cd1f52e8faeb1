"""Distances between two distributions of scores: how far traffic has moved, which is no fault of calibration.

All valid scores count, labelled or not: bin b holds the share a_b of the weight of one span with n events and c_b of
that of the other with m. Each distance has a floor, its mean when both spans draw from one distribution.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from calslo_dagster.stats.bins import DEFAULT_BINS, equal_mass_bins
from calslo_dagster.stats.p_values import chi_square_tail, kolmogorov_tail
from calslo_dagster.stats.scores import labeled_size
from calslo_dagster.stats.snapshot import Snapshot

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PSI_BINS: Final = 10
# The mean of the largest |Brownian bridge|, sqrt(pi / 2) ln 2.
KOLMOGOROV_MEAN: Final = math.sqrt(math.pi / 2) * math.log(2)


@dataclass(frozen=True, slots=True)
class Distance:
    """One distance, in its own unit and never negative.

    floor: its mean when nothing has changed; p_value: how often chance alone yields as much; events: of the smaller
    span.
    """

    value: float
    floor: float
    p_value: float
    events: int


def population_stability(current: Snapshot, baseline: Snapshot, bins: int = PSI_BINS) -> Distance | None:
    """Return the population stability index, sum (a - c) ln(a / c), over equal-mass bins of the baseline.

    In nats; 0.1 and 0.25 are customary limits (Siddiqi 2006, chapter 6). Half an event is added to each bin, or an
    empty one would make it infinite. Under one distribution it is about (1/n + 1/m) chi-square with B - 1 degrees of
    freedom (Yurdakul and Naranjo 2020), B the bins that either span fills. None where a span has no scores.
    """
    if not _have_scores(current, baseline):
        return None
    placed = equal_mass_bins(baseline.cell_fixed("w"), bins)
    masses = [_sums(placed, _shares(span)) for span in (current, baseline)]
    filled = (masses[0] + masses[1]) > 0
    a, c = (
        (mass[filled] * size + 0.5) / (size + 0.5 * filled.sum())
        for mass, size in zip(masses, (_size(current), _size(baseline)), strict=True)
    )
    value = float(((a - c) * np.log(a / c)).sum())
    return _chi_square_distance(value, 1.0, int(filled.sum()), (current, baseline))


def jensen_shannon(current: Snapshot, baseline: Snapshot, bins: int = DEFAULT_BINS) -> Distance | None:
    """Return the Jensen-Shannon divergence in bits, in [0, 1], over equal-mass bins of both spans pooled.

    H((a + c) / 2) - H(a) / 2 - H(c) / 2 with H the entropy to base 2 (Lin 1991, equation 3.3); its root is a metric.
    Under one distribution it is about (1/n + 1/m) / (8 ln 2) chi-square with B - 1 degrees of freedom, to second order
    in a - c. Pooling weighs both spans alike, so the distance is symmetric. None where a span has no scores.
    """
    if not _have_scores(current, baseline):
        return None
    shares = [_shares(span) for span in (current, baseline)]
    pooled: Ints = np.rint((shares[0] + shares[1]) * 2.0**30).astype(np.int64)
    placed = equal_mass_bins(pooled, bins)
    a, c = (_sums(placed, share) for share in shares)
    value = max(0.0, _entropy((a + c) / 2) - _entropy(a) / 2 - _entropy(c) / 2)
    filled = int(((a + c) > 0).sum())
    return _chi_square_distance(min(1.0, value), 8 * math.log(2), filled, (current, baseline))


def kolmogorov_smirnov(current: Snapshot, baseline: Snapshot) -> Distance | None:
    """Return the largest difference between the distribution functions, in [0, 1], where fine bins end.

    P(X > (r + 0.12 + 0.11 / r) value) with r = sqrt(n m / (n + m)) and X the largest |Brownian bridge| (Stephens
    1970). It misses at most the mass of one fine bin, and repeated scores make it smaller too, so the p-value is
    conservative. None where a span has no scores.
    """
    if not _have_scores(current, baseline):
        return None
    value = float(np.abs(np.cumsum(_shares(current) - _shares(baseline))).max())
    root = 1 / math.sqrt(1 / _size(current) + 1 / _size(baseline))
    p_value = kolmogorov_tail((root + 0.12 + 0.11 / root) * value)
    return Distance(value, KOLMOGOROV_MEAN / root, p_value, min(current.events, baseline.events))


def _chi_square_distance(value: float, factor: float, filled: int, pair: tuple[Snapshot, Snapshot]) -> Distance:
    current, baseline = pair
    unit = (1 / _size(current) + 1 / _size(baseline)) / factor
    p_value = chi_square_tail(value / unit, filled - 1) if filled > 1 else 1.0
    return Distance(value, (filled - 1) * unit, p_value, min(current.events, baseline.events))


def _have_scores(current: Snapshot, baseline: Snapshot) -> bool:
    # Events may all weigh nothing.
    return all(span.cell_fixed("w").any() for span in (current, baseline))


def _shares(snapshot: Snapshot) -> Floats:
    """Return the share of the weight in each fine bin."""
    weight = snapshot.cell("w")
    shares: Floats = weight / float(weight.sum())
    return shares


def _sums(placed: Ints, values: Floats) -> Floats:
    """Return the sum of the values per bin, from the bin of each."""
    sums: Floats = np.bincount(placed, values).astype(np.float64)
    return sums


def _size(snapshot: Snapshot) -> float:
    """Return the effective number of events: their number, less what the weights of the labelled ones take off it."""
    effective = labeled_size(snapshot)
    return snapshot.events * (effective / snapshot.labeled if effective > 0 else 1.0)


def _entropy(shares: Floats) -> float:
    """Return the entropy in bits."""
    known = shares[shares > 0]
    return -float((known * np.log2(known)).sum())
