"""Standings: what the alarms of a slice and its last window come to in evidence mode, as a measurement says it."""

import math
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from calslo_dagster.slo.limits import figure, promise
from calslo_dagster.slo.model import SLO, Operator, Verdict
from calslo_dagster.slo.trials import Calibration, Rate
from calslo_dagster.slo.watch import LEAST_LABELS, Look, Watch
from calslo_dagster.stats.baseline import VERDICT_Z
from calslo_dagster.stats.latch import (
    RECOVERY_LASTS,
    WARNING_LASTS,
    Latch,
    Reading,
    Standing,
    error_reading,
    rate_reading,
)
from calslo_dagster.stats.snapshot import Snapshot

_VERDICTS: Final = {
    Standing.BREACHED: Verdict.BREACHED,
    Standing.WARNING: Verdict.WARNING,
    Standing.MEETING: Verdict.MEETING,
    Standing.INCONCLUSIVE: Verdict.UNKNOWN,
}
# The normal quantile at 80 %.
POWER_Z: Final = 0.8416
# What the best of the bets loses to one made for the very change, in nats: its share of the mixture, and its fit.
LOST_NATS: Final = 3.5
# Less evidence than this share of an alarm's, and clusters that widen nothing to speak of, are not worth a sentence.
_WORTH_TELLING: Final = 0.01
_CLUSTERED: Final = 1.1


@dataclass(frozen=True, slots=True)
class Record:
    """What is kept of one slice beside its watch: the alarms that count, and what the slice is judged by after one.

    epoch: the calibrator version that they are about; since: what matured after `begun_at`, the last breach alarm or
    the tick before a new calibrator, until it makes a window of its own; None without one.
    """

    epoch: str = ""
    latch: Latch = field(default_factory=Latch)
    since: Snapshot | None = None
    begun_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """What the tick at `at` has to go by: the detectors, the matured window, and what matured with the tick."""

    at: datetime
    watch: Watch | None
    look: Look
    window: Snapshot
    pane: Snapshot
    window_length: timedelta
    step: timedelta


@dataclass(frozen=True, slots=True)
class Finding:
    """What a tick comes to: the verdict and its reason, and the numbers behind it.

    basis: what the reading is of; begins: when that begins, by the clock of the window ends.
    """

    verdict: Verdict
    reason: str
    limit: float
    basis: Snapshot
    begins: datetime | None
    reading: Reading | None
    detectable: float | None
    needed: int | None


def follow(slo: SLO, record: Record, seen: Seen) -> tuple[Record, Finding]:
    """Return the record after the tick, and what it comes to."""
    watch, phi = seen.watch, seen.look.dispersion
    record = _of_epoch(record, seen)
    limit = limit_of(slo, watch)
    record = _after(slo, record, seen, limit)
    basis = _basis(record, seen)
    reading = _reading(slo, basis, phi)
    usable = None if _lacks_labels(slo, watch, basis) else reading
    standing = record.latch.standing(seen.at, usable, limit)
    finding = Finding(
        verdict=_VERDICTS[standing],
        reason=_told(slo, standing, record.latch, _Told(seen.at, limit, usable, seen.look, _unit(slo))),
        limit=limit,
        basis=basis,
        begins=seen.at - seen.window_length if basis is seen.window else record.begun_at,
        reading=reading,
        detectable=detectable(slo, seen, limit),
        needed=_needed(slo, seen, usable, limit) if standing is Standing.INCONCLUSIVE else None,
    )
    return record, finding


def _of_epoch(record: Record, seen: Seen) -> Record:
    """Return the record; a new one of a slice that is forgotten, and of a new calibrator, which answers for itself."""
    if seen.watch is None:
        return Record()
    if seen.watch.epoch == record.epoch:
        return record
    # Of a slice without a past, the window holds nothing else.
    if record == Record():
        return Record(seen.watch.epoch)
    return Record(seen.watch.epoch, since=Snapshot(), begun_at=seen.at - seen.step)


