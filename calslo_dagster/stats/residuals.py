"""Residuals within cells: what the sums of a snapshot say of their first three moments, and how surely.

Two logs may agree in every sum and differ in smECE by nearly the bound below, so these sums cannot prove 1e-9. Further
sums of (p - y) d^j, d the distance from the middle of the cell in widths of it, would: those up to j = 3 come within
4e-9 on the forecasts of 538, those up to 4 prove 1e-9 from sigma = 0.03 up, and those up to 6 from 0.007 up; with j = 1
among them, as rounding p^2 and p y may cost 5e-8. Each takes some 7% more CPU of the pass over cells and a fifth more
room; 257 cosines per event would take six times the CPU.
"""

import math
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from calslo_dagster.stats import grid
from calslo_dagster.stats.snapshot import SUM_SCALE, Snapshot

Floats = NDArray[np.float64]

# Half of what each event's part of a sum is rounded to.
ROUNDING: Final = 0.5 / SUM_SCALE
# Integrals over the line of the absolute first three derivatives of the normal density, over 1, 2 and 6.
FIRST_SLOPE: Final = math.sqrt(2 / math.pi)
SECOND_SLOPE: Final = math.sqrt(2 / math.pi) * math.exp(-0.5)
THIRD_SLOPE: Final = (1 + 4 * math.exp(-1.5)) / (3 * math.sqrt(2 * math.pi))


@dataclass(frozen=True, slots=True)
class Residuals:
    """Moments of the residuals r = p - y of each occupied cell about its mean score, each (cells,).

    centre: c, the mean score; moments: sums of w r, w r (p - c) and w r (p - c)^2, shape (3, cells), the first two
    known but for rounding; slack: how far the third may be from the truth; rest: at least sum w |r| |p - c|^3;
    rounding: of one sum; variance: sum w^2 p (1 - p); weight: of all labelled events.
    """

    centre: Floats
    moments: Floats
    slack: Floats
    rest: Floats
    rounding: Floats
    variance: Floats
    weight: float

    @classmethod
    def of(cls, snapshot: Snapshot) -> Self:
        """Return those of the labelled events, of which there must be some with weight.

        The third is c S - Y, with S = sum w (p - c)^2 and Y its part with label 1. S is known, Y to an interval, see
        `_square_of_positives`; within it, labels are taken as unrelated to the distance from c.
        """
        rows = snapshot.cell("w_lab") > 0
        names = ("w_lab", "w2_lab", "ws_lab", "wss_lab", "wy_lab", "wsy_lab")
        w, w2, ws, wss, wy, wsy = (snapshot.cell(name)[rows] for name in names)
        centre, rounding = ws / w, snapshot.cell("n_lab")[rows] * ROUNDING
        lower, upper = (bounds[rows] for bounds in grid.bin_bounds())
        reach = np.maximum(upper - centre, centre - lower)
        square = np.maximum(wss / w - centre * centre, 0.0) * w
        first = wsy - centre * wy
        # Rounding of sums with p^2, p and 1 in them, at factors of 1, 2c and c^2.
        noise = 4 * rounding
        low, high = _square_of_positives(np.stack([wy, first]), w, square, (lower - centre, upper - centre))
        low, high = low - noise, high + noise
        likely = np.minimum(np.maximum(wy / w * square, low), high)
        doubt = np.maximum(high - likely, likely - low)
        sized = np.maximum(upper, 1 - lower) * (square + noise)
        return cls(
            centre=centre,
            moments=np.stack([ws - wy, wss - wsy - centre * (ws - wy), centre * square - likely]),
            slack=doubt + reach * square + noise,
            rest=reach * sized,
            rounding=rounding,
            variance=np.maximum(ws - wss, 0.0) * w2 / w,
            weight=float(w.sum()),
        )

    def bound(self, width: float) -> float:
        """Return the most by which the integral of |r(t)| that the moments give can miss that of the events.

        r(t) = sum w r K(t, p) / W with a Gaussian K of this width, reflected or not. By Taylor about c, an event's part
        in that integral is sum_j w r (p - c)^j / j! times that of |d^j K / dp^j|, which reflection does not raise.
        """
        parts = (
            3 * self.rounding,
            FIRST_SLOPE / width * 4 * self.rounding,
            SECOND_SLOPE / width**2 * self.slack,
            THIRD_SLOPE / width**3 * self.rest,
        )
        return float(sum(part.sum() for part in parts)) / self.weight


def _square_of_positives(
    positive: Floats, weight: Floats, square: Floats, ends: tuple[Floats, Floats]
) -> tuple[Floats, Floats]:
    """Return the least and the most that sum w (p - c)^2 over the labels 1 can be, each (cells,).

    positive: their sums of w and of w (p - c), (2, cells); weight, square: sums of w and w (p - c)^2 over all; ends:
    bounds of the cell, less c. Either class has at least (sum w d)^2 / sum w by Cauchy and Schwarz, and at most
    (a + b) sum w d - a b sum w as (d - a)(b - d) >= 0; what one has, the other has not.
    """
    negative = np.stack([weight, np.zeros_like(weight)]) - positive
    least = [np.divide(first**2, size, out=np.zeros_like(size), where=size > 0) for size, first in (positive, negative)]
    most = [(ends[0] + ends[1]) * first - ends[0] * ends[1] * size for size, first in (positive, negative)]
    low = np.maximum(least[0], square - most[1])
    high = np.minimum(most[0], square - least[1])
    return low, high
