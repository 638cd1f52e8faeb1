"""The certificate of an SLO on a slice: how many of its alarms are noise, and what it can see."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Final

import numpy as np

from calslo_dagster.slo.limits import passes
from calslo_dagster.slo.model import Measurement, Verdict
from calslo_dagster.slo.power import POWER
from calslo_dagster.slo.prediction import Prediction, predict
from calslo_dagster.slo.rehearsal import Count, Stage, delay, false_breaches, judged, seen_share
from calslo_dagster.slo.traffic import CALIBRATED, Truth
from calslo_dagster.slo.trials import Calibration, Certain, Mode, Rate
from calslo_dagster.slo.windows import DAY
from calslo_dagster.stats.alarm_budget import MONTH

# One true incident per slice and quarter. With more false breaches than that, most breaches are false.
TRUE_PER_MONTH: Final = 1 / 3
# Odds that are wrong by this factor are a broken model; who cannot see them sees nothing.
PLAUSIBLE_ODDS: Final = 3.0
# A promise that is kept with room to spare.
KEPT_SHARE: Final = 0.7
# The share of seen windows is then known to 6 points, where it decides.
_POWER_WINDOWS: Final = 48
_HALVINGS: Final = 8
_LARGEST_SHIFT: Final = 4.0
_MANY: Final = 3_000_000
_SIGHT_SEED: Final = 5
# Of the windows; fewer than that have enough events only at the height of the day.
_LEAST_JUDGED: Final = 0.05
# With more windows past the limit, breaches are few only because they are long.
_MOSTLY: Final = 0.5


class Standing(StrEnum):
    """What a certificate comes to.

    sound: few alarms are false, and a broken model is found; noisy: most alarms are false; blind: not even a broken
    model is found; open: there is nothing to tell it by.
    """

    SOUND = "sound"
    NOISY = "noisy"
    BLIND = "blind"
    OPEN = "open"


REFUSED: Final = frozenset({Standing.NOISY, Standing.BLIND})


@dataclass(frozen=True, slots=True)
class Kept:
    """False breaches per slice and 30 days while the promise is kept.

    what: how it is kept; simulated: None if it was not; decides: whether the certificate goes by it.
    """

    what: str
    prediction: Prediction
    simulated: Count | None
    decides: bool = True

    @property
    def rate(self) -> float:
        """The best figure there is: the prediction, unless the simulation contradicts it or there is none."""
        predicted = self.prediction.per_month
        if self.simulated is None:
            return predicted or 0.0
        low, high = self.simulated.interval
        return predicted if predicted is not None and low <= predicted <= high else self.simulated.rate

    @property
    def past(self) -> float:
        """The share of windows past the limit: as simulated, and by prediction where that says less than a window."""
        if self.simulated is None or not self.simulated.past:
            return self.prediction.tail
        return self.simulated.past


@dataclass(frozen=True, slots=True)
class Seen:
    """The smallest miss that is found with 80 % power, or the time until twice the tolerance is.

    odds: by which factor the odds are wrong, the worse of too high and too low; slope: how far the slope is off; error:
    the calibration error of the shift; rate: the share of hits. None for what is not seen, or does not apply.
    within: the window, or the median delay of the detector. is_enough: odds wrong by three are found.
    """

    odds: float | None = None
    slope: float | None = None
    error: float | None = None
    rate: float | None = None
    within: timedelta | None = None
    is_enough: bool = True


@dataclass(frozen=True, slots=True)
class Certificate:
    """What was found for one SLO on one slice, which stands for `slices` of about its volume."""

    slo: str
    slice: str
    slices: int
    mode: str
    is_assumed: bool
    per_day: float
    kept: tuple[Kept, ...] = ()
    seen: Seen = Seen()
    standing: Standing = Standing.OPEN
    reason: str = ""
    remedy: str = ""

    @property
    def rate(self) -> float:
        """False breaches per slice and 30 days that the certificate goes by."""
        return max((kept.rate for kept in self.kept if kept.decides), default=0.0)


def certify(stage: Stage, *, months: float, seed: int, stands_for: int = 1) -> Certificate:
    """Return the certificate without a remedy, simulated over so many months of 30 days; the seed decides every draw.

    stands_for: slices of about this volume, this one among them.
    """
    found = Certificate(
        slo=stage.slo.name,
        slice=stage.traffic.name,
        slices=stands_for,
        mode=stage.slo.mode.value,
        is_assumed=stage.traffic.is_assumed,
        per_day=stage.traffic.per_day,
    )
    if why := unusable(stage):
        return replace(found, reason=why)
    if why := undecided(stage):
        return replace(found, standing=Standing.BLIND, reason=why)
    kept = tuple(_kept(stage, months=months, seed=seed))
    seen = sight_of(stage, np.random.default_rng([seed, 1]))
    standing, reason = _standing(stage, kept, seen)
    return replace(found, kept=kept, seen=seen, standing=standing, reason=reason)


def unusable(stage: Stage) -> str:
    """Return why nothing can be said about the SLO on this traffic; nothing if something can."""
    row = _large(stage)
    if row.verdict is Verdict.ERROR or row.value is None:
        return row.reason
    if isinstance(stage.slo.trial, Rate):
        return "" if stage.limit is not None else "its limit is no share between 0 and 1, so there is nothing to bet on"
    limit = row.threshold
    if isinstance(stage.slo.trial, Calibration | Certain) or limit is None:
        return ""
    is_kept = passes(stage.slo.objective.operator, row.value, limit)
    return "" if is_kept else f"this traffic misses the promise without any noise: {row.reason}"


def undecided(stage: Stage) -> str:
    """Return why an SLO in evidence mode tells nothing even from millions of events; nothing if it does."""
    row = _large(stage) if stage.is_sure else None
    return f"even millions of events leave it unknown: {row.reason}" if row and row.verdict is Verdict.UNKNOWN else ""


def _large(stage: Stage) -> Measurement:
    """Return the measurement of a window of millions of events, in which chance plays no part."""
    rng = np.random.default_rng(0)
    expected = float(stage.traffic.events.sum()) * (stage.slo.window / DAY)
    times = max(1, math.ceil(_MANY / expected)) if expected else 1
    windows = stage.traffic.windows(times * stage.slo.window, CALIBRATED, rng)
    return judged(stage, next(windows), next(windows) if stage.is_weekly else None)


def truths(stage: Stage) -> list[tuple[str, Truth, bool]]:
    """Return how the promise may be kept: in words, the truth of it, and whether the certificate goes by it.

    At the limit itself, where every second window is past it, no rule on windows is quiet: it is told, and not held
    against the SLO.
    """
    limit = stage.limit
    if limit is None:
        return [("calibrated", CALIBRATED, True)]
    found = [
        (f"{KEPT_SHARE:g} x limit", Truth(rate=KEPT_SHARE * limit), True),
        ("at the limit", Truth(rate=limit), stage.is_bet_on),
    ]
    own = _own_rate(stage)
    if own is not None and own <= limit:
        found.append((f"as now, {own:.3g}", Truth(rate=own), False))
    return found


def allowed_rate(stage: Stage) -> float:
    """Return how many breaches a slice and month may be false.

    In evidence mode what was budgeted, else one in three months, which is as many as there are true ones.
    """
    return stage.slo.alarms.breaches / stage.slices if stage.slo.mode is Mode.EVIDENCE else TRUE_PER_MONTH


def is_quiet(stage: Stage) -> bool:
    """Whether few breaches are false, by prediction alone."""
    if stage.is_bet_on:
        return True
    decisive = [predict(stage, truth) for _, truth, decides in truths(stage) if decides]
    return all(_is_few(p.per_month or 0.0, stage) and p.tail <= 1 - stage.slo.target for p in decisive)


def _is_few(rate: float, stage: Stage) -> bool:
    # What is predicted to use up the budget differs from it by rounding.
    return rate <= allowed_rate(stage) * (1 + 1e-9)


def is_sighted(stage: Stage) -> bool:
    """Whether odds that are wrong by three are found, in a window or, in evidence mode, within a month."""
    rng = np.random.default_rng(_SIGHT_SEED)
    if _hardly_judged(predict(stage, CALIBRATED), stage) or undecided(stage):
        return False
    if isinstance(stage.slo.trial, Certain) or not _is_about_truth(stage):
        return True
    if stage.is_bet_on:
        return delay(stage, _broken(stage)[0], rng) is not None
    return all(_power(stage, truth, rng) >= POWER for truth in _broken(stage))


def _broken(stage: Stage) -> list[Truth]:
    """Return what a broken model is, the less visible ways of it."""
    if stage.limit is not None:
        return [_rate(stage, PLAUSIBLE_ODDS)]
    return [Truth(shift=sign * math.log(PLAUSIBLE_ODDS)) for sign in (1, -1)]


def _standing(stage: Stage, kept: tuple[Kept, ...], seen: Seen) -> tuple[Standing, str]:
    decisive = [one for one in kept if one.decides]
    worst = max(decisive, key=lambda one: one.rate)
    past, allowed = max(one.past for one in decisive), 1 - stage.slo.target
    if _hardly_judged(worst.prediction, stage):
        events, least = worst.prediction.events, stage.slo.min_events
        return Standing.BLIND, f"hardly a window is judged: it holds {events:,.0f} events, min_events is {least:,}"
    if not _is_few(worst.rate, stage) and past <= _MOSTLY:
        return Standing.NOISY, f"{worst.rate:.3g} false breaches a slice and month while the promise is kept"
    if past > allowed:
        return Standing.NOISY, f"{past:.2g} of the windows are past the limit by chance alone, {allowed:.2g} may be"
    if not seen.is_enough:
        return Standing.BLIND, f"not even odds that are wrong by {PLAUSIBLE_ODDS:g} are found"
    return Standing.SOUND, f"{worst.rate:.2g} false breaches a slice and month at most"


def _hardly_judged(prediction: Prediction, stage: Stage) -> bool:
    return not stage.is_bet_on and prediction.judged < _LEAST_JUDGED


def _own_rate(stage: Stage) -> float | None:
    """Return the share of hits in the traffic as it is, None where that is only assumed."""
    if stage.traffic.is_assumed or not isinstance(stage.slo.trial, Rate):
        return None
    counts = stage.slo.trial.counts(next(stage.traffic.windows(MONTH, Truth(), np.random.default_rng(0))))
    return counts.hits / counts.trials if counts.trials else None


def _kept(stage: Stage, *, months: float, seed: int) -> list[Kept]:
    found = []
    for number, (what, truth, decides) in enumerate(truths(stage)):
        count = false_breaches(stage, truth, np.random.default_rng([seed, 0, number]), months=months)
        found.append(Kept(what, predict(stage, truth), count, decides))
    return found


def sight_of(stage: Stage, rng: np.random.Generator) -> Seen:
    """Return what the SLO can see."""
    if isinstance(stage.slo.trial, Certain) or not _is_about_truth(stage):
        return Seen(within=stage.slo.window)
    return _found_by_bets(stage, rng) if stage.is_bet_on else _found_in_windows(stage, rng)


def _is_about_truth(stage: Stage) -> bool:
    """Whether odds that are wrong, or hits that are too many, are what the SLO looks for."""
    return stage.limit is not None or (not isinstance(stage.slo.trial, Rate) and "label" in stage.slo.needs)


def _found_in_windows(stage: Stage, rng: np.random.Generator) -> Seen:
    if stage.limit is not None:
        factor = _least(lambda x: _power(stage, _rate(stage, x), rng), 1.0, math.exp(_LARGEST_SHIFT))
        rate = None if factor is None else _rate(stage, factor).rate
        enough = factor is not None and factor <= PLAUSIBLE_ODDS
        return Seen(odds=factor, rate=rate, within=stage.slo.window, is_enough=enough)
    shift = _least(lambda a: _power_of_shifts(stage, a, rng), 0.0, _LARGEST_SHIFT)
    slope = _least(lambda b: _power(stage, Truth(slope=-b), rng), 0.0, 1.0)
    error = None if shift is None else max(stage.traffic.error(Truth(shift=s * shift)) for s in (-1, 1))
    enough = shift is not None and shift <= math.log(PLAUSIBLE_ODDS)
    return Seen(None if shift is None else math.exp(shift), slope, error, within=stage.slo.window, is_enough=enough)


def _rate(stage: Stage, odds: float) -> Truth:
    """Return a rate whose odds are so many times those of the limit."""
    limit = stage.limit or 0.0
    return Truth(rate=limit * odds / (1 - limit + limit * odds))


def _power(stage: Stage, truth: Truth, rng: np.random.Generator) -> float:
    return seen_share(stage, truth, rng, windows=_POWER_WINDOWS)


def _power_of_shifts(stage: Stage, size: float, rng: np.random.Generator) -> float:
    """Return the power against the shift of this size that is seen less."""
    up = _power(stage, Truth(shift=size), rng)
    return up if up < POWER else min(up, _power(stage, Truth(shift=-size), rng))


def _least(power: Callable[[float], float], low: float, high: float) -> float | None:
    """Return the smallest size that is seen with 80 % power, by bisection; None if the largest is not."""
    if power(high) < POWER:
        return None
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if power(middle) >= POWER else (middle, high)
    return high


def _found_by_bets(stage: Stage, rng: np.random.Generator) -> Seen:
    """Return the median delay at twice what is tolerated, and whether odds wrong by three are found in a month."""
    truth = (
        _rate(stage, 2.0) if stage.limit is not None else Truth(shift=_shift_of(stage, 2 * stage.baseline.tolerance))
    )
    within = delay(stage, truth, rng)
    enough = within is not None or delay(stage, _broken(stage)[0], rng) is not None
    if stage.limit is not None:
        return Seen(odds=2.0, rate=truth.rate, within=within, is_enough=enough)
    return Seen(odds=math.exp(truth.shift), error=stage.traffic.error(truth), within=within, is_enough=enough)


def _shift_of(stage: Stage, error: float) -> float:
    """Return the shift whose calibration error is this one."""
    low, high = 0.0, _LARGEST_SHIFT
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if stage.traffic.error(Truth(shift=middle)) < error else (low, middle)
    return high
