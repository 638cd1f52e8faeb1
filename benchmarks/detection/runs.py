"""Runs of the product's detectors on simulated minutes; each is a function of its seed alone."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.detection.goals import THRESHOLD
from benchmarks.detection.populations import Minute, Population, Shape, minutes
from calslo_dagster.stats.sequential import HEAD_START, Detector, Mixture
from calslo_dagster.stats.tilts import Kind


@dataclass(frozen=True, slots=True)
class Delay:
    """Events until each alarm, None where there was none within the limit."""

    change: float
    breach: float
    oracle: float


def delay(model: Population, shape: Shape, *, seed: int, limit: int, rate: int = 100) -> Delay:
    """Return the delays after a drift that begins with the first event; infinite beyond `limit` events."""
    rng = np.random.default_rng(seed)
    live = {kind: Detector.fresh(kind, "") for kind in Kind}
    found: dict[str, float] = {}
    oracle = Mixture.empty(1, head_start=HEAD_START)
    for count, minute in enumerate(_first(minutes(model, shape, rng, rate=rate), limit // rate), start=1):
        for kind, detector in list(live.items()):
            live[kind] = detector.step(minute.batch, model.baseline, at=count)
            if live[kind].statistic >= THRESHOLD:
                found[kind] = count * rate
                del live[kind]
        if "oracle" not in found:
            oracle = oracle.after(np.array([minute.oracle]), count)
            if oracle.mass[0] >= THRESHOLD:
                found["oracle"] = count * rate
        if len(found) == 3:
            break
    return Delay(*(found.get(name, np.inf) for name in (Kind.CHANGE, Kind.BREACH, "oracle")))


def alarms(model: Population, shape: Shape, *, seed: int, steps: int, rate: int) -> dict[Kind, int]:
    """Return the number of alarms in so many minutes, each detector starting afresh after an alarm."""
    rng = np.random.default_rng(seed)
    live = {kind: Detector.fresh(kind, "") for kind in Kind}
    count = dict.fromkeys(Kind, 0)
    for at, minute in enumerate(_first(minutes(model, shape, rng, rate=rate), steps)):
        for kind, detector in live.items():
            stepped = detector.step(minute.batch, model.baseline, at=at)
            has_fired = stepped.statistic >= THRESHOLD
            count[kind] += has_fired
            live[kind] = stepped.reset() if has_fired else stepped
    return count


def _first(endless: Iterator[Minute], count: int) -> Iterator[Minute]:
    for _, minute in zip(range(count), endless, strict=False):
        yield minute
