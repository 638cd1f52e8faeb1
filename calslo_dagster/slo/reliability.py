"""Mean times to recovery, to failure and between failures, with open breaches as censored observations.

With D the breach time and U the measured time outside breaches in a span, r the recoveries and o the onsets in it:
MTTR = D / r, MTTF = U / o, MTBF = (U + D) / o (onset to onset). Dividing exposure by events keeps breaches that are
open at either end of the span in the numbers; means over closed breaches alone are biased low, the more so the shorter
the span.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Final, Self

from calslo_dagster.slo.availability import State
from calslo_dagster.slo.breach import Episode
from calslo_dagster.slo.windows import Window

CONFIDENCE: Final = 0.95
_NO_TIME: Final = timedelta(0)


@dataclass(frozen=True, slots=True)
class Exposure:
    """Time observed in a span and the events in it; exposures of several tracks add.

    ends_down, ends_up: tracks that are in a breach, or out of one, when the span ends.
    """

    down: timedelta = _NO_TIME
    up: timedelta = _NO_TIME
    onsets: int = 0
    recoveries: int = 0
    ends_down: int = 0
    ends_up: int = 0

    def __add__(self, other: Self) -> Self:
        """Return the exposure of both together."""
        return type(self)(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


@dataclass(frozen=True, slots=True)
class MeanTime:
    """A mean time with its 95% interval, exact for exponential times.

    value is None while nothing ended the time that was observed; then it is longer than `low`, a one-sided 95% bound.
    is_censored says that some of the exposure belongs to a time that has not ended.
    """

    value: timedelta | None
    low: timedelta | None
    high: timedelta | None
    is_censored: bool


@dataclass(frozen=True, slots=True)
class Reliability:
    """Mean times of a span; `availability` is up time over observed time, None without any."""

    mttr: MeanTime
    mttf: MeanTime
    mtbf: MeanTime
    availability: float | None


def exposure(
    span: Window, episodes: Iterable[Episode], *, ends: Sequence[datetime], found: Sequence[State], step: timedelta
) -> Exposure:
    """Return the exposure of one track in `span`.

    ends, found: the expected window ends in the span, ascending, and their states, equal length. Each stands for the
    step before it: down if a breach covers it, else up if it was measured; excluded steps are no exposure at all, an
    unknown step counts only inside a breach, which goes on until a recovery is seen.
    """
    breaches = sorted((e for e in episodes if e.opened_at is not None), key=lambda e: e.onset)
    down, up = _steps(breaches, ends, found, step)
    ends_down = any(e.onset < span.end and (e.recovery is None or e.recovery > span.end) for e in breaches)
    return Exposure(
        down=down * step,
        up=up * step,
        onsets=sum(span.start <= e.onset < span.end for e in breaches),
        # A recovery at the very end of the span ends breach time that lies inside it.
        recoveries=sum(e.recovery is not None and span.start < e.recovery <= span.end for e in breaches),
        ends_down=int(ends_down),
        ends_up=int(up > 0 and not ends_down),
    )


def _steps(
    episodes: Sequence[Episode], ends: Sequence[datetime], found: Sequence[State], step: timedelta
) -> tuple[int, int]:
    down = up = at = 0
    for end, state in zip(ends, found, strict=True):
        start = end - step
        while at < len(episodes) and (recovery := episodes[at].recovery) is not None and recovery <= start:
            at += 1
        is_down = at < len(episodes) and episodes[at].onset <= start
        if state is State.EXCLUDED:
            continue
        down += is_down
        up += not is_down and state is not State.UNKNOWN
    return down, up


def reliability(observed: Exposure) -> Reliability:
    """Return the mean times of the exposure."""
    total = observed.down + observed.up
    return Reliability(
        mttr=_mean(observed.down, observed.recoveries, is_censored=observed.ends_down > 0),
        mttf=_mean(observed.up, observed.onsets, is_censored=observed.ends_up > 0),
        mtbf=_mean(total, observed.onsets, is_censored=total > _NO_TIME),
        availability=observed.up / total if total else None,
    )


def _mean(time: timedelta, events: int, *, is_censored: bool) -> MeanTime:
    """Return exposure over events with the chi-square interval of Epstein and Sobel 1953 for censored life tests."""
    # Only reports ask for mean times; scipy.special takes longer to import than everything else here.
    from scipy.special import chdtri  # noqa: PLC0415

    tail = (1 - CONFIDENCE) / 2
    if events:
        low = time * (2 / float(chdtri(2 * events + 2, tail)))
        high = time * (2 / float(chdtri(2 * events, 1 - tail)))
        return MeanTime(time / events, low, high, is_censored)
    low = time * (2 / float(chdtri(2, 1 - CONFIDENCE)))
    return MeanTime(None, low if time else None, None, is_censored)
