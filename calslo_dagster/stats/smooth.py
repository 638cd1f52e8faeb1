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
from calslo_dagster.stats.residuals import Residuals
from calslo_dagster.stats.scores import NO_LABELS
from calslo_dagster.stats.snapshot import Snapshot

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]

# Narrower kernels than the finest would show the grid of scores; few snapshots need finer ones than the usual.
USUAL: Final = 2.0**-7
FINEST: Final = 2.0**-10
# The errors of few events: wide kernels need few points.
COARSE: Final = 2.0**-4
PER_WIDTH: Final = 64
MOST_POINTS: Final = 8192
BLOCK: Final = 64
# exp(-NEGLIGIBLE^2 / 2) is less than rounding.
NEGLIGIBLE: Final = 9.0
TOLERANCE: Final = 1e-13
MAX_STEPS: Final = 100


@dataclass(frozen=True, slots=True)
class SmoothError:
    """smECE as the cells give it, and how far that of the events behind them may be from it at the very most."""

    value: float
    width: float
    bound: float


def smooth_error(snapshot: Snapshot) -> SmoothError | None:
    """Return smECE: the sigma at which the integral of |r(t)| over [0, 1] is sigma itself; None without labels.

    Blasiok and Nakkiran (2024, definitions 4 and 5): a consistent measure of the distance to calibration, without
    bins. The integral falls as sigma grows, so there is one such sigma; below 2^-10 the integral at 2^-10 is returned.
    Snapshots that add up to the same sums have the same value, to the last bit.
    bound: proved, not estimated. Both curves, of cells and of events, have an integral that falls with the width, so
    fixed points differ by at most what the integrals do at the one that was found, see `Residuals.bound`. Where cells
    are full it is some 4e-8 / sigma^2, that is 4e-5 at sigma = 0.03; labels that have nothing to do with the place
    within a cell come much closer, 2e-7 on the forecasts of 538. See `residuals` for what would prove 1e-9.
    """
    if float(snapshot.cell("w_lab").sum()) <= 0.0:
        return None
    residuals = Residuals.of(snapshot)
    width, value = _fixed_point(_fitting(residuals))
    return SmoothError(value, width, residuals.bound(width))


def smooth_ece(snapshot: Snapshot, *, level: float = LEVEL) -> Estimate:
    """Return smECE, in [0, 1], by `smooth_error`.

    interval: low = max(0, value - F - z s0), high as in `absolute_sum_interval`, with the floor F and s0 of
    `smooth_floor`, both wider by the bound of `smooth_error`. At the true sigma, the smoothed error exceeds its
    estimate by a sum of residuals times factors within [-1, 1], of variance sum V / W^2 at most; as both fall with
    sigma, so much bounds the fixed point too. standard error: that bound, sqrt(sum V) / W.
    """
    found = smooth_error(snapshot)
    if found is None:
        return Estimate.missing(NO_LABELS, snapshot.labeled)
    sums, residuals = Binned.equal_mass(snapshot, DEFAULT_BINS), Residuals.of(snapshot)
    total, z = float(sums.variance.sum()), two_sided_z(level)
    claimed = float(sums.model_variance.sum())
    # The floor follows what the scores claim; where labels vary more, it grows as their deviation does.
    floor = _noise(residuals, found.width) * (math.sqrt(total / claimed) if claimed > 0 else 1.0)
    error, unit = math.sqrt(total) / sums.total_weight, sums.unit * z / 2 / sums.total_weight
    low = found.value - found.bound - floor - z * math.sqrt(HALF_NORMAL_VARIANCE) * error
    high = found.value + found.bound + z * (math.hypot(error, unit) + unit)
    return Estimate(found.value, max(0.0, low), min(1.0, high), sums.total_events, standard_error=error)


def smooth_floor(snapshot: Snapshot, width: float) -> NullFloor | None:
    """Return the integral of |r(t)| at the kernel's `width` that a calibrated model shows, None without labels.

    r(t) is about N(0, sum V K(t, p)^2 / W^2), so mean = sqrt(2/pi) times the integral of its deviation. Variance
    <= (1 - 2/pi) sum V / W^2: for a correlation c >= 0, cov(|X|, |Y|) <= (1 - 2/pi) c sd(X) sd(Y).
    """
    if float(snapshot.cell("w_lab").sum()) <= 0.0:
        return None
    residuals = Residuals.of(snapshot)
    deviation = math.sqrt(HALF_NORMAL_VARIANCE * float(residuals.variance.sum())) / residuals.weight
    return NullFloor(_noise(residuals, width), deviation)


@dataclass(frozen=True, slots=True)
class _Curve:
    """The smoothed residuals of cells: their a_k, as many as a kernel of the width `finest` lets through."""

    residuals: Residuals
    finest: float
    cosines: Floats
    points: int

    @classmethod
    def of(cls, residuals: Residuals, finest: float) -> Self:
        moments = residuals.moments * [[1.0], [1.0], [0.5]]
        cosines = _cosine_moments(residuals.centre, moments, _count(finest)) / residuals.weight
        return cls(residuals, finest, cosines, min(round(PER_WIDTH / finest), MOST_POINTS))

    def error(self, width: float) -> float:
        """Return the integral of |r(t)| at this kernel width."""
        return _absolute_integral(_damped(self.cosines, width), self.points)


def _fitting(residuals: Residuals) -> _Curve:
    """Return the curve down to the first width that is below its error, or to the finest."""
    for width in (COARSE, USUAL):
        curve = _Curve.of(residuals, width)
        if curve.error(width) >= width:
            return curve
    return _Curve.of(residuals, FINEST)


