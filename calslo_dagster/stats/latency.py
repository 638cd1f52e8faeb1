"""Latency: quantiles from log buckets, and the exact share of slow events."""

import math
from functools import cache
from typing import Final

import numpy as np

from calslo_dagster.stats.batch import Batch, Values, shares
from calslo_dagster.stats.estimate import Estimate
from calslo_dagster.stats.intervals import LEVEL, proportion, quantile_ranks
from calslo_dagster.stats.snapshot import LATENCY_GAMMA, Snapshot

NO_LATENCY: Final = "no event carries a latency"
# The point of (g**(i-1), g**i] whose relative distance to both ends is the same, 1%.
_MIDDLE: Final = 2 / (1 + LATENCY_GAMMA)


def quantile(snapshot: Snapshot, share: float, *, slow_us: float | None = None, level: float = LEVEL) -> Estimate:
    """Return the nearest-rank quantile of the latency in microseconds, within 1% (Masson, Rim, Lee 2019, section 2).

    The value is that of rank ceil(share * n); low and high are bucket bounds of the order statistics that enclose the
    true quantile, so the interval is distribution-free and holds the 1% too; high is None where so few events bound
    nothing (below 368 for the 99th percentile at 95%). `slow_us` is the limit at which `n_slow` was counted: the
    bucket that straddles it is then resolved by the count, and value < slow_us says exactly that at most
    n - ceil(share * n) events were slow.
    """
    events = int(snapshot.latency.sum())
    if events == 0:
        return Estimate.missing(NO_LATENCY)
    rank = _rank(share, events)
    below, above = quantile_ranks(events, share, level)
    running = np.cumsum(snapshot.latency)
    value, low, high = (
        None if r is None else int(np.searchsorted(running, r, side="left")) for r in (rank, below, above)
    )
    fast = _fast_events(snapshot, events, slow_us)
    return Estimate(
        _resolved(_middle(value or 0), rank, fast, slow_us),
        low=0.0 if not low or below is None else _resolved(LATENCY_GAMMA ** (low - 1), below, fast, slow_us),
        high=None if high is None or above is None else _resolved(LATENCY_GAMMA**high, above, fast, slow_us),
        events=events,
    )


def quantile_many(batch: Batch, share: float, *, slow_us: float | None = None) -> Values:
    """Return `quantile` of every window, without the bounds."""
    value, events = np.full(len(batch), np.nan), np.zeros(len(batch), dtype=np.int64)
    counted, slow = batch.count("n_latency"), batch.count("n_slow")
    for some, counts in batch.latency():
        running = np.cumsum(counts, axis=1)
        events[some] = running[:, -1] if len(batch.buckets) else 0
        for place, (window, n) in enumerate(zip(some.tolist(), events[some].tolist(), strict=True)):
            if n:
                rank = _rank(share, n)
                bucket = batch.buckets[np.searchsorted(running[place], rank, side="left")]
                fast = None if slow_us is None or counted[window] != n else n - int(slow[window])
                value[window] = _resolved(_middle(int(bucket)), rank, fast, slow_us)
    return Values(value, events)


def p99(snapshot: Snapshot, *, slow_us: float | None = None, level: float = LEVEL) -> Estimate:
    """Return the 99th percentile of the latency in microseconds, see `quantile`."""
    return quantile(snapshot, 0.99, slow_us=slow_us, level=level)


def p99_many(batch: Batch, *, slow_us: float | None = None) -> Values:
    """Return `p99` of every window, without the bounds."""
    return quantile_many(batch, 0.99, slow_us=slow_us)


def slow_rate(snapshot: Snapshot, *, level: float = LEVEL) -> Estimate:
    """Return the exact share of events at or over the latency limit, with its exact interval."""
    events = snapshot.count("n_latency")
    if events == 0:
        return Estimate.missing(NO_LATENCY)
    return proportion(snapshot.count("n_slow") / events, events, events=events, level=level)


def _rank(share: float, events: int) -> int:
    return max(1, math.ceil(round(share * events, 6)))


@cache
def _middle(bucket: int) -> float:
    return float(_MIDDLE * LATENCY_GAMMA**bucket)


def slow_rate_many(batch: Batch) -> Values:
    """Return `slow_rate` of every window."""
    return shares(batch.count("n_slow"), batch.count("n_latency"))


def _fast_events(snapshot: Snapshot, events: int, slow_us: float | None) -> int | None:
    """Return how many events stayed below the limit, None where counts and buckets cover different events."""
    if slow_us is None or snapshot.count("n_latency") != events:
        return None
    return events - snapshot.count("n_slow")


def _resolved(value: float, rank: int, fast: int | None, slow_us: float | None) -> float:
    """Return the value, moved to the side of the limit on which the event of this rank is known to lie."""
    if fast is None or slow_us is None:
        return value
    return max(value, slow_us) if rank > fast else min(value, math.nextafter(slow_us, 0.0))
