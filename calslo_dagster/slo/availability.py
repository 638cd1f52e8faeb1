"""Availability: which expected windows were good, bad, unknown or excluded, and what that proves about the target.

The method is availability by window: good windows over measured ones. Windows that should exist and do not are unknown;
unknown windows are never counted as good, so availability comes with its coverage and as bounds.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache
from typing import Self

from calslo_dagster.slo.model import Verdict


class State(StrEnum):
    """What one expected window says about availability."""

    GOOD = "good"
    BAD = "bad"
    UNKNOWN = "unknown"
    EXCLUDED = "excluded"


class Promise(StrEnum):
    """Whether a target was kept: undetermined when the unknown windows could tip it either way."""

    KEPT = "kept"
    BROKEN = "broken"
    UNDETERMINED = "undetermined"


_STATE = {
    Verdict.MEETING: State.GOOD,
    Verdict.WARNING: State.GOOD,
    Verdict.BREACHED: State.BAD,
    Verdict.UNKNOWN: State.UNKNOWN,
    Verdict.ERROR: State.UNKNOWN,
    Verdict.EXCLUDED: State.EXCLUDED,
}


@dataclass(frozen=True, slots=True)
class Tally:
    """Expected windows by state; tallies of disjoint spans or slices add."""

    good: int = 0
    bad: int = 0
    unknown: int = 0
    excluded: int = 0

    @classmethod
    def of(cls, verdicts: Iterable[Verdict]) -> Self:
        """Return the tally of these verdicts."""
        states = [_STATE[verdict] for verdict in verdicts]
        return cls(*(states.count(state) for state in State))

    @classmethod
    def counted(cls, windows: Mapping[Verdict, int]) -> Self:
        """Return the tally of so many windows of each verdict."""
        found = dict.fromkeys(State, 0)
        for verdict, count in windows.items():
            found[_STATE[verdict]] += count
        return cls(*found.values())

    def __add__(self, other: Self) -> Self:
        """Return the tally of both together."""
        return type(self)(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    @property
    def expected(self) -> int:
        """Windows that count: all but the excluded ones."""
        return self.good + self.bad + self.unknown

    @property
    def measured(self) -> int:
        """Windows that were good or bad."""
        return self.good + self.bad

    @property
    def coverage(self) -> float | None:
        """Measured share of the expected windows; None if none were expected."""
        return _share(self.measured, self.expected)

    @property
    def observed(self) -> float | None:
        """Good share of the measured windows; None if none were measured. Read it beside the coverage."""
        return _share(self.good, self.measured)

    @property
    def low(self) -> float | None:
        """Availability if every unknown window was bad."""
        return _share(self.good, self.expected)

    @property
    def high(self) -> float | None:
        """Availability if every unknown window was good."""
        return _share(self.expected - self.bad, self.expected)

    def promise(self, target: float) -> Promise:
        """Return whether the target is kept or broken whatever the unknown windows were, or neither."""
        wanted = exact(target) * self.expected
        if not self.expected:
            return Promise.UNDETERMINED
        if self.good >= wanted:
            return Promise.KEPT
        return Promise.BROKEN if self.expected - self.bad < wanted else Promise.UNDETERMINED


def states(verdicts: Mapping[datetime, Verdict], expected: Iterable[datetime]) -> list[State]:
    """Return the state of each expected window end, in order; one without a verdict is unknown."""
    return [_STATE[verdicts.get(end, Verdict.UNKNOWN)] for end in expected]


def tally(verdicts: Mapping[datetime, Verdict], expected: Iterable[datetime]) -> Tally:
    """Return the tally of the expected window ends; one without a verdict is unknown."""
    found = states(verdicts, expected)
    return Tally(*(found.count(state) for state in State))


@lru_cache(256)
def exact(ratio: float) -> Fraction:
    """Return the fraction that the decimal number means: 0.999 is 999/1000, not its nearest binary neighbour."""
    return Fraction(str(ratio))


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
