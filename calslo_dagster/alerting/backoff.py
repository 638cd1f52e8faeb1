"""How long to wait after a failure: longer each time, out of step with others, and as long as the other side asks."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

# 2 to this power times any base is beyond any cap, and still a number.
_MOST_DOUBLINGS: Final = 60


@dataclass(frozen=True, slots=True)
class Backoff:
    """The wait after the first failure, doubled with each further one up to the cap."""

    base: timedelta = timedelta(seconds=5)
    cap: timedelta = timedelta(minutes=10)

    def delay(self, failures: int, draw: float = 1.0) -> timedelta:
        """Return the wait after so many failures, 1 or more; `draw` in [0, 1] takes away up to half of it."""
        seconds = self.base.total_seconds() * 2.0 ** min(failures - 1, _MOST_DOUBLINGS)
        return timedelta(seconds=min(seconds, self.cap.total_seconds()) * (0.5 + draw / 2))

    def next_try(
        self, now: datetime, *, failures: int, draw: float = 1.0, retry_after: timedelta | None = None
    ) -> datetime:
        """Return when to try again: after the wait, or when the other side wants it if that is later."""
        return now + max(self.delay(failures, draw), retry_after or timedelta(0))
