"""What a limit on the calibration error means for a signed quantity: how large a shift, and which slope, reaches it.

The calibration error folds: it tells neither the side on which a model errs nor that it moves towards it. A shift a
(logit q = logit p + a) and a slope b (logit q = c + b logit p, c such that the mean stays) do, and each of them has one
value on either side of calibration whose true error on given scores is the limit.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from calslo_dagster.stats.estimate import Estimate
from calslo_dagster.stats.intervals import LEVEL, Floats, around
from calslo_dagster.stats.recalibration import CLIP
from calslo_dagster.stats.scores import NO_LABELS
from calslo_dagster.stats.snapshot import Snapshot

# Odds that are off by a factor of two million either way count as out of reach.
FARTHEST_SHIFT: Final = 15.0
STEEPEST_SLOPE: Final = 16.0
MAX_STEPS: Final = 60
TOLERANCE: Final = 1e-10

Ends = tuple[float, float]


@dataclass(frozen=True, slots=True, eq=False)
class _Scores:
    """The labelled events per occupied fine bin, each shape (bins,): sum w, sum w^2, sum w y, mean score, its logit."""

    weight: Floats
    square_weight: Floats
    label: Floats
    mean: Floats
    logit: Floats

    @classmethod
    def of(cls, snapshot: Snapshot) -> Self:
        rows = snapshot.cell("w_lab") > 0
        weight, square, score, label = (snapshot.cell(name)[rows] for name in ("w_lab", "w2_lab", "ws_lab", "wy_lab"))
        mean = np.clip(score / weight, CLIP, 1 - CLIP)
        return cls(weight, square, label, mean, np.log(mean) - np.log1p(-mean))

    def error(self, truth: Floats) -> float:
        """Return the calibration error of the scores when the truth of each bin is this."""
        return float(self.weight @ np.abs(truth - self.mean)) / float(self.weight.sum())

    def sloped(self, slope: float) -> Floats:
        """Return the truth at this slope that leaves the mean as it is, shape (bins,)."""
        wanted = float(self.weight @ self.mean)
        line = slope * self.logit
        found = _rising(lambda c: float(self.weight @ _expit(c + line)) - wanted, -_reach(line), _reach(line))
        return _expit(found + line)


def logit_shift(snapshot: Snapshot, *, level: float = LEVEL) -> Estimate:
    """Return the shift a of logit P(y = 1) = a + logit p: above 0 where scores are too low (Cox 1958).

    The likelihood with the penalty of Firth (1993), sum w (y - q) + (u / 2) sum v (1 - 2 q) / sum v = 0 with
    v = w q (1 - q) and u = sum w^2 / sum w, which has a solution also where all labels are of one class: days without
    any positive say something, and leaving them out would bias a series of days. For the same reason the standard
    error is that of a calibrated model, sqrt(sum w^2 p (1 - p)) / sum w p (1 - p): one taken from the labels
    would trust the days most that err upwards.
    """
    scores = _Scores.of(snapshot)
    events = int(snapshot.cell_counts("n_lab").sum())
    if not len(scores.weight):
        return Estimate.missing(NO_LABELS, events)
    unit, positives = float(scores.square_weight.sum() / scores.weight.sum()), float(scores.label.sum())

    def missing(shift: float) -> float:
        q = _expit(shift + scores.logit)
        spread = scores.weight * q * (1 - q)
        return float(scores.weight @ q) - positives - unit / 2 * float(spread @ (1 - 2 * q)) / float(spread.sum())

    claimed = scores.mean * (1 - scores.mean)
    error = math.sqrt(float(scores.square_weight @ claimed)) / float(scores.weight @ claimed)
    return around(_rising(missing, -FARTHEST_SHIFT, FARTHEST_SHIFT), error, events=events, level=level)


def shift_limits(snapshot: Snapshot, ece: float) -> Ends:
    """Return the shifts below and above 0 whose true calibration error is `ece`, infinite where there is none.

    Scores near 0 cannot overstate by much: with a mean of 0.02, no shift downwards makes an error above 0.02.
    """
    scores = _limited(snapshot, ece)

    def short(shift: float) -> float:
        return scores.error(_expit(shift + scores.logit)) - ece

    return _ends(short, (0.0, -FARTHEST_SHIFT), (0.0, FARTHEST_SHIFT))


def slope_limits(snapshot: Snapshot, ece: float) -> Ends:
    """Return the slopes below and above 1 whose true calibration error is `ece`, infinite where there is none.

    The mean is kept, since what moves it is the shift. The lowest slope is 0, where scores tell nothing any more.
    """
    scores = _limited(snapshot, ece)

    def short(slope: float) -> float:
        return scores.error(scores.sloped(slope)) - ece

    return _ends(short, (1.0, 0.0), (1.0, STEEPEST_SLOPE))


def _limited(snapshot: Snapshot, ece: float) -> _Scores:
    scores = _Scores.of(snapshot)
    if not ece > 0.0:
        raise ValueError(f"a limit on the calibration error is above 0, got {ece}")
    if not len(scores.weight):
        raise ValueError("a limit is translated on the scores of labelled events, and the snapshot holds none")
    return scores


def _ends(short: Callable[[float], float], down: Ends, up: Ends) -> Ends:
    """Return where the error reaches the limit between each start and its end, infinite where it does not."""
    below = -_rising(lambda x: short(-x), -down[0], -down[1]) if short(down[1]) > 0 else -math.inf
    return below, _rising(short, *up) if short(up[1]) > 0 else math.inf


def _rising(function: Callable[[float], float], low: float, high: float) -> float:
    """Return the root of a rising function between the two ends; the nearer end if it has none (Illinois method)."""
    at_low, at_high = function(low), function(high)
    if at_low >= 0.0 or at_high <= 0.0:
        return low if at_low >= 0.0 else high
    side = 0
    for _ in range(MAX_STEPS):
        middle = (low * at_high - high * at_low) / (at_high - at_low)
        found = function(middle)
        if abs(found) < TOLERANCE or high - low < TOLERANCE:
            return middle
        if found > 0:
            high, at_high, at_low, side = middle, found, at_low / (2 if side > 0 else 1), 1
        else:
            low, at_low, at_high, side = middle, found, at_high / (2 if side < 0 else 1), -1
    return (low + high) / 2


def _reach(line: Floats) -> float:
    return FARTHEST_SHIFT + float(np.abs(line).max(initial=0.0))


def _expit(x: Floats) -> Floats:
    q: Floats = 0.5 * (1.0 + np.tanh(0.5 * x))
    return q
