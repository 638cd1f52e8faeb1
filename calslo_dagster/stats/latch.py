"""What alarms of detectors come to: a standing that holds until the data say otherwise."""

import math
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import numpy as np

from calslo_dagster.stats.baseline import VERDICT_Z
from calslo_dagster.stats.bins import DEFAULT_BINS, Binned
from calslo_dagster.stats.intervals import HALF_NORMAL_MEAN, absolute_sum_interval, clopper_pearson
from calslo_dagster.stats.snapshot import Snapshot

# What goes on is found again after about as many events as it took to be found: after some times as many, it has ended.
BREACH_PATIENCE: Final = 4
# An error that is harmless but there to stay is found again every few days. A week makes one episode of it, and no less
# would do; a warning pages nobody, and a fix, which is a new calibrator or the end of a breach, ends it at once.
WARNING_LASTS: Final = timedelta(days=7)
RECOVERY_LASTS: Final = timedelta(hours=24)
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
    """What the window of a slice shows of the quantity that its promise bounds.

    value: the estimate; debiased: less what chance alone would show, at least 0; low, high: each holds with 95% on its
    own; events: those it rests on; bins: occupied bins, None where there are none.
    """

    value: float
    debiased: float
    low: float
    high: float
    events: int
    bins: int | None = None


@dataclass(frozen=True, slots=True)
class Alarms:
    """Which detectors fired in a tick, and how long the breach had been going on by its detector's own account."""

    breach: bool = False
    change: bool = False
    breach_age: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Latch:
    """The alarms that still count.

    breached_since: begin of the open breach; breach_fired: its last alarm; breach_took: the most events that any of its
    alarms took; recovers_until: after a breach, until when it is told as a warning that more may come; warned_since:
    begin of the episode of warnings; change_fired: its last alarm; warned_until: when that ends without another. None
    where there is none.
    """

    breached_since: datetime | None = None
    breach_fired: datetime | None = None
    breach_took: float | None = None
    recovers_until: datetime | None = None
    warned_since: datetime | None = None
    change_fired: datetime | None = None
    warned_until: datetime | None = None

    def after(self, now: datetime, alarms: Alarms, *, took: float = 0.0, lasts: timedelta = WARNING_LASTS) -> "Latch":
        """Return the latch after a tick with these alarms.

        took: the events that the breach alarm took; lasts: how long a warning goes on without another alarm.
        """
        latch = self
        if alarms.breach:
            took = max(took, latch.breach_took or 0.0)
            latch = replace(latch, breached_since=latch.breached_since or now, breach_fired=now, breach_took=took)
        if alarms.change:
            since = latch.warned_since if latch.is_warned(now) else None
            latch = replace(latch, warned_since=since or now, change_fired=now, warned_until=now + lasts)
        return latch

    def is_warned(self, now: datetime) -> bool:
        """Whether an episode of warnings goes on."""
        return self.warned_until is not None and now < self.warned_until

    def cleared(self, now: datetime, reading: Reading | None, limit: float) -> "Latch":
        """Return the latch without its breach if what came since the alarm shows it is over, a day of warning left.

        Either the quantity is within the limit with 95%; or it is there by its estimate, and four times as many events
        as any of the alarms took have brought no other. The first alone would keep a slice of little traffic breached
        for days after the fix.
        """
        if reading is None or self.breached_since is None:
            return self
        is_quiet = reading.events >= BREACH_PATIENCE * (self.breach_took or math.inf)
        if reading.high > limit and not (is_quiet and reading.debiased <= limit):
            return self
        until = now + RECOVERY_LASTS
        closed = replace(self, breached_since=None, breach_fired=None, breach_took=None, recovers_until=until)
        return replace(closed, warned_until=min(until, self.warned_until)) if self.warned_until else closed

    def standing(self, now: datetime, reading: Reading | None, limit: float) -> Standing:
        """Return the standing at `now`; pass no reading where labels are missing or late."""
        if self.breached_since is not None:
            return Standing.BREACHED
        if self.is_warned(now):
            return Standing.WARNING
        if reading is not None and reading.high <= limit:
            return Standing.MEETING
        is_recovering = self.recovers_until is not None and now < self.recovers_until
        return Standing.WARNING if is_recovering else Standing.INCONCLUSIVE


def error_reading(window: Snapshot, *, dispersion: float = 1.0) -> Reading | None:
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


def rate_reading(hits: int, trials: int, *, dispersion: float = 1.0) -> Reading | None:
    """Return the share of hits with the ends of its exact interval, at 1 / dispersion of the trials; None without any.

    Clopper and Pearson (1934): Wilson's interval covers 90.5 % instead of 95 % at 100 trials of a rate of 0.1 %.
    """
    if trials == 0:
        return None
    low, high = clopper_pearson(hits / dispersion, trials / dispersion, VERDICT_LEVEL)
    return Reading(hits / trials, hits / trials, low, high, trials)
