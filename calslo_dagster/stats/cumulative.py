"""Cumulative calibration error: how far residuals add up over any span of scores, without bins."""

import math
from functools import cache

import numpy as np

from calslo_dagster.stats.bins import DEFAULT_BINS, Binned
from calslo_dagster.stats.estimate import Estimate
from calslo_dagster.stats.intervals import LEVEL, two_sided_z
from calslo_dagster.stats.p_values import range_tail
from calslo_dagster.stats.scores import NO_LABELS
from calslo_dagster.stats.snapshot import Snapshot


def cumulative_error(snapshot: Snapshot, *, level: float = LEVEL) -> Estimate:
    """Return the ECCE-R or Kuiper statistic, in [0, 1]: the largest |sum w (p - y)| / W over an interval of scores.

    The range, 0 included, of the sums from the lowest score up (Arrieta-Ibarra, Gujral, Tannen, Tygert, Xu 2022,
    section 3.1), looked at where fine bins end. Equal scores enter together, so the order of events is of no matter;
    against sums after every distinct score it is lower by at most the residuals within two fine bins.
    interval: low = value - q s, with q the upper quantile of the range of Brownian motion and s = sqrt(sum V) / W;
    high as in `absolute_sum_interval`, since over the interval of the true maximum noise is normal.
    """
    sums = Binned.equal_mass(snapshot, DEFAULT_BINS)
    if not len(sums.index):
        return Estimate.missing(NO_LABELS, snapshot.labeled)
    value, weight, z = _range(snapshot), sums.total_weight, two_sided_z(level)
    error, unit = math.sqrt(float(sums.variance.sum())) / weight, sums.unit * z / 2 / weight
    high = value + z * (math.hypot(error, unit) + unit)
    low = max(0.0, value - _range_quantile((1 - level) / 2) * error)
    return Estimate(value, low, min(1.0, high), sums.total_events, standard_error=error)


def cumulative_p_value(snapshot: Snapshot) -> float | None:
    """Return the p-value of the cumulative error under perfect calibration, None where no label could differ.

    P(R > value / s) for R the range of Brownian motion over unit time and s = sqrt(sum w^2 p (1 - p)) / W
    (Arrieta-Ibarra et al. 2022, section 3.2). Conservative, as sums at the ends of fine bins range less. A label that
    a score of 0 or 1 rules out counts as any other residual.
    """
    sums = Binned.equal_mass(snapshot, DEFAULT_BINS)
    variance = float(sums.model_variance.sum())
    if variance <= 0.0:
        return None
    return range_tail(_range(snapshot) * sums.total_weight / math.sqrt(variance))


def _range(snapshot: Snapshot) -> float:
    sums = np.cumsum(snapshot.cell_fixed("ws_lab") - snapshot.cell_fixed("wy_lab"))
    # Sums of scores and of labels have one scale, which the weights share.
    return float(max(sums.max(), 0) - min(sums.min(), 0)) / float(snapshot.cell_fixed("w_lab").sum())


@cache
def _range_quantile(tail: float) -> float:
    """Return x with P(R > x) = tail, by bisection."""
    low, high = 0.0, 40.0
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (middle, high) if range_tail(middle) > tail else (low, middle)
    return high
