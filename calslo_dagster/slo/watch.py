"""Watches: the evidence of one SLO in evidence mode on each slice, as it stands after a tick.

A tick is one step of the window ends and adds the pane that has matured since the tick before. A fleet is therefore a
function of the panes alone, whoever takes the steps and however often.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np

from calslo_dagster.slo.model import SLO
from calslo_dagster.slo.trials import Calibration, Counts, Rate
from calslo_dagster.slo.windows import DAY
from calslo_dagster.stats.alarm_budget import AlarmBudget, fired
from calslo_dagster.stats.baseline import Baseline
from calslo_dagster.stats.batches import Batch
from calslo_dagster.stats.latch import Alarms
from calslo_dagster.stats.overdispersion import Noise
from calslo_dagster.stats.rate_bets import RateDetector
from calslo_dagster.stats.sequential import Detector
from calslo_dagster.stats.snapshot import Snapshot
from calslo_dagster.stats.tilts import Kind

# A version gives up its epoch when it serves less than this share of a slice, so that a slow rollout is one epoch: of
# so many events in a row at least, for of two versions that share a slice, one is missing in many a pane of few events.
LEAST_SHARE: Final = 0.1
LEAST_EVENTS: Final = 50
# The epoch of a slice that many calibrators share: none of them serves half of it.
MIXED: Final = "*"
# Of a pane with fewer labels than this share of the usual, those that are there may be all of one kind.
LEAST_LABELS: Final = 0.5
# A slice that has been silent for longer begins anew.
FORGOTTEN_AFTER: Final = timedelta(days=35)
# An epoch begins with this share of an alarm's evidence, which is also how often it begins with a false one.
HEAD_START: Final = 1 / 864
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Stream = Detector | RateDetector


@dataclass(frozen=True, slots=True)
class Shown:
    """What one pane shows of one slice: its labels or its hits, and the share of each calibrator version.

    limit, warn: those of the slice if it has some of its own, None for the SLO's.
    """

    batch: Batch | None
    counts: Counts | None
    versions: Mapping[str, int]
    labeled_share: float
    limit: float | None = None
    warn: float | None = None

    @classmethod
    def of(cls, slo: SLO, pane: Snapshot, limit: float | None = None, *, warn: float | None = None) -> "Shown":
        """Return what the SLO looks at in a pane that has events."""
        batch = Batch.of(pane) if isinstance(slo.trial, Calibration) else None
        counts = slo.trial.counts(pane) if isinstance(slo.trial, Rate) else None
        return cls(batch, counts, pane.versions, pane.labeled / pane.events if pane.events else 0.0, limit, warn)


@dataclass(frozen=True, slots=True, eq=False)
class Watch:
    """The evidence on one slice.

    seen: the last tick with events; epoch: the calibrator version it is about; strangers: events since the last pane of
    which that version served its share; breach, change: the detectors, None
    where nothing is bet on; baseline: the scores of the day before; labels: the usual labelled share; limit: its own,
    if it has one; noise: by how much outcomes that come in clusters vary more.
    """

    seen: datetime
    epoch: str = ""
    strangers: int = 0
    breach: Stream | None = None
    change: Stream | None = None
    baseline: Baseline | None = None
    labels: float = 0.0
    limit: float | None = None
    noise: Noise = field(default_factory=Noise)


@dataclass(frozen=True, slots=True)
class Look:
    """What a tick left of one slice: its alarms, and how near it is to one.

    e_value: the statistic of the breach detector per update; evidence: log10 of it over what an alarm takes; began:
    when the change that it sees began, if the leading bet is right.
    """

    alarms: Alarms = field(default_factory=Alarms)
    e_value: float | None = None
    evidence: float | None = None
    threshold: float = 0.0
    dispersion: float = 1.0
    began: datetime | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Fleet:
    """The watches of an SLO after a tick, and how many slices share its false alarms on that day.

    definition: hash of the definition that the evidence is about.
    """

    watches: Mapping[str, Watch] = field(default_factory=dict)
    slices: int = 1
    definition: str = ""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a tick goes by: the SLO, the distance of two ticks, and how many slices share the false alarms."""

    slo: SLO
    step: timedelta
    slices: int = 1

    def breach_threshold(self, slices: int) -> float:
        """Return what the statistic of a breach detector must reach."""
        return AlarmBudget(self.slo.alarms.breaches).threshold(slices, self.step)

    def change_threshold(self, slices: int) -> float:
        """Return what the statistic of a change detector must reach."""
        return AlarmBudget(self.slo.alarms.warnings).threshold(slices, self.step)

    @property
    def head_starts(self) -> tuple[int, int]:
        """What the breach and the change detector of a new epoch begin with."""
        breach, change = self.breach_threshold(self.slices), self.change_threshold(self.slices)
        return round(HEAD_START * breach), round(HEAD_START * change)

    def rate_limit(self, shown: Shown) -> float:
        """Return the largest rate that keeps the promise."""
        trial = self.slo.trial
        own = trial.limit if isinstance(trial, Rate) else None
        limit = own if own is not None else shown.limit if shown.limit is not None else self.slo.objective.limit
        if not isinstance(limit, float):
            raise TypeError(f"{self.slo.name}: a rate has one limit, not {limit}")
        return limit

    def rate_warn(self, shown: Shown) -> float | None:
        """Return the rate that a warning is about, None without one below the limit."""
        warn = shown.warn if shown.warn is not None else self.slo.objective.warn
        is_rate = isinstance(warn, float) and 0.0 < warn < self.rate_limit(shown) < 1.0
        return warn if is_rate and isinstance(warn, float) else None


