"""What an aggregate pass is asked for, beside the rows."""

from dataclasses import dataclass
from typing import Final

from calslo_dagster.engine.facts import FACTS, LEDGER_COLUMNS

# 2000-01-01 UTC; earlier times are the zero of some clock, not events.
EARLIEST_US: Final = 946_684_800_000_000
RESERVED_NAMES: Final = frozenset(
    {"t", "version", *LEDGER_COLUMNS}
    | {name for fact in FACTS for name in (*fact.keys, *fact.sums, *fact.firsts, *fact.lasts)}
)

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class AggregateSpec:
    """How rows become facts.

    slice_columns: columns of the canonical relation, in the order slices are named; latency_limit_us: latencies at or
    above it are slow; clamp_low, clamp_high: the calibrator's output bounds, scores at or beyond which count as
    clamped where the log does not say; deduplicate: count a prediction id once per UTC hour; earliest_us, latest_us:
    times before and after are bad times (latest_us None: no limit).
    """

    slice_columns: tuple[str, ...] = ()
    latency_limit_us: float = 1_000.0
    clamp_low: float | None = None
    clamp_high: float | None = None
    deduplicate: bool = True
    earliest_us: int = EARLIEST_US
    latest_us: int | None = None

    def __post_init__(self) -> None:
        """Refuse slice columns that would hide a column of a fact, and limits that mean nothing."""
        names = [name.lower() for name in self.slice_columns]
        if taken := sorted(RESERVED_NAMES.intersection(names)):
            raise ValueError(f"{taken[0]!r} cannot name a slice column, facts have one of that name; choose another")
        if len(set(names)) < len(names) or "" in names:
            raise ValueError(f"slice columns need names that differ, also in lower case: {self.slice_columns}")
        if not 0.0 < self.latency_limit_us < float("inf"):
            raise ValueError(f"latency_limit_us must be positive, got {self.latency_limit_us}")
        if self.earliest_us < 0:
            raise ValueError(f"earliest_us must not be before 1970, got {self.earliest_us}")
