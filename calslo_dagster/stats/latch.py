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

# A change that goes on is found again after about as many events as it took to be found, so after some times as many
# without it has ended. A warning lasts a day at least, since traffic repeats itself by the day, and at most a week.
PATIENCE: Final = 3
BREACH_PATIENCE: Final = 4
SHORTEST_WARNING: Final = timedelta(hours=24)
LONGEST_WARNING: Final = timedelta(days=7)
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
    """Which detectors fired in a tick, and how long what they found had been going on by their own account."""

    breach: bool = False
    change: bool = False
    breach_age: timedelta = timedelta(0)
    change_age: timedelta = timedelta(0)


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

    def after(self, now: datetime, alarms: Alarms, *, took: float = 0.0) -> "Latch":
        """Return the latch after a tick with these alarms; took: the events that the breach alarm took."""
        latch = self
        if alarms.breach:
            took = max(took, latch.breach_took or 0.0)
            latch = replace(latch, breached_since=latch.breached_since or now, breach_fired=now, breach_took=took)
        if alarms.change:
            # A change takes a while to be found again, whatever the leading bet makes of its age.
            again = now - latch.change_fired if latch.change_fired else timedelta(0)
            age = max(alarms.change_age, again if again <= LONGEST_WARNING else timedelta(0))
            until = max(now + min(LONGEST_WARNING, max(SHORTEST_WARNING, PATIENCE * age)), latch.warned_until or now)
            since = latch.warned_since if latch.is_warned(now) else None
            latch = replace(latch, warned_since=since or now, change_fired=now, warned_until=until)
        return latch

    def is_warned(self, now: datetime) -> bool:
        """Whether an episode of warnings goes on."""
        return self.warned_until is not None and now < self.warned_until

    def cleared(self, now: datetime, reading: Reading | None, limit: float) -> "Latch":
        """Return the latch without its breach if what came since the alarm shows that it is over.

        Either the quantity is within the limit with 95%; or it is there by its estimate, and four times as many events
        as any of the alarms took have brought no other. The first alone would keep a slice of little traffic breached
        for days after the fix.
        """
        if reading is None or self.breached_since is None:
            return self
        is_quiet = reading.events >= BREACH_PATIENCE * (self.breach_took or math.inf)
        if reading.high > limit and not (is_quiet and reading.debiased <= limit):
            return self
        until = now + SHORTEST_WARNING
        return replace(self, breached_since=None, breach_fired=None, breach_took=None, recovers_until=until)

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