def begin_day(slo: SLO, fleet: Fleet, trailing: Mapping[str, Snapshot]) -> Fleet:
    """Return the fleet at the begin of a day, with what the matured day before says of each slice.

    A slice without labels keeps the baseline that it has.
    """
    watches = dict(fleet.watches)
    for name, day in trailing.items():
        if name in watches and day.events:
            watches[name] = _based(slo, watches[name], day)
    return replace(fleet, watches=watches, slices=max(1, len(trailing)))


def _based(slo: SLO, watch: Watch, day: Snapshot) -> Watch:
    based = replace(watch, noise=watch.noise.next_day())
    if not isinstance(slo.trial, Calibration) or not day.labeled:
        return based
    return replace(based, baseline=_baseline(slo, day, watch.limit), labels=day.labeled / day.events)


def tolerance_of(slo: SLO, day: Snapshot, own: float | None) -> float:
    """Return the calibration error that evidence mode tolerates of such scores; own: that of the slice, if any."""
    return _baseline(slo, day, own).tolerance


def _baseline(slo: SLO, day: Snapshot, tolerance: float | None) -> Baseline:
    return tolerating(slo, Baseline.of(day), tolerance)


def tolerating(slo: SLO, baseline: Baseline, tolerance: float | None) -> Baseline:
    """Return the baseline with the tolerance of the slice, that of the SLO if it has none of its own."""
    trial, limit = slo.trial, slo.objective.limit
    if tolerance is None and isinstance(trial, Calibration) and isinstance(limit, float):
        tolerance = min(limit, trial.odds * baseline.variance)
    return baseline if tolerance is None else replace(baseline, tolerance=tolerance)


def tick(rules: Rules, fleet: Fleet, at: datetime, shown: Mapping[str, Shown]) -> tuple[Fleet, dict[str, Look]]:
    """Return the fleet after the tick at `at`, and what it leaves of each slice, whether or not it had events.

    Detectors that fire begin again, so that each alarm rests on evidence of its own.
    """
    kept = {name: watch for name, watch in fleet.watches.items() if at - watch.seen <= FORGOTTEN_AFTER}
    rules = replace(rules, slices=fleet.slices)
    stepped = {name: _stepped(rules, kept.get(name), at, one) for name, one in shown.items()}
    slices = _sharing(fleet.slices, {**kept, **stepped}, at)
    threshold = rules.breach_threshold(slices)
    breached = _fired([w.breach for w in stepped.values()], threshold)
    changed = _fired([w.change for w in stepped.values()], rules.change_threshold(slices))
    looks = {name: _look(watch, Alarms(), threshold) for name, watch in kept.items() if name not in stepped}
    for (name, watch), is_breach, is_change in zip(stepped.items(), breached, changed, strict=True):
        alarms = Alarms(is_breach, is_change, _age(watch.breach, at) if is_breach else timedelta(0))
        looks[name] = _look(watch, alarms, threshold)
        kept[name] = _after_alarms(watch, is_breach=is_breach, is_change=is_change)
    return replace(fleet, watches=kept), looks


def _sharing(slices: int, watches: Mapping[str, Watch], at: datetime) -> int:
    """Return how many slices share the false alarms: those of the day before, or more where new ones have come."""
    return max(slices, sum(at - watch.seen < DAY for watch in watches.values()))


def _fired(streams: list[Stream | None], threshold: float) -> list[bool]:
    statistics = np.array([stream.statistic if stream else 0.0 for stream in streams], dtype=np.float64)
    return [bool(one) for one in fired(statistics, threshold)] if len(statistics) else []


def _age(stream: Stream | None, at: datetime) -> timedelta:
    return max(timedelta(0), at - (_start(stream) or at))


def _look(watch: Watch, alarms: Alarms, threshold: float) -> Look:
    if watch.breach is None:
        return Look(alarms)
    statistic = watch.breach.statistic
    evidence = math.log10(max(statistic, 1e-300) / threshold)
    return Look(alarms, watch.breach.e_value, evidence, threshold, watch.noise.dispersion, _start(watch.breach))


