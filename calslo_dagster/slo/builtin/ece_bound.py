"""Expected calibration error stays under a bound that sampling noise alone does not reach."""

from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

import numpy as np

from calslo_dagster.slo.many import ManyLimits, Windows
from calslo_dagster.slo.model import SLO, Evidence, Limits, Objective
from calslo_dagster.slo.parameters import parameter
from calslo_dagster.slo.trials import Calibration
from calslo_dagster.stats.baseline import ODDS_TOLERANCE
from calslo_dagster.stats.batch import Values
from calslo_dagster.stats.bins import DEFAULT_BINS, SMALL_SAMPLE, default_bins, default_bins_many
from calslo_dagster.stats.ece import ece_bound, equal_mass_ece, equal_mass_ece_many, null_floor
from calslo_dagster.stats.estimate import Estimate
from calslo_dagster.stats.scores import labeled_size, labeled_size_many
from calslo_dagster.stats.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Parameters:
    """What the limit max(floor, c * sqrt(K / N)) is made of; N is the number of labelled events."""

    c: float = parameter(
        "Constant of the bound where no manifest gives a c_hat. At 0.7 a perfectly calibrated model with the least "
        "predictable scores (all near 0.5) breaches in 3 of 10,000 windows at K = 15; at 0.6 in 9 of 1,000, at 0.5 in "
        "1 of 10, which would spend a 1 % error budget on noise.",
        default=0.7,
    )
    floor: float = parameter("The limit never falls below this, however many events there are.", default=0.015)
    bins: int = parameter(
        "K, the number of equal-mass bins from 4,000 events on; floor(sqrt(N)) below.", default=DEFAULT_BINS
    )
    warn_share: float = parameter("Share of the limit at which a warning begins.", default=0.9)
    tolerated_odds: float = parameter(
        "In evidence mode a slice may be wrong by the floor, but by no more than odds that are off by this share come "
        "to; without it, no error of a model of rare events would ever be one.",
        default=ODDS_TOLERANCE,
    )
    use_manifest: bool = parameter(
        "Take the largest c_hat of the manifests of the versions seen, if any has one.", default=True
    )

    def __post_init__(self) -> None:
        """Refuse parameters that make no bound."""
        if not (self.c > 0 and self.floor > 0 and 0 < self.warn_share < 1 and self.bins >= 1):
            raise ValueError(f"c and floor are above 0, warn_share is between 0 and 1 and bins at least 1: {self}")
        if not self.tolerated_odds > 0:
            raise ValueError(f"tolerated_odds is above 0, not {self.tolerated_odds}")


def measured(evidence: Evidence, parameters: Parameters) -> Estimate:
    """Return the equal-mass ECE of the labelled events."""
    bins = bins_for(evidence, parameters)
    found = equal_mass_ece(evidence.current, bins)
    if found.value is None:
        return found
    c, source = constant(evidence, parameters)
    reason = f"{_leaning(evidence.current)}; {bins} equal-mass bins, c = {c:.3g} from the {source}"
    floor = null_floor(evidence.current, bins)
    debiased = None if floor is None else max(0.0, found.value - floor.mean)
    return replace(found, reason=reason, debiased=debiased)


def _leaning(snapshot: Snapshot) -> str:
    """Return on which side the scores err on the whole, with the two means that say so."""
    weight = snapshot.total("w_lab")
    score, rate = snapshot.total("ws_lab") / weight, snapshot.total("wy_lab") / weight
    side = "over-confident" if score > rate else "under-confident"
    return f"{side}: the mean score is {score:.4f}, the rate {rate:.4f}"


def limits(evidence: Evidence, parameters: Parameters) -> Limits:
    """Return the bound for so many labelled events, and the warning at its share."""
    c, _ = constant(evidence, parameters)
    bins, events = bins_for(evidence, parameters), labeled_size(evidence.current)
    bound = ece_bound(events, bins, c, parameters.floor)
    return Limits(fail=bound, warn=parameters.warn_share * bound)


def measured_many(windows: Windows, parameters: Parameters) -> Values:
    """Return what `measured` does, of every window."""
    return equal_mass_ece_many(windows.batch, default_bins_many(windows.batch.labeled, parameters.bins))


def limits_many(windows: Windows, parameters: Parameters) -> ManyLimits:
    """Return what `limits` does, of every window."""
    constants = [constant(Evidence(Snapshot(), expected=known), parameters)[0] for known in windows.expected]
    rows = zip(
        labeled_size_many(windows.batch).tolist(),
        default_bins_many(windows.batch.labeled, parameters.bins).tolist(),
        windows.kind.tolist(),
        strict=True,
    )
    fail = np.array([ece_bound(events, bins, constants[kind], parameters.floor) for events, bins, kind in rows])
    return ManyLimits(fail, parameters.warn_share * fail)


def bins_for(evidence: Evidence, parameters: Parameters) -> int:
    """Return K for the number of labelled events."""
    labeled = evidence.current.labeled
    return default_bins(labeled) if labeled < SMALL_SAMPLE else parameters.bins


def constant(evidence: Evidence, parameters: Parameters) -> tuple[float, str]:
    """Return c and where it comes from: the largest, hence most lenient, c_hat of the manifests, else the settings."""
    found = [m.c_hat for m in evidence.expected.values() if m.c_hat is not None] if parameters.use_manifest else []
    return (max(found), "manifest") if found else (parameters.c, "settings")


def build(parameters: Parameters) -> SLO:
    """Return the SLO with these parameters."""
    return SLO(
        name="ece_bound",
        title="Calibration error",
        description=(
            "Scores mean what they say: the equal-mass expected calibration error of the last 24 hours is at most "
            "max(floor, c * sqrt(K / N)). The second term is what sampling noise can do with N labelled events."
        ),
        sli=partial(measured, parameters=parameters),
        objective=Objective(at_most=parameters.floor, computed=partial(limits, parameters=parameters)),
        window=timedelta(hours=24),
        # With fewer, K is below 15 and the bound above 0.18: only an unusable model could break it, so meeting it
        # would say nothing.
        min_events=200,
        target=0.99,
        needs=frozenset({"score", "label"}),
        trial=Calibration(odds=parameters.tolerated_odds),
        runbook=(
            "Open the calibration table of the slice and see whether the gaps have one sign (a shift: the base rate "
            "moved or labels are late) or turn around at the middle (the slope: scores too extreme or too timid). "
            "Compare the calibrator versions in the window; if the breach began with a deployment, roll it back. "
            "Otherwise check the labelled share, then refit the calibrator of this slice on the last two weeks."
        ),
    )


slo = build(Parameters())
