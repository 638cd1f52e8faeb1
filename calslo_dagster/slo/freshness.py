"""Freshness: how long what was measured speaks of now."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from calslo_dagster.slo.model import Measurement

# A log that says nothing for some hours is taken as complete only then, so its last final window may be that old.
LEAST_PATIENCE: Final = timedelta(hours=8)


@dataclass(frozen=True, slots=True)
class Patience:
    """After how long without an evaluation, and after what age of a window, a measurement says nothing about now."""

    evaluation: timedelta
    window: timedelta

    @classmethod
    def of(cls, step: timedelta, lateness: timedelta) -> "Patience":
        """Return the patience with an SLO whose windows end a `step` apart and whose events may come `lateness` late.

        One and a half steps: an evaluation that comes half a step late has not been missed.
        """
        waited = 1.5 * step + lateness
        return cls(evaluation=waited, window=max(waited, LEAST_PATIENCE))

    def stale_since(self, newest: Measurement, evaluated_at: datetime | None, now: datetime) -> datetime | None:
        """Return the instant from which on nothing is known of the slice; None if what is known speaks of `now`.

        evaluated_at: when the SLO was last evaluated, None if that is not on record.
        """
        if now - newest.window_end >= self.window:
            return newest.window_end
        is_still = evaluated_at is not None and now - evaluated_at > self.evaluation
        return evaluated_at if is_still else None
