"""Calibration slope and intercept: the logistic recalibration of scores, fitted to fine-bin sums."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from calslo_dagster.stats.estimate import Estimate
from calslo_dagster.stats.intervals import LEVEL, around
from calslo_dagster.stats.remembered import remembered
from calslo_dagster.stats.scores import NO_LABELS
from calslo_dagster.stats.snapshot import Snapshot

Floats = NDArray[np.float64]

# Half the outermost fine bin: the grid tells no two scores apart below that, and logit(0) is infinite.
CLIP: Final = 2.0**-17
MAX_STEPS: Final = 40
# Convergence is quadratic: after a relative step of this size, the next would be of the order of rounding.
TOLERANCE: Final = 1e-7
ROUNDING: Final = 1e-10


@dataclass(frozen=True, slots=True)
class Recalibration:
    """logit P(y = 1) = intercept + slope * logit(p); 0 and 1 for a calibrated model.

    A slope below 1 says that scores are too extreme, an intercept below 0 that they are too high on the whole.
    """

    slope: Estimate
    intercept: Estimate


@remembered
def recalibration(snapshot: Snapshot, *, level: float = LEVEL) -> Recalibration:
    """Return slope and intercept by maximum likelihood (Cox 1958; Miller, Hui, Tierney 1991).

    Newton's method on one observation per fine bin at the logit of the bin's mean score, clipped to [2**-17,
    1 - 2**-17], with standard errors from the sandwich covariance under unequal weights (the inverse information
    otherwise). Grouping ignores the spread of logits within a fine bin, 1/16 of an octave or less: of the published
    forecasts of 538, as of scores with a deviation of 0.005, the slope moves by under 3% of its standard error. No
    values when the labels are of one class, all scores lie in one fine bin, or the score separates the labels.
    """
    rows = snapshot.cell("w_lab") > 0
    weight, square_weight, score, label = (
        snapshot.cell(name)[rows] for name in ("w_lab", "w2_lab", "ws_lab", "wy_lab")
    )
    events = int(snapshot.cell_counts("n_lab").sum())
    positives, total = float(label.sum()), float(weight.sum())
    if total == 0.0:
        return _nothing(NO_LABELS, events)
    if positives <= 0.0 or positives >= total:
        return _nothing("the labels are all of one class", events)
    mean = np.clip(score / weight, CLIP, 1 - CLIP)
    x = np.log(mean) - np.log1p(-mean)
    if float(np.ptp(x)) == 0.0:
        return _nothing("the scores are all alike", events)
    fit = _newton(x, weight, label)
    if fit is None:
        return _nothing("the score separates the labels", events)
    intercept, slope = fit
    errors = _standard_errors(x, weight, square_weight, fit)
    return Recalibration(
        slope=around(slope, errors[1], events=events, level=level),
        intercept=around(intercept, errors[0], events=events, level=level),
    )


def _newton(x: Floats, weight: Floats, label: Floats) -> tuple[float, float] | None:
    """Return intercept and slope, or None when the likelihood has no maximum and the steps never shrink."""
    fit = 0.0, 1.0
    height = _log_likelihood(x, weight, label, fit)
    for _ in range(MAX_STEPS):
        q = _expit(fit[0] + fit[1] * x)
        residual = label - weight * q
        a, b, c = _moments(x, weight * (q * (1 - q)))
        determinant = a * c - b * b
        if determinant <= 0.0:
            return None
        u, v = float(residual.sum()), float(residual @ x)
        step = (c * u - b * v) / determinant, (a * v - b * u) / determinant
        fit, height, shortened = _ascend((x, weight, label), fit, step, height=height)
        if not shortened and max(map(abs, step)) < TOLERANCE * max(1.0, *map(abs, fit)):
            return fit
    return None


def _ascend(
    data: tuple[Floats, Floats, Floats], fit: tuple[float, float], step: tuple[float, float], *, height: float
) -> tuple[tuple[float, float], float, bool]:
    """Return where the step leads, halved until it does not descend, how high that is, and whether it was halved.

    With scores near certain the curvature at the start misleads; on a concave likelihood a shorter step is safe.
    """
    enough = height - ROUNDING * (1.0 + abs(height))
    for halving in range(MAX_STEPS):
        ahead = fit[0] + step[0] / 2**halving, fit[1] + step[1] / 2**halving
        reached = _log_likelihood(*data, ahead)
        if reached >= enough:
            return ahead, reached, halving > 0
    return fit, height, True


def _log_likelihood(x: Floats, weight: Floats, label: Floats, fit: tuple[float, float]) -> float:
    linear = fit[0] + fit[1] * x
    return float(label @ linear - weight @ np.logaddexp(0.0, linear))


def _standard_errors(x: Floats, weight: Floats, square_weight: Floats, fit: tuple[float, float]) -> tuple[float, float]:
    """Return the standard errors of intercept and slope: the diagonal of H^-1 M H^-1."""
    q = _expit(fit[0] + fit[1] * x)
    spread = q * (1 - q)
    a, b, c = _moments(x, weight * spread)
    inverse = np.array([[c, -b], [-b, a]]) / (a * c - b * b)
    d, e, f = _moments(x, square_weight * spread)
    covariance = inverse @ np.array([[d, e], [e, f]]) @ inverse
    return math.sqrt(max(covariance[0, 0], 0.0)), math.sqrt(max(covariance[1, 1], 0.0))


def _moments(x: Floats, weight: Floats) -> tuple[float, float, float]:
    weighted = weight * x
    return float(weight.sum()), float(weighted.sum()), float(weighted @ x)


def _expit(x: Floats) -> Floats:
    q: Floats = 0.5 * (1.0 + np.tanh(0.5 * x))
    return q


def _nothing(reason: str, events: int) -> Recalibration:
    missing = Estimate.missing(reason, events)
    return Recalibration(slope=missing, intercept=missing)
