"""Few bins collapse: clamping, ties and thin traffic must not leave the calibration measured on a handful of bins."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import numpy as np

from calslo_dagster.slo.many import Windows
from calslo_dagster.slo.model import SLO, Evidence, Objective, Severity
from calslo_dagster.slo.parameters import parameter
from calslo_dagster.slo.trials import Certain
from calslo_dagster.stats.batch import Values
from calslo_dagster.stats.bins import DEFAULT_BINS, SMALL_SAMPLE, Binned, default_bins, default_bins_many
from calslo_dagster.stats.estimate import Estimate
from calslo_dagster.stats.scores import NO_LABELS


@dataclass(frozen=True, slots=True)
class Parameters:
    """How bins are formed and merged."""

    min_bin_events: int = parameter(
        "A bin with fewer labelled events is merged into its neighbour: its rate could be off by 0.3.", default=10
    )
    bins: int = parameter(
        "K, the number of equal-mass bins from 4,000 events on; floor(sqrt(N)) below.", default=DEFAULT_BINS
    )

    def __post_init__(self) -> None:
        """Refuse parameters that make no bins."""
        if self.bins < 2 or self.min_bin_events < 1:
            raise ValueError(f"bins is at least 2 and min_bin_events at least 1: {self}")


def measured(evidence: Evidence, parameters: Parameters) -> Estimate:
    """Return 1 - non-empty bins / K, where events with equal scores share a bin and thin bins are merged."""
    labeled = evidence.current.labeled
    if not labeled:
        return Estimate.missing(NO_LABELS)
    bins = default_bins(labeled) if labeled < SMALL_SAMPLE else parameters.bins
    events = [float(n) for n in Binned.equal_mass(evidence.current, bins).events]
    left = merged(events, parameters.min_bin_events)
    reason = f"{left} of {bins} equal-mass bins are left, {len(events) - left} of them merged for lack of events"
    # Counted in bins before the division: 3 of 15 is exactly the limit of 20 % and keeps it.
    return Estimate((bins - left) / bins, events=labeled, reason=reason)


def measured_many(windows: Windows, parameters: Parameters) -> Values:
    """Return what `measured` does, of every window."""
    labeled = windows.batch.labeled
    bins = default_bins_many(labeled, parameters.bins)
    # Labelled events without any weight leave no bin at all.
    value = np.where(labeled > 0, 1.0, np.nan)
    for some, sums in Binned.equal_mass_many(windows.batch, bins):
        left = [merged(events, parameters.min_bin_events) for events in sums.events.tolist()]
        value[some] = (bins[some] - left) / bins[some]
    return Values(value, labeled)


def merged(events: Sequence[float], least: int) -> int:
    """Return how many bins remain when each bin with fewer than `least` events joins its right neighbour.

    The last one joins its left neighbour; a single bin remains however few events it has.
    """
    remaining, pending = 0, 0.0
    for count in events:
        pending += count
        if pending >= least:
            remaining, pending = remaining + 1, 0.0
    return max(remaining, 1) if events else 0


def build(parameters: Parameters) -> SLO:
    """Return the SLO with these parameters."""
    return SLO(
        name="merged_bins",
        title="Share of merged bins",
        description=(
            "At least 80 % of the K equal-mass bins stay apart over 24 hours. Bins merge when many events share one "
            "score, which clamping causes: the calibration error is then measured on fewer bins than it claims."
        ),
        sli=partial(measured, parameters=parameters),
        objective=Objective(at_most=0.20, warn=0.05),
        severity=Severity.WARNING,
        window=timedelta(hours=24),
        # floor(sqrt(400)) = 20 bins hold 20 events each, twice what keeps a bin from being merged, so scores without
        # ties never merge for lack of traffic.
        min_events=max(400, (2 * parameters.min_bin_events) ** 2),
        target=0.99,
        unit="share",
        needs=frozenset({"score", "label"}),
        trial=Certain(),
        runbook=(
            "Check clamp_activation of the same slice first: one value holding more than 1/15 of the traffic already "
            "merges a bin. If nothing is clamped, look for a score that repeats (a default, a cached prediction, a "
            "rounding step in front of the log) and fix it at its source. If traffic is thin, lower K for the slice."
        ),
    )


slo = build(Parameters())
