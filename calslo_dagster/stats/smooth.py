"""Smooth calibration error: residuals smoothed by a reflected Gaussian whose width is the error itself.

Reflection at 0 and 1 makes the kernel that of heat in [0, 1] with insulated ends, whose eigenfunctions are cosines. So
with a_k = sum w (p - y) cos(pi k p) / W the smoothed residual at t is
r(t) = a_0 + 2 sum_k exp(-(pi k sigma)^2 / 2) a_k cos(pi k t), and a_k is what a snapshot must give.
"""

import math
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from calslo_dagster.stats.bins import DEFAULT_BINS, Binned
from calslo_dagster.stats.ece import NullFloor
from calslo_dagster.stats.estimate import Estimate
from calslo_dagster.stats.intervals import HALF_NORMAL_MEAN, HALF_NORMAL_VARIANCE, LEVEL, two_sided_z
from calslo_dagster.stats.scores import NO_LABELS
from calslo_dagster.stats.snapshot import Snapshot

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]

# Narrower kernels than the finest would show the grid of scores; few snapshots need finer ones than the usual.
USUAL: Final = 2.0**-7
FINEST: Final = 2.0**-10
POINTS: Final = 8192
BLOCK: Final = 64
# exp(-NEGLIGIBLE^2 / 2) is less than rounding.
NEGLIGIBLE: Final = 9.0
TOLERANCE: Final = 1e-13
MAX_STEPS: Final = 100


def smooth_ece(snapshot: Snapshot, *, level: float = LEVEL) -> Estimate:
    """Return smECE, in [0, 1]: the sigma at which the integral of |r(t)| over [0, 1] is sigma itself.

    Blasiok and Nakkiran (2024, definitions 4 and 5): a consistent measure of the distance to calibration, without
    bins. The integral falls as sigma grows, so there is one such sigma; below 2^-10 the integral at 2^-10 is returned.
    The cells give the first two moments of the residuals in each exactly and the third to the spread of its scores:
    within 1e-6 of the same formula on events where their scores number a few hundred or more.
    interval: low = max(0, value - F - z s0), high as in `absolute_sum_interval`, with the floor F and s0 of
    `smooth_floor`. At the true sigma, the smoothed error exceeds its estimate by a sum of residuals times factors
    within [-1, 1], of variance sum V / W^2 at most; as both fall with sigma, so much bounds the fixed point too.
    standard error: that bound, sqrt(sum V) / W.
    """
    sums = Binned.equal_mass(snapshot, DEFAULT_BINS)
    if not len(sums.index):
        return Estimate.missing(NO_LABELS, snapshot.labeled)
    residuals = _Residuals.of(snapshot, USUAL)
    if residuals.error(USUAL) < USUAL:
        residuals = _Residuals.of(snapshot, FINEST)
    width, value = _fixed_point(residuals)
    total, z = float(sums.variance.sum()), two_sided_z(level)
    claimed = float(sums.model_variance.sum())
    # The floor follows what the scores claim; where labels vary more, it grows as their deviation does.
    floor = residuals.noise(width) * (math.sqrt(total / claimed) if claimed > 0 else 1.0)
    error, unit = math.sqrt(total) / sums.total_weight, sums.unit * z / 2 / sums.total_weight
    low = value - floor - z * math.sqrt(HALF_NORMAL_VARIANCE) * error
    high = value + z * (math.hypot(error, unit) + unit)
    return Estimate(value, max(0.0, low), min(1.0, high), sums.total_events, standard_error=error)


def smooth_floor(snapshot: Snapshot, width: float) -> NullFloor | None:
    """Return the integral of |r(t)| at the kernel's `width` that a calibrated model shows, None without labels.

    r(t) is about N(0, sum V K(t, p)^2 / W^2), so mean = sqrt(2/pi) times the integral of its deviation. Variance
    <= (1 - 2/pi) sum V / W^2: for a correlation c >= 0, cov(|X|, |Y|) <= (1 - 2/pi) c sd(X) sd(Y).
    """
    if float(snapshot.cell("w_lab").sum()) <= 0.0:
        return None
    residuals = _Residuals.of(snapshot, width)
    deviation = math.sqrt(HALF_NORMAL_VARIANCE * float(residuals.variance.sum())) / residuals.weight
    return NullFloor(residuals.noise(width), deviation)


