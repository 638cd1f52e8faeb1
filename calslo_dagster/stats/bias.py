"""Bias: how far scores lie above what happens, with its sign."""

import math

from calslo_dagster.stats.bins import DEFAULT_BINS, Binned
from calslo_dagster.stats.estimate import Estimate
from calslo_dagster.stats.intervals import LEVEL
from calslo_dagster.stats.scores import NO_LABELS
from calslo_dagster.stats.skewed import count_interval
from calslo_dagster.stats.snapshot import Snapshot


def mean_bias(snapshot: Snapshot, *, level: float = LEVEL) -> Estimate:
    """Return mean score less mean label, weighted, in [-1, 1]; positive where the model overstates.

    Calibration in the large (Cox 1958). Labels vary by sum w^2 q (1 - q), which is at most the larger of what scores
    claim and what the rates of 15 equal-mass bins show; the scores are taken as given. The interval is that of
    `count_interval` for the expected number of positives, which keeps its width when no positive was seen. Works on a
    part of the range, `mean_bias(snapshot.above(0.9))`.
    """
    sums = Binned.equal_mass(snapshot, DEFAULT_BINS)
    if not len(sums.index):
        return Estimate.missing(NO_LABELS, snapshot.labeled)
    weight, unit = sums.total_weight, sums.unit
    value, variance = float(sums.gap.sum()) / weight, float(sums.variance.sum())
    positives, size = float(sums.label.sum()) / unit, weight / unit
    fewest, most = count_interval(positives, variance / unit**2, size, level)
    return Estimate(
        value,
        low=max(-1.0, value - (most - positives) / size),
        high=min(1.0, value + (positives - fewest) / size),
        events=sums.total_events,
        standard_error=math.sqrt(variance) / weight,
    )
