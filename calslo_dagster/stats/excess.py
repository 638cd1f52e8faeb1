"""The Brier score and the log loss in two parts: what calibrated scores would cost, and what miscalibration adds."""

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from calslo_dagster.stats.bins import DEFAULT_BINS, equal_mass_bins
from calslo_dagster.stats.drift import change
from calslo_dagster.stats.estimate import Estimate
from calslo_dagster.stats.intervals import LEVEL, around, effective_size
from calslo_dagster.stats.remembered import remembered
from calslo_dagster.stats.scores import NO_LABELS, brier, log_loss
from calslo_dagster.stats.skewed import cell_mean, translated_poisson
from calslo_dagster.stats.snapshot import Snapshot
from calslo_dagster.stats.surprises import surprise_moments

Floats = NDArray[np.float64]

# As the log loss clips its scores.
CLIP: Final = 2.0**-52


@dataclass(frozen=True, slots=True)
class BrierParts:
    """brier = sharpness + excess, to rounding of floats; each a weighted mean over labelled events, or a change of one.

    sharpness: mean p (1 - p), what the score would be if the model were calibrated, moved by the mix of scores alone;
    excess: mean (y - p)(1 - 2p), 0 on average for a calibrated model whatever its scores.
    """

    brier: Estimate
    sharpness: Estimate
    excess: Estimate


@dataclass(frozen=True, slots=True)
class LossParts:
    """log loss = sharpness + excess, in nats; each a weighted mean over labelled events, or a change of one.

    sharpness: mean entropy of p, what the loss would be if the model were calibrated; excess: mean (p - y) logit p, 0
    on average for a calibrated model whatever its scores.
    """

    log_loss: Estimate
    sharpness: Estimate
    excess: Estimate


@remembered
def brier_parts(snapshot: Snapshot, *, level: float = LEVEL) -> BrierParts:
    """Return the parts of the Brier score by (p - y)^2 = p (1 - p) + (y - p)(1 - 2p), which holds as y^2 = y.

    The standard error of the excess is sqrt(sum w^2 (1 - 2p)^2 v) / W with v the larger of p (1 - p), which gives the
    denominator of Spiegelhalter's Z (1986), and the variance of labels at the rate of each of 15 equal-mass bins. That
    of the sharpness takes each event at the mean score of its cell. Works on a part of the range of scores.
    """
    whole = brier(snapshot, level=level)
    if whole.value is None:
        missing = Estimate.missing(NO_LABELS, whole.events)
        return BrierParts(whole, missing, missing)
    rows = snapshot.cell("w_lab") > 0
    weight, score, square = (snapshot.cell(name)[rows] for name in ("w_lab", "ws_lab", "wss_lab"))
    total = float(weight.sum())
    sharpness = float((score - square).sum()) / total
    size = effective_size(total, float(snapshot.cell("w2_lab").sum()))
    cells = (score - square) / weight, weight / total
    variance, third = surprise_moments(snapshot)
    excess, error = whole.value - sharpness, math.sqrt(variance) / total
    low, high = translated_poisson(excess, error**2, third / total**3, unit=1 / size, level=level)
    return BrierParts(
        whole,
        cell_mean(sharpness, float(cells[1] @ cells[0] ** 2), cells, size=size, events=whole.events, level=level),
        Estimate(excess, low, high, whole.events, standard_error=error),
    )


def brier_change(current: Snapshot, baseline: Snapshot, *, level: float = LEVEL) -> BrierParts:
    """Return the change of the Brier score and of both its parts, which sum to it, each with its own interval.

    A change of the mix of scores moves the sharpness, a change of calibration the excess. The parts are correlated, so
    their variances do not sum to that of the whole.
    The interval of the excess keeps the skewness of both: where l, u are distances to the ends,
    low = change - sqrt(l_now^2 + u_before^2) and high alike (Zou and Donner 2008).
    """
    now, before = brier_parts(current, level=level), brier_parts(baseline, level=level)
    return BrierParts(
        change(now.brier, before.brier, level=level),
        change(now.sharpness, before.sharpness, level=level),
        _skewed_change(now.excess, before.excess, level),
    )


