"""Proper scores and the calibration test that comes with the Brier score, all exact sums over labelled events."""

import math

import numpy as np

from calslo_dagster.stats import grid
from calslo_dagster.stats.batch import Batch, Floats, Values, ratios
from calslo_dagster.stats.estimate import Estimate
from calslo_dagster.stats.intervals import LEVEL, around, effective_size, sample_mean
from calslo_dagster.stats.snapshot import CELL_SUMS, Snapshot, scale_of

NO_LABELS = "no labelled events"
NOT_OF_A_PART = "known for the whole range of scores only"


def brier(snapshot: Snapshot, *, level: float = LEVEL) -> Estimate:
    """Return the Brier score, the weighted mean of (p - y)^2, in [0, 1] (Brier 1950).

    standard error: from the mean of (p - y)^4 and the effective number of events.
    """
    return _mean_of(snapshot, "brier", level)


def brier_many(batch: Batch) -> Values:
    """Return `brier` of every window."""
    return ratios(batch.total("brier"), batch.total("w_lab"), batch.labeled)


def log_loss(snapshot: Snapshot, *, level: float = LEVEL) -> Estimate:
    """Return the log loss in nats, the weighted mean of -y ln q - (1 - y) ln(1 - q) (Good 1952).

    q is the score clipped to [2**-52, 1 - 2**-52], so that a wrong certainty costs 36 nats and not infinity.
    """
    if snapshot.is_restricted:
        return Estimate.missing(NOT_OF_A_PART, snapshot.labeled)
    return _mean_of(snapshot, "log_loss", level)


def log_loss_many(batch: Batch) -> Values:
    """Return `log_loss` of every window."""
    return ratios(batch.total("log_loss"), batch.total("w_lab"), batch.labeled)


def spiegelhalter_z(snapshot: Snapshot, *, level: float = LEVEL) -> Estimate:
    """Return Spiegelhalter's Z, about N(0, 1) when the model is calibrated (Spiegelhalter 1986).

    Z = sum w (y - p)(1 - 2p) / sqrt(sum w^2 (1 - 2p)^2 p (1 - p)); positive when scores are too extreme. Not defined
    when every score is 0, 0.5 or 1. It does not see a mean shift of scores that lie evenly around 0.5.
    """
    if snapshot.is_restricted:
        return Estimate.missing(NOT_OF_A_PART, snapshot.labeled)
    variance = snapshot.total("z_var")
    if variance <= 0.0:
        reason = "every score is 0, 0.5 or 1" if snapshot.labeled else NO_LABELS
        return Estimate.missing(reason, snapshot.labeled)
    return around(snapshot.total("z_num") / math.sqrt(variance), 1.0, events=snapshot.labeled, level=level)


def labeled_size(snapshot: Snapshot) -> float:
    """Return the effective number of labelled events, which unequal weights make smaller than their count."""
    return effective_size(float(snapshot.cell("w_lab").sum()), float(snapshot.cell("w2_lab").sum()))


def labeled_size_many(batch: Batch) -> Floats:
    """Return `labeled_size` of every window, shape (windows,)."""
    found, sums = np.empty(len(batch)), slice(CELL_SUMS.index("w_lab"), CELL_SUMS.index("w2_lab") + 1)
    scales = np.array([[scale_of("w_lab")], [scale_of("w2_lab")]])
    for some, fixed in batch.cells(np.arange(len(batch)), sums):
        # In all places of the grid, because the order of adding up decides the last bit of large sums.
        cells = np.zeros((*fixed.shape[:2], grid.FINE_BINS))
        cells[:, :, batch.bins] = fixed / scales
        weights, squares = cells.sum(axis=2).T.tolist()
        found[some] = [effective_size(weight, square) for weight, square in zip(weights, squares, strict=True)]
    return found


def _mean_of(snapshot: Snapshot, name: str, level: float) -> Estimate:
    weight = snapshot.total("w_lab")
    if weight <= 0.0:
        return Estimate.missing(NO_LABELS, snapshot.labeled)
    mean = snapshot.total(name) / weight
    if snapshot.is_restricted:
        return Estimate(mean, events=snapshot.labeled)
    square = snapshot.total(f"{name}2") / weight
    return sample_mean(mean, square, labeled_size(snapshot), events=snapshot.labeled, level=level)
