"""A signed quantity day by day, each point with the sampling error that is known from its events."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# A day without any sampling error would make every other day worthless.
LEAST_ERROR: Final = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Daily:
    """Points in ascending order of their days, each array of shape (points,).

    days: whole days, of any origin; values: the quantity; errors: their standard errors, above 0.
    """

    days: Ints
    values: Floats
    errors: Floats

    @classmethod
    def of(cls, points: Iterable[tuple[int, float, float]]) -> Self:
        """Return the points (day, value, standard error); those that are not finite are left out.

        Raises ValueError for two points of one day or a negative error.
        """
        finite = sorted(point for point in points if np.isfinite(point).all())
        days, values, errors = (np.array([p[i] for p in finite], dtype=np.float64) for i in range(3))
        if len(set(days.tolist())) < len(days):
            raise ValueError("two points are of one day; merge the snapshots of a day before taking its point")
        if (errors < 0).any():
            raise ValueError(f"a standard error is at least 0, got {errors.min()}")
        return cls(days.astype(np.int64), values, np.maximum(errors, LEAST_ERROR))

    def __len__(self) -> int:
        return len(self.days)

    def last(self, span: int, *, until: int) -> Self:
        """Return the points of the `span` days that end with the day `until`."""
        kept = (self.days > until - span) & (self.days <= until)
        return type(self)(self.days[kept], self.values[kept], self.errors[kept])

    def scaled(self, origin: float, unit: float) -> Self:
        """Return the points with values counted from `origin` in multiples of `unit`."""
        return type(self)(self.days, (self.values - origin) / unit, self.errors / unit)


@dataclass(frozen=True, slots=True, eq=False)
class Paths:
    """Equally likely futures: levels from today on, shape (paths, days + 1), and today's slope, shape (paths,)."""

    levels: Floats
    slope: Floats

    @classmethod
    def pooled(cls, *parts: Self) -> Self:
        """Return the mixture of parts of equal weight, each with as many paths as the others."""
        return cls(np.concatenate([p.levels for p in parts]), np.concatenate([p.slope for p in parts]))