@remembered
def log_loss_parts(snapshot: Snapshot, *, level: float = LEVEL) -> LossParts:
    """Return the parts of the log loss by -y ln p - (1 - y) ln(1 - p) = H(p) + (p - y) logit p, H the entropy.

    H is taken per fine cell from mean and variance of its scores, H(m) - v / (2 m (1 - m)). The standard error of the
    excess is sqrt(sum w^2 u logit(m)^2) / W with u, in each of 15 equal-mass bins, the larger of (y - p)^2 as observed
    and p (1 - p). None of it for a part of the range of scores.
    """
    whole = log_loss(snapshot, level=level)
    if whole.value is None:
        missing = Estimate.missing(whole.reason, whole.events)
        return LossParts(whole, missing, missing)
    w, w2, score, square = (snapshot.cell(name) for name in ("w_lab", "w2_lab", "ws_lab", "wss_lab"))
    safe, total = np.where(w > 0, w, 1.0), float(w.sum())
    mean = np.clip(score / safe, CLIP, 1 - CLIP)
    spread = np.maximum(square / safe - mean * mean, 0.0)
    entropy = -mean * np.log(mean) - (1 - mean) * np.log1p(-mean)
    entropy = np.maximum(entropy - spread / (2 * mean * (1 - mean)), 0.0)
    sharpness = float((w * entropy).sum()) / total
    size, shares = effective_size(total, float(w2.sum())), w / total
    error = _loss_error(snapshot, slopes=(np.log(mean) - np.log1p(-mean)) ** 2 * w2 / safe)
    return LossParts(
        whole,
        cell_mean(
            sharpness, float(shares @ entropy**2), (entropy, shares), size=size, events=whole.events, level=level
        ),
        around(whole.value - sharpness, error, events=whole.events, level=level),
    )


def log_loss_change(current: Snapshot, baseline: Snapshot, *, level: float = LEVEL) -> LossParts:
    """Return the change of the log loss and of both its parts, which sum to it, each with its own interval."""
    now, before = log_loss_parts(current, level=level), log_loss_parts(baseline, level=level)
    return LossParts(
        change(now.log_loss, before.log_loss, level=level),
        change(now.sharpness, before.sharpness, level=level),
        change(now.excess, before.excess, level=level),
    )


def _loss_error(snapshot: Snapshot, *, slopes: Floats) -> float:
    """Return the standard error of the excess of the log loss; `slopes` is w^2 logit(m)^2 / w of each cell."""
    names = ("w_lab", "ws_lab", "wss_lab", "wy_lab", "wsy_lab")
    w, score, square, label, both = (snapshot.cell(name) for name in names)
    placed = equal_mass_bins(snapshot.cell_fixed("w_lab"), DEFAULT_BINS)
    observed, claimed = np.maximum(label - 2 * both + square, 0.0), np.maximum(score - square, 0.0)
    seen, model = (np.bincount(placed, slopes * x, DEFAULT_BINS) for x in (observed, claimed))
    return float(np.sqrt(np.maximum(seen, model).sum())) / float(w.sum())


def _skewed_change(now: Estimate, before: Estimate, level: float) -> Estimate:
    plain = change(now, before, level=level)
    if plain.value is None:
        return plain
    (falls, rises), (fell, rose) = _reach(now), _reach(before)
    low, high = plain.value - math.hypot(falls, rose), plain.value + math.hypot(rises, fell)
    return replace(plain, low=low, high=high)


def _reach(estimate: Estimate) -> tuple[float, float]:
    """Return the distances from the value down to the low end and up to the high end."""
    value = estimate.value or 0.0
    low, high = (value if end is None else end for end in (estimate.low, estimate.high))
    return value - low, high - value
