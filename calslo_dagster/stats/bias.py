"""Bias: how far scores lie above what happens, with its sign."""

import math

from calslo_dagster.stats.bins import DEFAULT_BINS, Binned
from calslo_dagster.stats.estimate import Estimate
from calslo_dagster.stats.intervals import LEVEL, two_sided_z
from calslo_dagster.stats.scores import NO_LABELS
from calslo_dagster.stats.snapshot import Snapshot


def mean_bias(snapshot: Snapshot, *, level: float = LEVEL) -> Estimate:
    """Return mean score less mean label, weighted, in [-1, 1]; positive where the model overstates.

    Calibration in the large (Cox 1958). Labels vary by sum w^2 q (1 - q), which is at most the larger of what scores
    claim and what the rates of 15 equal-mass bins show; the scores are taken as given. The interval is a score
    interval like Wilson's, for the expected number of positives: y + (1 - 2 rate) z^2/2 -+ z sqrt(V + z^2/4), so it
    keeps its width when no positive was seen. Works on a part of the range, `mean_bias(snapshot.above(0.9))`.
    """
    sums = Binned.equal_mass(snapshot, DEFAULT_BINS)
    if not len(sums.index):
        return Estimate.missing(NO_LABELS, snapshot.labeled)
    weight, unit, z = sums.total_weight, sums.unit, two_sided_z(level)
    value, variance = float(sums.gap.sum()) / weight, float(sums.variance.sum())
    rate = float(sums.label.sum()) / weight
    centre = value - (1 - 2 * rate) * unit * z * z / 2 / weight
    half = z * math.sqrt(variance + (unit * z / 2) ** 2) / weight
    return Estimate(
        value,
        low=max(-1.0, centre - half),
        high=min(1.0, centre + half),
        events=sums.total_events,
        standard_error=math.sqrt(variance) / weight,
    )
