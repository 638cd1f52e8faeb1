"""No calibration metric moves by 0.01 from one ISO week to the next."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final

from calslo_dagster.slo.limits import plain
from calslo_dagster.slo.model import SLO, Cadence, Evidence, Objective, Severity
from calslo_dagster.slo.parameters import parameter
from calslo_dagster.slo.trials import Interval
from calslo_dagster.stats.bins import DEFAULT_BINS
from calslo_dagster.stats.drift import JUDGED, Delta, deltas, largest_change, metric_values
from calslo_dagster.stats.estimate import Estimate
from calslo_dagster.stats.intervals import LEVEL, two_sided_z

LABELS: Final = {
    "aece": "equal-mass ECE",
    "dece": "debiased ECE",
    "brier": "Brier score",
    "log_loss": "log loss",
    "slope": "calibration slope",
    "mean_score": "mean score",
    "base_rate": "base rate",
    "clamp_rate": "clamp rate",
}


@dataclass(frozen=True, slots=True)
class Parameters:
    """The limit on the change, and how noise is kept from breaking it."""

    limit: float = parameter("Every metric changes by less than this from week to week.", default=0.01)
    bins: int = parameter("Number of equal-mass bins of both ECE metrics.", default=DEFAULT_BINS)
    judge_noise: bool = parameter(
        "Judge every metric by its bare change, even where a week holds too few events to see a change of the limit. "
        "The calibration slope alone then breaches most weeks of less than 100,000 labelled events.",
        default=False,
    )

    def __post_init__(self) -> None:
        """Refuse parameters that make no limit."""
        if not self.limit > 0 or self.bins < 1:
            raise ValueError(f"limit is above 0 and bins at least 1: {self}")


def measured(evidence: Evidence, parameters: Parameters) -> Estimate:
    """Return the largest absolute change over the metrics that both weeks can judge.

    A metric is judged when its standard error could show a change of the limit (jointly over all metrics, at 95 %), or
    when it changed by more than the limit beyond doubt. The others are named as undecided: calling their noise a breach
    would be as wrong as calling it met.
    """
    if evidence.baseline is None:
        return Estimate.missing("there is no week before this one to compare with")
    now, before = (metric_values(week, parameters.bins) for week in (evidence.current, evidence.baseline))
    known = [d for d in deltas(now, before) if d.metric in JUDGED and d.change.is_measured]
    judged = [d for d in known if parameters.judge_noise or _is_judged(d, parameters.limit, len(known))]
    found = largest_change(judged)
    if found.value is None:
        events = min(evidence.current.labeled, evidence.baseline.labeled)
        too_few = f"{events:,} labelled events in the smaller week cannot show a change of {plain(parameters.limit)}"
        return Estimate.missing(too_few if known else found.reason, events)
    worst = next(d for d in judged if d.metric == found.reason)
    reason = _told(worst, [d.metric for d in known if d not in judged])
    return Estimate(found.value, found.low, found.high, found.events, reason, worst.change.standard_error)


def _is_judged(delta: Delta, limit: float, metrics: int) -> bool:
    value, error = delta.change.value, delta.change.standard_error
    if error is None or value is None:
        return value is not None
    reach = two_sided_z(1 - (1 - LEVEL) / metrics) * error
    return reach <= limit or abs(value) - reach > limit


def _told(worst: Delta, undecided: Sequence[str]) -> str:
    change, now, before = worst.change, worst.current.value or 0.0, worst.baseline.value or 0.0
    text = f"{LABELS[worst.metric]} moved most, from {plain(before)} to {plain(now)}"
    if change.low is not None and change.high is not None:
        text += f" (95 % interval of the change {plain(change.low)} to {plain(change.high)})"
    if undecided:
        text += "; too few events to decide: " + ", ".join(LABELS[name] for name in undecided)
    return text


def build(parameters: Parameters) -> SLO:
    """Return the SLO with these parameters."""
    return SLO(
        name="weekly_drift",
        title="Largest change since last week",
        description=(
            "Equal-mass ECE, debiased ECE, Brier score, log loss, calibration slope, mean score, base rate and clamp "
            "rate each change by less than 0.01 from one ISO week to the next. A metric whose noise alone could be "
            "such a change is left out of the verdict and named in its reason."
        ),
        sli=partial(measured, parameters=parameters),
        objective=Objective(below=parameters.limit),
        severity=Severity.WARNING,
        window=timedelta(days=7),
        cadence=Cadence.WEEKLY,
        trial=Interval(parts=len(LABELS)),
        # With fewer labelled events in either week the noise of most metrics alone is a change of 0.01.
        min_events=5_000,
        # One bad week of a quarter's thirteen.
        target=0.92,
        close_after=1,
        needs=frozenset({"score", "label"}),
        runbook=(
            "Read which metric moved and open the weekly drift report of the slice. Mean score and base rate together: "
            "the traffic changed, check its sources. Base rate alone: the world or the labels changed, check the label "
            "feed first. ECE or slope alone: the calibrator has aged, refit it on the last two weeks. Clamp rate: see "
            "clamp_activation."
        ),
    )


slo = build(Parameters())
