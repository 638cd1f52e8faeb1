"""The reliability curve: what was claimed against what happened, bin by bin."""

from dataclasses import dataclass
from enum import StrEnum

from calslo_dagster.stats.bins import DEFAULT_BINS, Binned
from calslo_dagster.stats.intervals import LEVEL, clopper_pearson
from calslo_dagster.stats.snapshot import Snapshot


class Binning(StrEnum):
    """How the range of scores is cut."""

    EQUAL_MASS = "equal_mass"
    EQUAL_WIDTH = "equal_width"


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """One bin of the curve.

    lower, upper: its scores; events: labelled events, fractional where an equal-mass bound cuts a fine bin; mean_score
    and rate: weighted means; low, high: exact interval of the rate, for the effective number of events.
    """

    lower: float
    upper: float
    events: float
    mean_score: float
    rate: float
    low: float
    high: float


def reliability_curve(
    snapshot: Snapshot, bins: int = DEFAULT_BINS, *, binning: Binning = Binning.EQUAL_MASS, level: float = LEVEL
) -> tuple[ReliabilityBin, ...]:
    """Return the occupied bins in the order of the score (Murphy and Winkler 1977); none without labelled events.

    Each interval holds for its own bin, not for all together; it does not collapse in a bin of one class,
    and holds for unlike events too (Hoeffding 1956).
    """
    cut = Binned.equal_mass if binning is Binning.EQUAL_MASS else Binned.equal_width
    sums = cut(snapshot, bins)
    means, rates, sizes = sums.score / sums.weight, sums.rate, sums.size
    rows = zip(sums.lower, sums.upper, sums.events, means, rates, sizes, strict=True)
    return tuple(_bin([float(x) for x in row], level) for row in rows)


def _bin(row: list[float], level: float) -> ReliabilityBin:
    lower, upper, events, mean, rate, size = row
    low, high = clopper_pearson(rate * size, size, level)
    return ReliabilityBin(lower, upper, events, mean, rate, min(low, rate), max(high, rate))