def _after(slo: SLO, record: Record, seen: Seen, limit: float) -> Record:
    """Return the record with what matured since the last breach alarm, and with the alarms of the tick."""
    alarms = seen.look.alarms
    # A rate that is back is seen in its window; an error below the tolerance shows in its alarms alone.
    lasts = RECOVERY_LASTS if isinstance(slo.trial, Rate) else WARNING_LASTS
    latch = record.latch.after(seen.at, alarms, took=_took(slo, seen) if alarms.breach else 0.0, lasts=lasts)
    if alarms.breach:
        return replace(record, latch=latch, since=Snapshot(), begun_at=seen.at)
    since, begun_at = record.since, record.begun_at
    if since is not None and seen.pane.events:
        since = since + (seen.pane.without_labels() if isinstance(slo.trial, Rate) else seen.pane)
        known = None if _lacks_labels(slo, seen.watch, since) else _reading(slo, since, seen.look.dispersion)
        latch = latch.cleared(seen.at, known, limit)
    if begun_at is not None and latch.breached_since is None and seen.at - begun_at >= seen.window_length:
        since, begun_at = None, None
    return replace(record, latch=latch, since=since, begun_at=begun_at)


def _basis(record: Record, seen: Seen) -> Snapshot:
    """Return what the quantity is read from: the window, or after a breach what came since it."""
    if record.since is None or record.latch.breached_since is not None:
        return seen.window
    return record.since


def _took(slo: SLO, seen: Seen) -> float:
    """Return about how many events have come since what the breach detector sees began."""
    pane, window = (_events(slo, snapshot) for snapshot in (seen.pane, seen.window))
    return max(pane, window * min(1.0, seen.look.alarms.breach_age / seen.window_length))


def _events(slo: SLO, snapshot: Snapshot) -> int:
    return slo.trial.counts(snapshot).trials if isinstance(slo.trial, Rate) else snapshot.labeled


def limit_of(slo: SLO, watch: Watch | None) -> float:
    """Return the largest value that keeps the promise of this slice."""
    if watch is not None and watch.baseline is not None:
        return watch.baseline.tolerance
    trial, limit = slo.trial, slo.objective.limit
    if isinstance(trial, Rate) and trial.limit is not None:
        return trial.limit
    if watch is not None and watch.limit is not None:
        return watch.limit
    return limit if isinstance(limit, float) else limit[1]


def detectable(slo: SLO, seen: Seen, limit: float) -> float | None:
    """Return the least true value that the events of the window would have made an alarm of with 80 % power.

    With n events of variance v a bet on the excess d gains x = n d^2 / (2 v) nats in the mean with a deviation of
    sqrt(2 x), and needs log A and what the mixture loses to the best bet: x - z sqrt(2 x) = log A + lost.
    """
    n, variance = _size(slo, seen, limit)
    if not n or seen.look.evidence is None or seen.look.threshold <= 0:
        return None
    needs = math.log(seen.look.threshold) + LOST_NATS
    root = (POWER_Z * math.sqrt(2) + math.sqrt(2 * POWER_Z * POWER_Z + 4 * needs)) / 2
    return min(1.0, limit + root * math.sqrt(2 * seen.look.dispersion * variance / n))


def _size(slo: SLO, seen: Seen, limit: float) -> tuple[float, float]:
    """Return the events of the window and the variance of one of them."""
    if isinstance(slo.trial, Rate):
        return slo.trial.counts(seen.window).trials, limit * (1 - limit)
    baseline = seen.watch.baseline if seen.watch else None
    return seen.window.labeled, baseline.variance if baseline else 0.25


def _reading(slo: SLO, window: Snapshot, dispersion: float) -> Reading | None:
    if isinstance(slo.trial, Rate):
        counts = slo.trial.counts(window)
        return rate_reading(counts.hits, counts.trials, dispersion=dispersion)
    return error_reading(window, dispersion=dispersion) if window.labeled else None


