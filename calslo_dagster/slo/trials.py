"""How the promise of an SLO is put to the test in evidence mode: what is bet on what, and what cannot be chance at all.

Each kind keeps its own null hypothesis; a false alarm is an alarm while that holds.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from calslo_dagster.stats.baseline import ODDS_TOLERANCE
from calslo_dagster.stats.snapshot import Snapshot


class Mode(StrEnum):
    """How verdicts come about.

    threshold: the value of each window against its limit; evidence: alarms whose rate while the promise is kept is
    bounded, however often one looks.
    """

    THRESHOLD = "threshold"
    EVIDENCE = "evidence"


@dataclass(frozen=True, slots=True)
class Counts:
    """How many of the events that were looked at are hits."""

    hits: int
    trials: int


@dataclass(frozen=True, slots=True)
class Calibration:
    """Labels are bet against scores. Kept: the calibration error is within the tolerance.

    odds: without a limit of its own a slice tolerates odds that are wrong by this share, and at most the SLO's limit.
    """

    odds: float = ODDS_TOLERANCE


@dataclass(frozen=True, slots=True)
class Rate:
    """Events are bet on being hits. Kept: their share is at most `limit`, that of the SLO if None.

    hit_from: the value of an event from which it is a hit; None where the snapshot itself says which are.
    """

    counts: Callable[[Snapshot], Counts]
    limit: float | None = None
    hit_from: float | None = None


@dataclass(frozen=True, slots=True)
class Interval:
    """The estimate's standard error says how far from its limit it must lie. Kept: the true value is within it.

    parts: the estimate is the worst of so many, each of which may miss; allowance: standard errors that the computed
    limits already grant to noise.
    """

    parts: int = 1
    allowance: float = 0.0


@dataclass(frozen=True, slots=True)
class Certain:
    """The value is a count of what happened and no sample of anything: every miss of the limit is one."""


@dataclass(frozen=True, slots=True)
class Untestable:
    """Nobody knows the noise of the value, so there is no evidence to be had of it."""


Trial = Calibration | Rate | Interval | Certain | Untestable
BY_INTERVAL: Final = Interval()


@dataclass(frozen=True, slots=True)
class AlarmRates:
    """False alarms that one SLO may have in the mean, per 30 days, over all its slices together."""

    breaches: float = 1.0
    warnings: float = 4.0


USUAL_RATES: Final = AlarmRates()
