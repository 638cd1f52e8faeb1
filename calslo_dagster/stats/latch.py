"""What alarms of detectors come to: a standing that holds until the data say otherwise."""

import math
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import numpy as np

from calslo_dagster.stats.baseline import VERDICT_Z
from calslo_dagster.stats.bins import DEFAULT_BINS, Binned
from calslo_dagster.stats.intervals import HALF_NORMAL_MEAN, absolute_sum_interval
from calslo_dagster.stats.snapshot import Snapshot

WINDOW: Final = timedelta(hours=24)
WARNING_LASTS: Final = timedelta(hours=24)
# An alarm so soon after the last one tells nobody anything new.
SAME_EPISODE: Final = timedelta(days=7)
# Two-sided, so that either end has 95%.
VERDICT_LEVEL: Final = math.erf(VERDICT_Z / math.sqrt(2))


class Standing(StrEnum):
    """What the detectors and the window say together."""

    BREACHED = "breached"
    WARNING = "warning"
    MEETING = "meeting"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Reading:
    """The calibration error of a window.

    value: the binned error; debiased: less what calibration alone would show, at least 0; low, high: each holds with
    95% on its own; events: labelled events; bins: occupied equal-mass bins.
    """

    value: float
    debiased: float
    low: float
    high: float
    events: int
    bins: int


@dataclass(frozen=True, slots=True)
class Latch:
    """The alarms that still count.

    breached_since: begin of the open breach; breach_fired: its last alarm; warned_since: begin of the last episode of
    warnings; change_fired: its last alarm. None where there is none.
    """

    breached_since: datetime | None = None
    breach_fired: datetime | None = None
    warned_since: datetime | None = None
    change_fired: datetime | None = None

    def window_start(self, now: datetime) -> datetime:
        """Return where the window begins that is judged at `now`: 24 hours back, or at the last breach alarm."""
        start = now - WINDOW
        return start if self.breach_fired is None else max(start, self.breach_fired)

    def after(self, now: datetime, *, has_changed: bool, has_breached: bool) -> "Latch":
        """Return the latch after a tick in which these detectors fired."""
        latch = self
        if has_breached:
            latch = replace(latch, breached_since=latch.breached_since or now, breach_fired=now)
        if has_changed:
            is_same = latch.change_fired is not None and now - latch.change_fired <= SAME_EPISODE
            latch = replace(latch, warned_since=latch.warned_since if is_same else now, change_fired=now)
        return latch

    def cleared(self, reading: Reading | None, tolerance: float) -> "Latch":
        """Return the latch without its breach if the window since the alarm shows an error within the tolerance."""
        if reading is None or reading.high > tolerance:
            return self
        return replace(self, breached_since=None, breach_fired=None)

    def standing(self, now: datetime, reading: Reading | None, tolerance: float) -> tuple[Standing, str]:
        """Return the standing at `now` and why; pass no reading where labels are missing or late."""
        if self.breached_since is not None:
            return Standing.BREACHED, f"the error is above {tolerance:g} since {self.breached_since:%Y-%m-%d %H:%M}"
        if self.change_fired is not None and now - self.change_fired < WARNING_LASTS:
            return Standing.WARNING, f"calibration has changed, last seen {self.change_fired:%Y-%m-%d %H:%M}"
        if reading is None:
            return Standing.INCONCLUSIVE, "no labels to judge by"
        if reading.high <= tolerance:
            return Standing.MEETING, f"the error is at most {reading.high:.4g}, allowed are {tolerance:g}"
        return Standing.INCONCLUSIVE, f"the error may be up to {reading.high:.4g}, allowed are {tolerance:g}"


def reading(window: Snapshot, *, dispersion: float = 1.0) -> Reading | None:
    """Return the equal-mass calibration error of the window in min(15, floor(sqrt(events))) bins; None without labels.

    The interval is that of `absolute_sum_interval` with all variances times `dispersion`.
    """
    sums = Binned.equal_mass(window, max(1, min(DEFAULT_BINS, math.isqrt(window.labeled))))
    if not len(sums.index):
        return None
    weight, variances = sums.total_weight, sums.variance * dispersion
    value = float(abs(sums.gap).sum()) / weight
    low, high = absolute_sum_interval(value, variances, weight, unit=sums.unit * dispersion, level=VERDICT_LEVEL)
    floor = HALF_NORMAL_MEAN * float(np.sqrt(sums.model_variance * dispersion).sum()) / weight
    return Reading(value, max(0.0, value - floor), low, high, sums.total_events, len(sums.index))
