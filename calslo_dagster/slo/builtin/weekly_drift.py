"""No calibration metric moves by 0.01 from one ISO week to the next."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache, partial
from typing import Final, Self

from calslo_dagster.slo.drift import LABELS, JudgedChange, about, judge_change
from calslo_dagster.slo.limits import plain, signed
from calslo_dagster.slo.model import SLO, Cadence, Evidence, Limits, Objective, Severity, Verdict
from calslo_dagster.slo.parameters import parameter
from calslo_dagster.slo.trials import Interval
from calslo_dagster.stats.bins import DEFAULT_BINS
from calslo_dagster.stats.changes import JUDGED_ITSELF, RULES, changes
from calslo_dagster.stats.drift import JUDGED, Delta, deltas, largest_change, metric_values
from calslo_dagster.stats.estimate import Estimate
from calslo_dagster.stats.intervals import LEVEL, two_sided_z
from calslo_dagster.stats.snapshot import Snapshot

# One verdict is drawn from all metrics, so their intervals hold for all of them at once (Bonferroni).
JOINT_LEVEL: Final = 1 - (1 - LEVEL) / len(JUDGED_ITSELF)
_ORDER: Final = (Verdict.BREACHED, Verdict.WARNING, Verdict.MEETING)


@dataclass(frozen=True, slots=True)
class Parameters:
    """The limit on the change, and how noise is kept from breaking it."""

    limit: float = parameter("Every metric changes by less than this from week to week.", default=0.01)
    bins: int = parameter("Number of equal-mass bins of the ECE.", default=DEFAULT_BINS)
    judge_noise: bool = parameter(
        "Judge the bare change of equal-mass ECE, debiased ECE, Brier score, log loss, calibration slope, mean score, "
        "base rate and clamp rate, whatever of it is noise, other volume, other scores or an improvement. The "
        "calibration slope alone then breaches most weeks of less than 100,000 labelled events.",
        default=False,
    )

    def __post_init__(self) -> None:
        """Refuse parameters that make no limit."""
        if not self.limit > 0 or self.bins < 1:
            raise ValueError(f"limit is above 0 and bins at least 1: {self}")


def measured(evidence: Evidence, parameters: Parameters) -> Estimate:
    """Return the size of the change that decides: of the worst verdict of all metrics, the largest beyond chance.

    The verdict of a metric is what its interval supports, see `judge_change`; `limits` turns it into limits on the
    size. A metric whose interval holds 0 and reaches beyond the limit is named with the events that it needs: calling
    its noise a breach would be as wrong as calling it met. The interval is of the size, for all metrics at once.
    """
    if evidence.baseline is None:
        return Estimate.missing("there is no week before this one to compare with")
    if parameters.judge_noise:
        return _bare(evidence.current, evidence.baseline, parameters)
    known = _judged(evidence.current, evidence.baseline, parameters)
    if not known:
        return Estimate.missing("no metric is known for both spans")
    decided = [one for one in known if one.verdict is not Verdict.UNKNOWN]
    if not decided:
        events = min(evidence.current.labeled, evidence.baseline.labeled)
        few = f"{events:,} labelled events in the smaller week cannot show a change of {plain(parameters.limit)}"
        return Estimate.missing(f"{few}; {_undecided(known)}", events)
    size, worst = _worst(decided)
    chance = f"the limit is {plain(parameters.limit)} and {plain(size.value - size.near)} for chance"
    return Estimate(
        size.value,
        low=max(0.0, size.near),
        high=max(0.0, size.far),
        events=min(one.delta.change.events for one in decided),
        reason="; ".join(filter(None, (_moved(worst.delta, JOINT_LEVEL), chance, _undecided(known)))),
        standard_error=worst.delta.change.standard_error,
    )


def limits(evidence: Evidence, parameters: Parameters) -> Limits:
    """Return the limits on the size that give the verdict of the metric that decides.

    A breach is a change beyond the limit by more than chance explains, which is how far its interval reaches towards 0.
    A warning is one that chance does not explain, or beyond the limit, unless it is within the limit for certain.
    """
    if evidence.baseline is None or parameters.judge_noise:
        return Limits(fail=parameters.limit)
    known = _judged(evidence.current, evidence.baseline, parameters)
    decided = [one for one in known if one.verdict is not Verdict.UNKNOWN]
    if not decided:
        return Limits(fail=parameters.limit)
    size, worst = _worst(decided)
    chance, room = size.value - size.near, max(0.0, size.far - size.value)
    fail, warn = parameters.limit + chance, max(parameters.limit - room, min(parameters.limit, chance))
    # Rounding of the sums must not turn the verdict of a change whose interval ends at the limit.
    above = math.nextafter(size.value, math.inf)
    return Limits(
        fail=min(fail, size.value) if worst.verdict is Verdict.BREACHED else max(fail, above),
        warn=max(warn, above) if worst.verdict is Verdict.MEETING else min(warn, size.value),
    )


@dataclass(frozen=True, slots=True)
class _Size:
    """How large a change is that counts, at least 0, and the ends of its interval nearer to 0 and farther from it."""

    value: float
    near: float
    far: float

    @classmethod
    def of(cls, judged: JudgedChange) -> Self:
        change = judged.delta.change
        value, low, high = change.value or 0.0, change.low or 0.0, change.high or 0.0
        if RULES[judged.delta.metric].rises_only:
            # An improvement counts as none, with the reach of its interval.
            return cls(value, low, high) if value > 0 else cls(0.0, low - value, high)
        return cls(abs(value), max(low, -high), max(-low, high))


# The value is asked for, then the limits: both are read off the same verdicts.
@lru_cache(maxsize=1)
def _judged(current: Snapshot, baseline: Snapshot, parameters: Parameters) -> tuple[JudgedChange, ...]:
    """Return the verdict on each metric that is known for both weeks."""
    moved = changes(current, baseline, parameters.bins, level=JOINT_LEVEL)
    own = [delta for delta in moved if delta.metric in JUDGED_ITSELF and delta.change.is_measured]
    return tuple(judge_change(delta, parameters.limit, level=JOINT_LEVEL) for delta in own)


def _worst(decided: list[JudgedChange]) -> tuple[_Size, JudgedChange]:
    """Return the change with the worst verdict, of several the one that is largest beyond chance, and its size."""
    sized = [(_Size.of(one), one) for one in decided]
    return min(sized, key=lambda pair: (_ORDER.index(pair[1].verdict), -max(0.0, pair[0].near), -pair[0].value))


def _bare(current: Snapshot, baseline: Snapshot, parameters: Parameters) -> Estimate:
    """Return the largest bare change."""
    now, before = (metric_values(week, parameters.bins) for week in (current, baseline))
    known = [delta for delta in deltas(now, before) if delta.metric in JUDGED and delta.change.is_measured]
    found = largest_change(known)
    if found.value is None:
        return found
    worst = next(delta for delta in known if delta.metric == found.reason)
    return replace(found, reason=_moved(worst, LEVEL), standard_error=worst.change.standard_error)


def _moved(delta: Delta, level: float) -> str:
    now, before, change = delta.current.value or 0.0, delta.baseline.value or 0.0, delta.change
    text = f"{LABELS[delta.metric]} moved from {plain(before)} to {plain(now)}"
    if change.low is None or change.high is None:
        return text
    return f"{text} ({level * 100:.3g} % interval of the change {signed(change.low)} to {signed(change.high)})"


def _undecided(known: Sequence[JudgedChange]) -> str:
    """Return the metrics without a verdict, with the events in a week that would give them one."""
    names = [
        LABELS[one.delta.metric] + (f" (needs about {about(one.events_needed)})" if one.events_needed else "")
        for one in known
        if one.verdict is Verdict.UNKNOWN
    ]
    return f"too few events to decide: {', '.join(names)}" if names else ""


def build(parameters: Parameters) -> SLO:
    """Return the SLO with these parameters."""
    return SLO(
        name="weekly_drift",
        title="Largest change since last week",
        description=(
            "ECE, bias, Brier score, log loss, calibration slope, mean score, base rate and clamp rate each change by "
            "less than 0.01 from one ISO week to the next. ECE counts less what chance makes of it, Brier score and "
            "log loss less what the mix of scores makes of them, and these three only when they rise. A breach is "
            "certain; a warning is more than chance. A metric whose noise alone could be such a change is left out and "
            "named with the events it needs."
        ),
        sli=partial(measured, parameters=parameters),
        objective=Objective(below=parameters.limit, computed=partial(limits, parameters=parameters)),
        severity=Severity.WARNING,
        window=timedelta(days=7),
        cadence=Cadence.WEEKLY,
        trial=Interval(parts=len(JUDGED_ITSELF), allowance=0.0 if parameters.judge_noise else two_sided_z(JOINT_LEVEL)),
        # With fewer labelled events in either week the noise of most metrics alone is a change of 0.01.
        min_events=5_000,
        # One bad week of a quarter's thirteen.
        target=0.92,
        close_after=1,
        needs=frozenset({"score", "label"}),
        runbook=(
            "Read which metric moved and open the weekly drift report of the slice. Mean score and base rate together: "
            "the traffic changed, check its sources. Base rate alone: the world or the labels changed, check the label "
            "feed first. ECE, bias, slope or what Brier score and log loss have beyond their mix: the calibrator has "
            "aged, refit it on the last two weeks; the report says how much comes from which slice. Clamp rate: see "
            "clamp_activation."
        ),
    )


slo = build(Parameters())
