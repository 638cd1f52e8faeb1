"""An estimate: a value, its interval, and how many events it rests on."""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Estimate:
    """One measured number.

    `value` is None when nothing could be measured, and `reason` then says why; otherwise it is empty or names the part
    that decided. `low` and `high` bound a two-sided
    interval in the unit of the value, None where the data bound nothing on that side; `events` counts the events that
    entered it; `standard_error` is in the unit of the value, None where the sums do not give it; `debiased` is the
    value less what chance alone adds to it, None where chance adds nothing; `bins` counts the occupied bins it is over.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    events: int = 0
    reason: str = ""
    standard_error: float | None = None
    debiased: float | None = None
    bins: int | None = None

    @classmethod
    def missing(cls, reason: str, events: int = 0) -> Self:
        """Return an estimate without a value, with the reason for it."""
        return cls(value=None, events=events, reason=reason)

    @property
    def is_measured(self) -> bool:
        """Whether there is a value at all."""
        return self.value is not None