def _lacks_labels(slo: SLO, watch: Watch | None, window: Snapshot) -> bool:
    """Whether so few of the events have a label that those that have may be all of one kind."""
    if not isinstance(slo.trial, Calibration) or not window.events or watch is None:
        return False
    return window.labeled < LEAST_LABELS * watch.labels * window.events


def _unit(slo: SLO) -> str:
    return "share" if isinstance(slo.trial, Rate) else slo.unit


def _needed(slo: SLO, seen: Seen, reading: Reading | None, limit: float) -> int | None:
    """Return how many more events a window needs to show that the promise is kept, if it is by a margin."""
    events, phi = reading.events if reading else 0, seen.look.dispersion
    if isinstance(slo.trial, Calibration) and seen.watch and seen.watch.baseline:
        wanted = seen.watch.baseline.needed_events(dispersion=phi)
    elif isinstance(slo.trial, Rate):
        # At half the limit: nobody knows the true rate, and at the limit itself no number of events would do.
        rate = min(reading.value if reading else 0.0, limit / 2)
        wanted = math.ceil(phi * limit * (1 - limit) * (VERDICT_Z / (limit - rate)) ** 2)
    else:
        return None
    return max(1, wanted - events) if wanted is not None else None


@dataclass(frozen=True, slots=True)
class _Told:
    at: datetime
    limit: float
    reading: Reading | None
    look: Look
    unit: str

    @property
    def promised(self) -> str:
        return promise(Operator.AT_MOST, self.limit, self.unit)


def _told(slo: SLO, standing: Standing, latch: Latch, told: _Told) -> str:
    what = "Share of slow events" if slo.unit == "us" else slo.title
    claim = _warned(slo, what, latch, told) if standing is Standing.WARNING else _claim(what, standing, latch, told)
    return " ".join(part for part in (claim, _window(told), _evidence(told.look)) if part)


def _warned(slo: SLO, what: str, latch: Latch, told: _Told) -> str:
    if not latch.is_warned(told.at):
        until = _minute(latch.recovers_until)
        return f"{what} was past its limit, {told.promised}, and no longer seems to be; a warning until {until}."
    last, warn = _minute(latch.change_fired), slo.objective.warn
    if isinstance(slo.trial, Rate) and isinstance(warn, float):
        should = promise(Operator.AT_MOST, warn, told.unit)
        return f"{what} should be {should} and is not, last seen {last}; it is not known to be past {told.promised}."
    return f"{what} has changed for certain, last seen {last}, but is not known to be past {told.promised}."


def _claim(what: str, standing: Standing, latch: Latch, told: _Told) -> str:
    match standing:
        case Standing.BREACHED:
            since, last = _minute(latch.breached_since), _minute(latch.breach_fired)
            return f"{what} is past its limit, {told.promised}: first alarm {since}, last {last}."
        case Standing.MEETING:
            return f"{what} keeps its limit, {told.promised}."
        case _:
            return f"Too early to say whether {what[:1].lower()}{what[1:]} is {told.promised}."


def _window(told: _Told) -> str:
    if told.reading is None:
        return "The window has no outcomes, or so few of the usual ones that they may be all of one kind."
    value, low, high = (figure(n, told.unit) for n in (told.reading.value, told.reading.low, told.reading.high))
    return f"Its window shows {value}, in truth {low} to {high}, over {told.reading.events:,} events."


def _evidence(look: Look) -> str:
    if look.evidence is None:
        return ""
    share = 10**look.evidence
    is_much = share >= _WORTH_TELLING
    text = f"The evidence is {share:.2g} of what an alarm takes" if is_much else "Nothing speaks for a breach"
    if look.dispersion >= _CLUSTERED:
        text += f"; outcomes come in clusters, so their variance counts {look.dispersion:.2f} times"
    return f"{text}."


def _minute(instant: datetime | None) -> str:
    return f"{instant:%Y-%m-%d %H:%M}" if instant else "an unknown time"
