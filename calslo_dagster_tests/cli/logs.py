"""Prediction logs for the command line: scores in steps of 0.001, labels drawn from them, several slices."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# A Monday, so that days and ISO weeks start with the log.
START: Final = datetime(2026, 3, 2, tzinfo=UTC)
DAY_US: Final = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Sample:
    """A log as arrays, each shape (N,); times are microseconds after START."""

    times: Ints
    scores: Floats
    labels: Floats

    def __len__(self) -> int:
        return len(self.scores)

    def table(self, **columns: Any) -> pa.Table:
        """Return the log as a table, with more columns."""
        times = pa.array(np.datetime64(START.replace(tzinfo=None), "us") + self.times.astype("timedelta64[us]"))
        return pa.table(
            {
                "event_time": times.cast(pa.timestamp("us", tz="UTC")),
                "score": self.scores,
                "label": self.labels.astype(np.int8),
                **columns,
            }
        )

    def write(self, path: Path, **columns: Any) -> Path:
        """Write the log as Parquet, with more columns, and return the path."""
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(self.table(**columns), path)
        return path


def sample(count: int = 2_000, *, seed: int = 7, days: float = 1.0, shift: float = 0.0) -> Sample:
    """Return events spread over the days, in order of time; `shift` is how far labels fall short of the scores."""
    random = np.random.default_rng(seed)
    scores = random.integers(0, 1_001, count) / 1_000
    labels = (random.random(count) < np.clip(scores - shift, 0, 1)).astype(np.float64)
    times = np.sort(random.integers(0, int(days * DAY_US), count))
    return Sample(times, scores, labels)
