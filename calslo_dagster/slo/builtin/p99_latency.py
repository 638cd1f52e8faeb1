"""Calibration answers within a millisecond for 99 of 100 events."""

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final

from calslo_dagster.slo.limits import plain
from calslo_dagster.slo.many import Windows
from calslo_dagster.slo.model import SLO, Evidence, Objective
from calslo_dagster.slo.parameters import parameter
from calslo_dagster.slo.trials import Counts, Rate
from calslo_dagster.stats.batch import Values
from calslo_dagster.stats.estimate import Estimate
from calslo_dagster.stats.latency import p99, p99_many
from calslo_dagster.stats.snapshot import Snapshot

# That the 99th percentile is under a limit says that at most so many events are over it.
SLOW_SHARE: Final = 0.01


@dataclass(frozen=True, slots=True)
class Parameters:
    """The latency limit."""

    limit_us: float = parameter(
        "An event at or over this many microseconds is slow; the limit at which slow events are counted in the log.",
        default=1_000.0,
    )

    def __post_init__(self) -> None:
        """Refuse a limit that no event could keep."""
        if not self.limit_us > 0:
            raise ValueError(f"limit_us is above 0, not {self.limit_us}")


def measured(evidence: Evidence, parameters: Parameters) -> Estimate:
    """Return the nearest-rank 99th percentile, on the side of the limit that the exact count of slow events decides.

    "p99 < limit" is "at most 1 % of the events are at or over the limit", and that count is exact, while the percentile
    comes from buckets of 1 %. The percentile of the bucket that holds the limit is therefore moved to the counted side,
    so that value and verdict cannot contradict each other.
    """
    snapshot = evidence.current
    found = p99(snapshot, slow_us=parameters.limit_us)
    if found.value is None:
        return found
    slow, allowed = snapshot.count("n_slow"), found.events // 100
    reason = f"{slow:,} took {plain(parameters.limit_us)} us or longer, {allowed:,} may"
    return Estimate(found.value, found.low, found.high, found.events, reason, found.standard_error)


def _counts(snapshot: Snapshot) -> Counts:
    return Counts(snapshot.count("n_slow"), snapshot.count("n_latency"))


def measured_many(windows: Windows, parameters: Parameters) -> Values:
    """Return what `measured` does, of every window."""
    return p99_many(windows.batch, slow_us=parameters.limit_us)


def build(parameters: Parameters) -> SLO:
    """Return the SLO with these parameters."""
    return SLO(
        name="p99_latency",
        title="99th percentile of latency",
        description="99 of 100 events are calibrated in less than a millisecond, in every window of 15 minutes.",
        sli=partial(measured, parameters=parameters),
        objective=Objective(below=parameters.limit_us),
        window=timedelta(minutes=15),
        # Below 100 events not a single slow one is allowed, so one garbage collection would decide.
        min_events=100,
        target=0.999,
        unit="us",
        needs=frozenset({"score", "latency_us"}),
        trial=Rate(_counts, limit=SLOW_SHARE, hit_from=parameters.limit_us),
        runbook=(
            "Compare slices and calibrator versions: one slow version points at the deployment (roll it back), all at "
            "once at the host (CPU throttling, garbage collection, noisy neighbour). If the number of slow events grew "
            "with traffic, add capacity first and look for the cause after."
        ),
    )


slo = build(Parameters())