def _noise(residuals: Residuals, width: float) -> float:
    """Return the mean of the integral of |r(t)| under perfect calibration.

    K^2 is a kernel narrower by sqrt(2), over 2 sqrt(pi) width, plus the product of each score's kernel with its
    mirror image at either end. Products of images further apart vanish for widths below a third.
    """
    narrow, centre, variance = width / math.sqrt(2), residuals.centre, residuals.variance
    moments = _cosine_moments(centre, variance[None], _count(narrow))
    squares = _at_points(_damped(moments, narrow), MOST_POINTS) / (2 * math.sqrt(math.pi) * width)
    t = np.arange(MOST_POINTS + 1) / MOST_POINTS
    for point, place in ((t, centre), (1 - t, 1 - centre)):
        image = float(variance @ np.exp(-((place / width) ** 2)))
        squares += image * np.exp(-((point / width) ** 2)) / (math.pi * width * width)
    deviations = np.sqrt(np.maximum(squares, 0.0))
    mean = (float(deviations.sum()) - float(deviations[0] + deviations[-1]) / 2) / MOST_POINTS
    return HALF_NORMAL_MEAN * mean / residuals.weight


def _count(width: float) -> int:
    """Return how many cosines a kernel of this width lets through."""
    return math.ceil(NEGLIGIBLE / (math.pi * width))


def _cosine_moments(centre: Floats, moments: Floats, count: int) -> Floats:
    """Return sum_i m_i cos(pi k p_i) for k < count, shape (count,), from moments of m per cell.

    moments: the first of sum m (p - centre)^j / j!, shape (1-3, cells). With e = exp(i pi k centre) and p = centre + d,
    cos(pi k p) is the real part of e (1 + i pi k d - (pi k d)^2 / 2). As k = BLOCK a + b, the sums are products of two
    thin matrices.
    """
    turns, leaps = (math.pi * np.outer(k, centre) for k in (np.arange(BLOCK), np.arange(0, count, BLOCK)))
    turned, leapt = np.stack([np.cos(turns), np.sin(turns)]), np.stack([np.cos(leaps), np.sin(leaps)])
    k = math.pi * np.arange(count)
    sums = np.zeros(count)
    for j, moment in enumerate(moments):
        # Of the product with i^j, only the real part: cos cos - sin sin, or less sin cos + cos sin for j = 1.
        signed = np.stack([leapt[0], -leapt[1]] if j % 2 == 0 else [-leapt[1], -leapt[0]]) * moment
        # Threads of a linear algebra library cost more than products as thin as these.
        products = np.einsum("an,bn->ab", signed[0], turned[0]) + np.einsum("an,bn->ab", signed[1], turned[1])
        sums += (-1.0 if j == 2 else 1.0) * k**j * products.ravel()[:count]
    return sums


def _damped(cosines: Floats, width: float) -> Floats:
    """Return the coefficients of the smoothed function, as many as matter."""
    few = cosines[: _count(width)]
    k = math.pi * width * np.arange(len(few))
    damped: Floats = few * np.exp(-0.5 * k * k)
    return damped


def _at_points(coefficients: Floats | Complexes, points: int) -> Floats:
    """Return the real part of c_0 + 2 sum_k c_k exp(i pi k t) at t = 0, 1/points, ..., 1, shape (points + 1,)."""
    values: Floats = np.fft.irfft(coefficients, n=2 * points)[: points + 1] * (2 * points)
    return values


def _absolute_integral(coefficients: Floats, points: int) -> float:
    """Return the integral over [0, 1] of |c_0 + 2 sum_k c_k cos(pi k t)|.

    Its antiderivative c_0 t + 2 sum_k c_k sin(pi k t) / (pi k) is flat where the function is zero, so roots by
    interpolation serve as exact ones, and there it follows from values and slopes at both neighbours (Hermite).
    """
    values = _at_points(coefficients, points)
    k = math.pi * np.arange(1, len(coefficients))
    waves = np.zeros(len(coefficients), dtype=np.complex128)
    waves[1:] = coefficients[1:] / (1j * k)
    integral = coefficients[0] * np.arange(points + 1) / points + _at_points(waves, points)
    before = np.flatnonzero(np.signbit(values[:-1]) != np.signbit(values[1:]))
    ahead, behind = values[before] / points, values[before + 1] / points
    place = ahead / (ahead - behind)
    rise = integral[before + 1] - integral[before]
    at_roots = integral[before] + place * (
        ahead + place * (3 * rise - 2 * ahead - behind + place * (ahead + behind - 2 * rise))
    )
    return float(np.abs(np.diff(at_roots, prepend=integral[0], append=integral[-1])).sum())


def _fixed_point(curve: _Curve) -> tuple[float, float]:
    """Return the width at which the error equals it, and the error there (regula falsi, Illinois variant)."""
    low = curve.finest
    above = curve.error(low) - low
    if above <= 0.0:
        return low, low + above
    high = low + above
    below = curve.error(high) - high
    width, excess, side = high, below, 0
    for _ in range(MAX_STEPS):
        if high - low < TOLERANCE or abs(excess) < TOLERANCE:
            break
        width = (low * below - high * above) / (below - above)
        excess = curve.error(width) - width
        if excess > 0:
            low, above, below, side = width, excess, below / 2 if side == 1 else below, 1
        else:
            high, below, above, side = width, excess, above / 2 if side == -1 else above, -1
    return width, width + excess