@dataclass(frozen=True, slots=True)
class _Residuals:
    """What smoothing needs of a snapshot.

    finest: the narrowest kernel that it serves; cosines: a_k, as many as that lets through; centre: the mean score of
    each occupied cell, (cells,); variance: sum w^2 p (1 - p) per cell, (cells,); weight: of all labelled events.
    """

    finest: float
    cosines: Floats
    centre: Floats
    variance: Floats
    weight: float

    @classmethod
    def of(cls, snapshot: Snapshot, finest: float) -> Self:
        rows = snapshot.cell("w_lab") > 0
        names = ("w_lab", "w2_lab", "ws_lab", "wss_lab", "wy_lab", "wsy_lab")
        w, w2, ws, wss, wy, wsy = (snapshot.cell(name)[rows] for name in names)
        centre = ws / w
        residual = ws - wy
        first = wss - wsy - centre * residual
        second = residual * np.maximum(wss / w - centre * centre, 0.0)
        weight = float(w.sum())
        cosines = _cosine_moments(centre, np.stack([residual, first, second]), _count(finest)) / weight
        return cls(finest, cosines, centre, np.maximum(ws - wss, 0.0) * w2 / w, weight)

    def error(self, width: float) -> float:
        """Return the integral of |r(t)| at this kernel width."""
        return _absolute_integral(_damped(self.cosines, width))

    def noise(self, width: float) -> float:
        """Return the mean of that integral under perfect calibration.

        K^2 is a kernel narrower by sqrt(2), over 2 sqrt(pi) width, plus the product of each score's kernel with its
        mirror image at either end. Products of images further apart vanish for widths below a third.
        """
        narrow = width / math.sqrt(2)
        moments = _cosine_moments(self.centre, self.variance[None], _count(narrow))
        squares = _at_points(_damped(moments, narrow)) / (2 * math.sqrt(math.pi) * width)
        t = np.arange(POINTS + 1) / POINTS
        for point, centre in ((t, self.centre), (1 - t, 1 - self.centre)):
            image = float(self.variance @ np.exp(-((centre / width) ** 2)))
            squares += image * np.exp(-((point / width) ** 2)) / (math.pi * width * width)
        deviations = np.sqrt(np.maximum(squares, 0.0))
        mean = (float(deviations.sum()) - float(deviations[0] + deviations[-1]) / 2) / POINTS
        return HALF_NORMAL_MEAN * mean / self.weight


def _count(width: float) -> int:
    """Return how many cosines a kernel of this width lets through."""
    return math.ceil(NEGLIGIBLE / (math.pi * width))


def _cosine_moments(centre: Floats, moments: Floats, count: int) -> Floats:
    """Return sum_i m_i cos(pi k p_i) for k < count, shape (count,), from the first moments of m per cell, (1-3, cells).

    With e = exp(i pi k centre) and p = centre + d, cos(pi k p) is the real part of e (1 + i pi k d - (pi k d)^2 / 2).
    As k = BLOCK a + b, the sums are a product of two thin matrices.
    """
    turns: Complexes = np.exp(1j * math.pi * np.outer(np.arange(BLOCK), centre))
    leaps: Complexes = np.exp(1j * math.pi * np.outer(np.arange(0, count, BLOCK), centre))
    k = math.pi * np.arange(count)
    factors = np.ones(count), 1j * k, -0.5 * k * k
    sums = np.zeros(count)
    for factor, moment in zip(factors, moments, strict=False):
        # Threads of a linear algebra library cost more than products as thin as these.
        products = np.einsum("an,bn->ab", leaps * moment, turns)
        sums += (factor * products.ravel()[:count]).real
    return sums


def _damped(cosines: Floats, width: float) -> Floats:
    """Return the coefficients of the smoothed function, as many as matter."""
    few = cosines[: _count(width)]
    k = math.pi * width * np.arange(len(few))
    damped: Floats = few * np.exp(-0.5 * k * k)
    return damped


def _at_points(coefficients: Floats) -> Floats:
    """Return c_0 + 2 sum_k c_k cos(pi k t) at t = 0, 1/POINTS, ..., 1, shape (POINTS + 1,)."""
    values: Floats = np.fft.irfft(coefficients, n=2 * POINTS)[: POINTS + 1] * (2 * POINTS)
    return values


def _absolute_integral(coefficients: Floats) -> float:
    """Return the integral over [0, 1] of |c_0 + 2 sum_k c_k cos(pi k t)|.

    The antiderivative is known and flat where the function is zero, so roots by interpolation serve as exact ones.
    """
    values = _at_points(coefficients)
    before = np.flatnonzero(np.signbit(values[:-1]) != np.signbit(values[1:]))
    roots = (before + values[before] / (values[before] - values[before + 1])) / POINTS
    ends = np.concatenate([[0.0], roots, [1.0]])
    k = math.pi * np.arange(1, len(coefficients))
    integral = coefficients[0] * ends + 2 * np.sin(np.outer(ends, k)) @ (coefficients[1:] / k)
    return float(np.abs(np.diff(integral)).sum())


def _fixed_point(residuals: _Residuals) -> tuple[float, float]:
    """Return the width at which the error equals it, and the error there (regula falsi, Illinois variant)."""
    low = residuals.finest
    above = residuals.error(low) - low
    if above <= 0.0:
        return low, low + above
    high = low + above
    below = residuals.error(high) - high
    width, excess, side = high, below, 0
    for _ in range(MAX_STEPS):
        if high - low < TOLERANCE or abs(excess) < TOLERANCE:
            break
        width = (low * below - high * above) / (below - above)
        excess = residuals.error(width) - width
        if excess > 0:
            low, above, below, side = width, excess, below / 2 if side == 1 else below, 1
        else:
            high, below, above, side = width, excess, above / 2 if side == -1 else above, -1
    return width, width + excess