def _start(stream: Stream | None) -> datetime | None:
    """Return when the change that the detector sees began, to the minute."""
    minutes = stream.leading[1] if stream else math.nan
    return None if math.isnan(minutes) else _EPOCH + timedelta(minutes=round(minutes))


def _after_alarms(watch: Watch, *, is_breach: bool, is_change: bool) -> Watch:
    breach, change = watch.breach, watch.change
    return replace(
        watch,
        breach=breach.reset() if breach and is_breach else breach,
        change=change.reset() if change and is_change else change,
    )


def _stepped(rules: Rules, watch: Watch | None, at: datetime, shown: Shown) -> Watch:
    epoch, strangers = _epoch(watch or Watch(at), shown.versions)
    if watch is None or epoch != watch.epoch or watch.breach is None:
        watch = _fresh(rules, shown, epoch, watch or Watch(at))
    watch = replace(watch, seen=at, limit=shown.limit, strangers=strangers)
    minutes = (at - _EPOCH) / timedelta(minutes=1)
    if shown.counts is not None:
        return _of_counts(rules, watch, shown, minutes)
    if shown.batch is not None and shown.labeled_share >= LEAST_LABELS * watch.labels:
        return _of_labels(watch, shown.batch, minutes)
    return watch


def _fresh(rules: Rules, shown: Shown, epoch: str, before: Watch) -> Watch:
    """Return a watch without evidence; the scores of the day before still are what they were."""
    slo, (breach_start, change_start) = rules.slo, rules.head_starts
    fresh = replace(before, epoch=epoch, noise=Noise())
    if isinstance(slo.trial, Calibration):
        breach = Detector.fresh(Kind.BREACH, epoch, head_start=breach_start)
        change = Detector.fresh(Kind.CHANGE, epoch, head_start=change_start)
        # The definition may be another, too.
        baseline = tolerating(slo, before.baseline or Baseline.of(Snapshot()), shown.limit)
        return replace(fresh, breach=breach, change=change, baseline=baseline)
    if isinstance(slo.trial, Rate):
        warns = rules.rate_warn(shown) is not None
        breach_rate = RateDetector.fresh(epoch, head_start=breach_start)
        return replace(
            fresh, breach=breach_rate, change=RateDetector.fresh(epoch, head_start=change_start) if warns else None
        )
    return fresh


def _of_labels(watch: Watch, batch: Batch, minutes: float) -> Watch:
    baseline, dispersion = watch.baseline or Baseline.of(Snapshot()), watch.noise.dispersion
    breach, change = watch.breach, watch.change
    if isinstance(breach, Detector) and isinstance(change, Detector):
        # Both learn the shape from the same batches, so once is enough.
        is_shared = breach.learned.is_as(change.learned)
        breach = breach.step(batch, baseline, at=minutes, dispersion=dispersion)
        learned = breach.learned if is_shared else None
        change = change.step(batch, baseline, at=minutes, dispersion=dispersion, learned=learned)
    return replace(watch, breach=breach, change=change, noise=watch.noise.after(batch.residual, batch.variance))


def _of_counts(rules: Rules, watch: Watch, shown: Shown, minutes: float) -> Watch:
    counts, limit, warn = shown.counts, rules.rate_limit(shown), rules.rate_warn(shown)
    if counts is None or not 0.0 < limit < 1.0:
        return watch
    hits, trials, dispersion = counts.hits, counts.trials, watch.noise.dispersion
    breach, change = watch.breach, watch.change
    if isinstance(breach, RateDetector):
        breach = breach.step(hits, trials, limit=limit, at=minutes, dispersion=dispersion)
    if isinstance(change, RateDetector) and warn is not None:
        change = change.step(hits, trials, limit=warn, at=minutes, dispersion=dispersion)
    noise = watch.noise.after(hits - trials * limit, trials * limit * (1 - limit))
    return replace(watch, breach=breach, change=change, noise=noise)


def _epoch(watch: Watch, versions: Mapping[str, int]) -> tuple[str, int]:
    """Return the version that the evidence is about, and how many events in a row it has served next to nothing of."""
    total, current = sum(versions.values()), watch.epoch
    leading = min(versions, key=lambda version: (-versions[version], version), default=current)
    most = versions.get(leading, 0)
    stays = most < (1 - LEAST_SHARE) * total if current == MIXED else versions.get(current, 0) >= LEAST_SHARE * total
    if total and stays:
        return current, 0
    strangers = watch.strangers + total
    # What has served nothing yet has nothing to give up.
    if not total or (strangers < LEAST_EVENTS and watch.breach is not None):
        return current, strangers
    return (leading if 2 * most >= total else MIXED), 0
