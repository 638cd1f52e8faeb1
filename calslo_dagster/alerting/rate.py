"""How fast a channel may be used, as a generic cell rate: evenly, with bursts of a fixed size."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Rate:
    """One message each `every`, up to `burst` at once after a pause; every 0 is no limit.

    In any span of time t, at most burst + t / every messages go out.
    """

    every: timedelta = timedelta(0)
    burst: int = 1

    def allowed(self, wanted: int, *, due: datetime | None, now: datetime) -> int:
        """Return how many of the wanted messages may go now; `due` is when the next would go in an even flow."""
        if not self.every:
            return wanted
        return max(0, min(wanted, 1 + self._spare(due, now) // self.every))

    def wait(self, *, due: datetime | None, now: datetime) -> timedelta:
        """Return how long it is until one message may go."""
        return max(-self._spare(due, now), timedelta(0)) if self.every else timedelta(0)

    def _spare(self, due: datetime | None, now: datetime) -> timedelta:
        behind = max(due - now, timedelta(0)) if due else timedelta(0)
        return self.every * (self.burst - 1) - behind
