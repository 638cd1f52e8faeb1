"""One test of perfect calibration out of several, since each is blind to some shape of miscalibration."""

import math
from dataclasses import astuple, dataclass

import numpy as np

from calslo_dagster.stats.bins import DEFAULT_BINS, Binned
from calslo_dagster.stats.cumulative import cumulative_p_value
from calslo_dagster.stats.estimate import Estimate
from calslo_dagster.stats.intervals import upper_tail
from calslo_dagster.stats.p_values import cauchy_combination, chi_square_tail
from calslo_dagster.stats.recalibration import CLIP
from calslo_dagster.stats.scores import NO_LABELS
from calslo_dagster.stats.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class CalibrationTests:
    """P-values of tests of E[y | p] = p; None where the labels cannot tell.

    bias: sum w (y - p), sees a shift and nothing else; logit: intercept and slope of logit p, sees shifts and scores
    that are too extreme or too timid; binned: gaps in 15 equal-mass bins, sees waves; cumulative: Kuiper's, sees spans
    of scores.
    """

    bias: float | None
    logit: float | None
    binned: float | None
    cumulative: float | None

    @property
    def combined(self) -> float | None:
        """The p-value of all together by the Cauchy combination, None where no test could be made."""
        return cauchy_combination(astuple(self))


def calibration_tests(snapshot: Snapshot) -> CalibrationTests:
    """Return the tests for the labelled events, whose scores are taken as given and labels as independent.

    bias: z = sum w (y - p) / sqrt(sum V); logit: the score test of Cox (1958) with 2 degrees of freedom, from the logit
    of each cell's mean; binned: sum_k D_k^2 / V_k over bins with V_k of at least 1 event, as Hosmer and Lemeshow
    (1980) but with as many degrees of freedom as bins, nothing being fitted; V = w^2 p (1 - p) throughout.
    """
    return CalibrationTests(
        _bias(snapshot),
        _logit(snapshot),
        _binned(snapshot),
        cumulative_p_value(snapshot),
    )


def calibration_p_value(snapshot: Snapshot) -> Estimate:
    """Return how likely evidence as strong as this is under perfect calibration: `CalibrationTests.combined`.

    Without an interval, since it is no estimate of anything. Where every score is 0 or 1 no label could differ by
    chance, and there is no value.
    """
    p_value = calibration_tests(snapshot).combined
    if p_value is None:
        return Estimate.missing("every score is 0 or 1" if snapshot.labeled else NO_LABELS, snapshot.labeled)
    return Estimate(p_value, events=snapshot.labeled)


def _bias(snapshot: Snapshot) -> float | None:
    sums = Binned.equal_mass(snapshot, DEFAULT_BINS)
    variance = float(sums.model_variance.sum())
    return 2 * upper_tail(abs(float(sums.gap.sum())) / math.sqrt(variance)) if variance > 0 else None


def _logit(snapshot: Snapshot) -> float | None:
    rows = snapshot.cell("w_lab") > 0
    names = ("w_lab", "w2_lab", "ws_lab", "wss_lab", "wy_lab")
    w, w2, ws, wss, wy = (snapshot.cell(name)[rows] for name in names)
    mean = np.clip(ws / w, CLIP, 1 - CLIP) if len(w) else w
    x = np.log(mean) - np.log1p(-mean)
    variance = np.maximum(ws - wss, 0.0) * w2 / w
    a, b, c = (float((variance * x**power).sum()) for power in (0, 1, 2))
    determinant = a * c - b * b
    if determinant <= 1e-9 * a * c:
        return None
    u, v = float((wy - ws).sum()), float(((wy - ws) * x).sum())
    return chi_square_tail((c * u * u - 2 * b * u * v + a * v * v) / determinant, 2)


def _binned(snapshot: Snapshot) -> float | None:
    sums = Binned.equal_mass(snapshot, DEFAULT_BINS)
    if not len(sums.index):
        return None
    # Below, the sum is far from normal: one unlikely label would weigh as much as a hundred.
    enough = sums.model_variance * sums.weight >= sums.square_weight * sums.unit
    squares = sums.gap[enough] ** 2 / sums.model_variance[enough]
    return chi_square_tail(float(squares.sum()), len(squares)) if len(squares) else None
