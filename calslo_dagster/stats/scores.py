"""Proper scores and the calibration test that comes with the Brier score, all exact sums over labelled events."""

import math
from collections.abc import Callable
from typing import Final

import numpy as np

from calslo_dagster.stats import grid
from calslo_dagster.stats.batch import Batch, Floats, Values, ratios
from calslo_dagster.stats.estimate import Estimate
from calslo_dagster.stats.intervals import LEVEL, effective_size
from calslo_dagster.stats.remembered import remembered
from calslo_dagster.stats.skewed import translated_poisson
from calslo_dagster.stats.snapshot import CELL_SUMS, Snapshot, scale_of
from calslo_dagster.stats.surprises import surprise_moments

# What labels 0 and 1 cost at a score.
Losses = Callable[[Floats], tuple[Floats, Floats]]
LOG_LOSS_CLIP: Final = 2.0**-52

NO_LABELS = "no labelled events"
NOT_OF_A_PART = "known for the whole range of scores only"


def brier(snapshot: Snapshot, *, level: float = LEVEL) -> Estimate:
    """Return the Brier score, the weighted mean of (p - y)^2, in [0, 1] (Brier 1950).

    standard error: from the mean of (p - y)^4 and the effective number of events, or what the scores claim it to be if
    that is more. The interval is `translated_poisson`, since a rare positive costs much, and may not be seen yet.
    """
    return _mean_of(snapshot, "brier", _squares, level)


def brier_many(batch: Batch) -> Values:
    """Return `brier` of every window."""
    return ratios(batch.total("brier"), batch.total("w_lab"), batch.labeled)


def log_loss(snapshot: Snapshot, *, level: float = LEVEL) -> Estimate:
    """Return the log loss in nats, the weighted mean of -y ln q - (1 - y) ln(1 - q) (Good 1952).

    q is the score clipped to [2**-52, 1 - 2**-52], so that a wrong certainty costs 36 nats and not infinity.
    """
    if snapshot.is_restricted:
        return Estimate.missing(NOT_OF_A_PART, snapshot.labeled)
    return _mean_of(snapshot, "log_loss", _surprises, level)


def log_loss_many(batch: Batch) -> Values:
    """Return `log_loss` of every window."""
    return ratios(batch.total("log_loss"), batch.total("w_lab"), batch.labeled)


def spiegelhalter_z(snapshot: Snapshot, *, level: float = LEVEL) -> Estimate:
    """Return Spiegelhalter's Z, about N(0, 1) when the model is calibrated (Spiegelhalter 1986).

    Z = sum w (y - p)(1 - 2p) / sqrt(sum w^2 (1 - 2p)^2 p (1 - p)); positive when scores are too extreme. Not defined
    when every score is 0, 0.5 or 1. It does not see a mean shift of scores that lie evenly around 0.5. Where labels
    vary more than scores claim, the standard error is above 1. The interval is `translated_poisson`.
    """
    if snapshot.is_restricted:
        return Estimate.missing(NOT_OF_A_PART, snapshot.labeled)
    variance = snapshot.total("z_var")
    if variance <= 0.0:
        reason = "every score is 0, 0.5 or 1" if snapshot.labeled else NO_LABELS
        return Estimate.missing(reason, snapshot.labeled)
    value, (noise, third) = snapshot.total("z_num") / math.sqrt(variance), surprise_moments(snapshot)
    noise, third = max(1.0, noise / variance), third / variance**1.5
    low, high = translated_poisson(value, noise, third, unit=1 / math.sqrt(variance), level=level)
    return Estimate(value, low, high, snapshot.labeled, standard_error=math.sqrt(noise))


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


def _mean_of(snapshot: Snapshot, name: str, losses: Losses, level: float) -> Estimate:
    weight = snapshot.total("w_lab")
    if weight <= 0.0:
        return Estimate.missing(NO_LABELS, snapshot.labeled)
    mean = snapshot.total(name) / weight
    size = labeled_size(snapshot)
    if snapshot.is_restricted or size <= 1:
        return Estimate(mean, events=snapshot.labeled)
    seen = snapshot.total(f"{name}2") / weight - mean * mean
    variance, third, largest = _moments(snapshot, losses)
    variance = max(variance, seen) / (size - 1)
    low, high = translated_poisson(mean, variance, third / size**2, unit=largest / size, level=level)
    return Estimate(mean, max(0.0, low), high, snapshot.labeled, standard_error=math.sqrt(variance))


@remembered
def _moments(snapshot: Snapshot, losses: Losses) -> tuple[float, float, float]:
    """Return variance and third central moment of the loss of an event, and the largest loss there could be.

    Labels follow the rates seen in each cell or the scores, whichever gives more variance: rare losses may not have
    been seen yet. The largest is of a label that the score calls the less likely.
    """
    rows = snapshot.cell("w_lab") > 0
    weight, score, label = (snapshot.cell(name)[rows] for name in ("w_lab", "ws_lab", "wy_lab"))
    p, seen, share = np.clip(score / weight, 0.0, 1.0), np.clip(label / weight, 0.0, 1.0), weight / weight.sum()
    right, wrong = losses(p)
    found = []
    for rate in (seen, p):
        mean = float(share @ ((1 - rate) * right + rate * wrong))
        below, above = right - mean, wrong - mean
        square, cube = (1 - rate) * below * below, rate * above * above
        found.append((float(share @ (square + cube)), float(share @ (square * below + cube * above))))
    variance, third = max(found)
    return variance, third, float(np.maximum(right, wrong).max())


def _squares(p: Floats) -> tuple[Floats, Floats]:
    """Return the squared error for the labels 0 and 1."""
    return p * p, (1 - p) * (1 - p)


def _surprises(p: Floats) -> tuple[Floats, Floats]:
    """Return the log loss for the labels 0 and 1."""
    q = np.clip(p, LOG_LOSS_CLIP, 1 - LOG_LOSS_CLIP)
    return -np.log1p(-q), -np.log(q)
