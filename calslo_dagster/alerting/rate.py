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
        behind = max(due - now, timedelta(0)) if due else timedelta(0)
        spare = self.every * (self.burst - 1) - behind
        return max(0, min(wanted, 1 + spare // self.every))
