"""What a detector has learned of the shape of a miscalibration from batches before the one it bets on."""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from calslo_dagster.stats.baseline import BLOCKS, Baseline
from calslo_dagster.stats.batches import Batch, Floats

# Half-lives in units of p (1 - p), which is what evidence comes in: a memory in minutes would be too short where events
# are rare or scores extreme, and its length would depend on how long a batch is.
MEMORIES: Final = (1_000.0, 6_000.0)
# The information of a normal prior on the tilt of a block, of deviation 0.3.
PRIOR: Final = 11.1
LARGEST_TILT: Final = 1.5


@dataclass(frozen=True, slots=True, eq=False)
class Learned:
    """Decayed sums per memory and block of ranks, each of shape (memories, 16).

    residual: labels less scores; variance: p (1 - p).
    """

    residual: Floats
    variance: Floats

    @classmethod
    def nothing(cls) -> Self:
        """Return what is known before the first batch."""
        return cls(np.zeros((len(MEMORIES), BLOCKS)), np.zeros((len(MEMORIES), BLOCKS)))

    @staticmethod
    def memories() -> tuple[float, ...]:
        """Return the half-lives."""
        return MEMORIES

    @staticmethod
    def count() -> int:
        """Return the number of memories."""
        return len(MEMORIES)

    def tilts(self) -> Floats:
        """Return the tilt of each block, shape (memories, 16): one Newton step from zero, shrunken by the prior."""
        return np.clip(self.residual / (self.variance + PRIOR), -LARGEST_TILT, LARGEST_TILT)

    def signs(self) -> Floats:
        """Return the sign of each block, shape (memories, 16); 0 within one deviation."""
        return np.sign(self.residual) * (self.residual * self.residual > self.variance)

    def is_as(self, other: Self) -> bool:
        """Whether the same is known, bit by bit."""
        return np.array_equal(self.residual, other.residual) and np.array_equal(self.variance, other.variance)

    def after(self, batch: Batch, baseline: Baseline) -> Self:
        """Return what is known after the batch."""
        sums = np.zeros((2, len(batch.at) + 1))
        np.cumsum([batch.label - batch.score, batch.variances], axis=1, out=sums[:, 1:])
        residual, variance = np.diff(sums[:, np.searchsorted(batch.at, baseline.edges)], axis=1)
        kept = 0.5 ** (batch.variance / np.array(MEMORIES))[:, np.newaxis]
        return type(self)(kept * self.residual + residual, kept * self.variance + variance)
