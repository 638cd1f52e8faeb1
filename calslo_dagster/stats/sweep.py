"""ECE sweep: as many equal-mass bins as leave the rate of positives rising with the score."""

from dataclasses import replace
from typing import Final

import numpy as np

from calslo_dagster.stats.bins import Binned
from calslo_dagster.stats.ece import equal_mass_ece
from calslo_dagster.stats.estimate import Estimate
from calslo_dagster.stats.grid import FINE_BINS
from calslo_dagster.stats.intervals import LEVEL
from calslo_dagster.stats.snapshot import Snapshot

# Labels are stored to 2^-30, and cutting a fine bin rounds.
ROUNDING: Final = 1e-9


def ece_sweep(snapshot: Snapshot, *, level: float = LEVEL) -> Estimate:
    """Return the equal-mass ECE with `sweep_bins` bins (Roelofs, Cain, Shlens, Mozer 2022, algorithm 1).

    Its number of bins grows with the evidence for a rising rate, which takes from the bias of the plug-in ECE near
    calibration. The interval is that of `equal_mass_ece` for these bins; that the labels chose them is left out.
    """
    return equal_mass_ece(snapshot, sweep_bins(snapshot), level=level)


def sweep_bins(snapshot: Snapshot) -> int:
    """Return the number of bins before the first, counting up from 2, at which the rate falls from a bin to the next.

    At least 1, at most the number of labelled events or of fine bins. Bins keep equal scores together; empty ones are
    passed over.
    """
    # The sums per number of bins are remembered with a snapshot; those of a sweep nobody asks for again.
    own = replace(snapshot)
    most = min(own.labeled, FINE_BINS)
    for bins in range(2, most + 1):
        if np.diff(Binned.equal_mass(own, bins).rate).min(initial=0.0) < -ROUNDING:
            return bins - 1
    return max(most, 1)
