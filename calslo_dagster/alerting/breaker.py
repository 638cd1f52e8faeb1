"""The circuit breaker of a channel: after some failures in a row it rests, and then one message tries for all."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from calslo_dagster.alerting.backoff import Backoff


class Phase(StrEnum):
    """Closed: messages go out; open: none does; half open: one does, and decides for the others."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class Terms:
    """When a channel rests and for how long; each rest in a row is longer than the last."""

    failures: int = 5
    rest: Backoff = field(default_factory=lambda: Backoff(timedelta(seconds=30), timedelta(minutes=15)))


@dataclass(frozen=True, slots=True)
class Breaker:
    """Where a breaker stands.

    failures: how many in a row; opens: how many rests in a row; probe_token: who tries for all, until `probe_until`.
    """

    phase: Phase = Phase.CLOSED
    failures: int = 0
    opens: int = 0
    open_until: datetime | None = None
    probe_token: str | None = None
    probe_until: datetime | None = None

    def failed(self, terms: Terms, *, now: datetime, token: str) -> "Breaker":
        """Return the breaker after the holder of the token has failed.

        A failure of a message that left before the breaker opened is counted, but does not make the rest longer.
        """
        counted = replace(self, failures=self.failures + 1)
        is_probe = self.phase is Phase.HALF_OPEN and self.probe_token == token
        trips = self.phase is Phase.CLOSED and counted.failures >= terms.failures
        if not (is_probe or trips):
            return counted
        opens = self.opens + 1
        return Breaker(Phase.OPEN, counted.failures, opens, now + terms.rest.delay(opens))
