"""Judging a change between two spans: that of the ECE without its bias, and verdicts that an interval supports."""

import math
from enum import StrEnum

from calslo_dagster.stats.bins import DEFAULT_BINS, Binned
from calslo_dagster.stats.drift import change
from calslo_dagster.stats.ece import debiased_ece, equal_mass_ece, null_floor
from calslo_dagster.stats.estimate import Estimate
from calslo_dagster.stats.intervals import LEVEL, two_sided_z, upper_tail
from calslo_dagster.stats.snapshot import Snapshot


class Judgement(StrEnum):
    """What an interval says of a change, in the words of the verdicts of an SLO."""

    MEETING = "meeting"
    WARNING = "warning"
    BREACHED = "breached"
    UNKNOWN = "unknown"


def centred_ece(snapshot: Snapshot, bins: int = DEFAULT_BINS, *, level: float = LEVEL) -> Estimate:
    """Return the equal-mass ECE less the mean of its null floor: about 0 under calibration for any number of events.

    It may be negative. standard error: sqrt(sum_k V_k) / W, V_k the larger of model and label variance per bin, which
    is that of the ECE where miscalibration exceeds noise and more than that below. A miscalibrated model has less bias
    than the floor, so the value is then too low by up to that, and the interval is that of the plain ECE.
    """
    plain, floor = equal_mass_ece(snapshot, bins, level=level), null_floor(snapshot, bins)
    if plain.value is None or floor is None:
        return plain
    value, low, high = plain.value - floor.mean, plain.low or 0.0, plain.high or 0.0
    error = _deviation(snapshot, bins)
    return Estimate(value, min(low, value), max(high, value), plain.events, standard_error=error)


def centred_ece_change(
    current: Snapshot, baseline: Snapshot, bins: int = DEFAULT_BINS, *, level: float = LEVEL
) -> Estimate:
    """Return the change of the centred ECE from `baseline` to `current`, which unequal volumes do not move.

    The bias of each ECE is its floor for a calibrated model and vanishes for one far from that, where centring takes
    off too much, of the smaller week the more. So the interval spans both ends: it joins the changes of the centred,
    the debiased and the plain ECE, each -+ z sqrt(se1^2 + se2^2) with the errors of `centred_ece`. Around the centred
    change alone it would hold the truth as seldom as 0.49 of the time. Conservative near calibration.
    """
    centred = change(centred_ece(current, bins), centred_ece(baseline, bins), level=level)
    debiased = change(debiased_ece(current, bins), debiased_ece(baseline, bins)).value
    plain = change(equal_mass_ece(current, bins), equal_mass_ece(baseline, bins)).value
    if centred.value is None or debiased is None or plain is None:
        return centred
    changes = centred.value, debiased, plain
    error = math.hypot(_deviation(current, bins), _deviation(baseline, bins))
    reach = two_sided_z(level) * error
    return Estimate(
        centred.value,
        low=min(changes) - reach,
        high=max(changes) + reach,
        events=centred.events,
        standard_error=error,
    )


def judgement(change: Estimate, limit: float, *, rises_only: bool = False) -> Judgement:
    """Return what the interval of a change says about |change| <= limit, or of change <= limit if `rises_only`.

    breached: the interval lies beyond the limit; meeting: it lies within; warning: neither, but it excludes 0 or the
    change itself is beyond; unknown: otherwise, or without an interval. Where less is better, as with scores and
    errors, `rises_only` keeps an improvement from being a breach.
    """
    if change.value is None or change.low is None or change.high is None:
        return Judgement.UNKNOWN
    floor = -math.inf if rises_only else -limit
    if change.low > limit or change.high < floor:
        return Judgement.BREACHED
    if change.low >= floor and change.high <= limit:
        return Judgement.MEETING
    beyond_zero = change.low > 0 or (change.high < 0 and not rises_only)
    if beyond_zero or not floor <= change.value <= limit:
        return Judgement.WARNING
    return Judgement.UNKNOWN


def breach_p_value(change: Estimate, limit: float, *, rises_only: bool = False, level: float = LEVEL) -> float | None:
    """Return the p-value of |true change| <= limit, or of change <= limit if `rises_only`; None without an interval.

    1 - Phi((x - limit) / se) + 1 - Phi((x + limit) / se), the largest probability of a change as far from 0 as x
    under the hypothesis; the second term falls away for `rises_only`. x is the end of the interval nearer to 0 plus
    z se for its `level`: the change itself, or less where more than sampling is in doubt. For `benjamini_hochberg`
    over slices.
    """
    error = change.standard_error
    if change.low is None or change.high is None or error is None:
        return None
    reach = two_sided_z(level) * error
    up, down = change.low + reach, reach - change.high
    distance = up if rises_only else max(up, down)
    if error == 0.0:
        return float(distance <= limit)
    tail = upper_tail((distance - limit) / error)
    return tail if rises_only else min(1.0, tail + upper_tail((distance + limit) / error))


def events_to_decide(change: Estimate, limit: float) -> int | None:
    """Return how many events would keep `judgement` from `unknown` whatever the change is; None without an interval.

    An interval of half-width h <= limit / 2 always decides: if it holds 0 it lies within 2 h of 0, so within the limit.
    As h shrinks with 1 / sqrt(n), n (2 h / limit)^2 events do, n those of the change, both spans growing alike.
    """
    if change.low is None or change.high is None or change.events == 0:
        return None
    return math.ceil(change.events * ((change.high - change.low) / limit) ** 2)


def _deviation(snapshot: Snapshot, bins: int) -> float:
    sums = Binned.equal_mass(snapshot, bins)
    return math.sqrt(float(sums.variance.sum())) / sums.total_weight
