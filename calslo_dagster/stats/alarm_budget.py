"""How many false alarms a fleet may have, and which detectors fire in a tick."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from calslo_dagster.stats.batches import Floats

MONTH: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class AlarmBudget:
    """At most so many false alarms in the mean, per 30 days, over all streams together.

    A stream is one detector on one slice. Rates add whatever the streams have in common, so no independence is needed.
    """

    false_alarms: float

    def threshold(self, streams: int, step: timedelta) -> float:
        """Return the threshold A for so many streams that each see a batch per `step`.

        A stream has at most one false alarm per A batches, and 50 / A at the begin of each epoch on top. Steps without
        events use up nothing.
        """
        if self.false_alarms <= 0:
            raise ValueError(f"a budget of false alarms is positive, got {self.false_alarms}")
        if streams < 1 or step <= timedelta(0):
            raise ValueError(f"a budget is shared by streams with steps of some length, got {streams} of {step}")
        # An alarm at each batch is the most there can be, and a threshold below 1 promises nothing more.
        return max(1.0, streams * (MONTH / step) / self.false_alarms)


def fired(statistics: Floats, threshold: float) -> NDArray[np.bool_]:
    """Return which of the streams fire, shape of `statistics`: the k largest, for the largest k with M_(k) >= A / k.

    The e-BH rule on detectors (Wang and Ramdas 2022; Dandapanthula and Ramdas 2025). Each stream that fires holds A / k
    at least and returns to 0, so the shares of false alarms, one per tick in which streams fire, add up to no more than
    the budget in the mean; without any drift, that is the number of ticks with alarms.
    """
    order = np.argsort(-statistics, kind="stable")
    reaches = statistics[order] * np.arange(1, len(order) + 1) >= threshold
    count = int(np.flatnonzero(reaches)[-1]) + 1 if reaches.any() else 0
    chosen = np.zeros(len(order), dtype=np.bool_)
    chosen[order[:count]] = True
    return chosen
