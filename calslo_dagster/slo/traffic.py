"""Traffic: what a slice's events look like, and simulated snapshots of them under a truth of our choice.

Events of a pane are Poisson, so weekdays, late labels and sessions are not part of it.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from calslo_dagster.slo.model import Manifest
from calslo_dagster.slo.windows import DAY, STEP
from calslo_dagster.stats.snapshot import LATENCY_BUCKETS, LATENCY_GAMMA, Snapshot
from calslo_dagster.stats.synthetic import Cells, Drawn, Extras, snapshots_of

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PANES_PER_DAY: Final = DAY // STEP
# Windows drawn at once, where each is one snapshot.
_AT_ONCE: Final = 16
_SAMPLE: Final = 144_000
_SEED: Final = 7
# Traffic at its height is three times that of the night.
_SWING: Final = 0.5


@dataclass(frozen=True, slots=True)
class Truth:
    """What is true of the simulated labels and hits.

    shift, slope: logit q = pivot + shift + (1 + slope) (logit p - pivot) about the median score, both 0 for a
    calibrated model; rate: the share of clamped and of slow events, None for that of the traffic.
    """

    shift: float = 0.0
    slope: float = 0.0
    rate: float | None = None


CALIBRATED: Final = Truth()


@dataclass(frozen=True, slots=True)
class Share:
    """Of which share of the events something is known, and of which share of these it is true."""

    known: float = 0.0
    rate: float = 0.0


@dataclass(frozen=True, slots=True)
class Alpha:
    """Of which share of the events the clamp alpha is known; its mean and deviation."""

    known: float = 0.0
    mean: float = 0.0
    deviation: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Traffic:
    """The events of one slice.

    labeled, events: mean number per pane of the UTC day, shape (96,); cells: the scores of labelled events; clamped,
    slow, alpha: what is known of events; latency: share of the fast events per bucket, shape (1200,); limit_us: from
    which latency on an event is slow; versions: calibrator versions; expected: their manifests; model: `*` for several;
    is_assumed: it is a stated shape, because nothing has been seen yet.
    """

    name: str
    labeled: Floats
    events: Floats
    cells: Cells
    clamped: Share = field(default_factory=Share)
    slow: Share = field(default_factory=Share)
    alpha: Alpha = field(default_factory=Alpha)
    latency: Floats = field(default_factory=lambda: np.zeros(LATENCY_BUCKETS))
    limit_us: float = 1_000.0
    versions: Mapping[str, int] = field(default_factory=dict)
    expected: Mapping[str, Manifest] = field(default_factory=dict)
    model: str = ""
    is_assumed: bool = False

    @property
    def per_day(self) -> float:
        """Labelled events per day."""
        return float(self.labeled.sum())

    def true(self, truth: Truth) -> Floats:
        """Return the probability of a label of 1 per cell, shape (cells,)."""
        if not truth.shift and not truth.slope:
            return self.cells.mean
        at = _logit(self.cells.mean)
        pivot = float(at[np.searchsorted(np.cumsum(self.cells.share), 0.5)])
        found: Floats = 1 / (1 + np.exp(-(pivot + truth.shift + (1 + truth.slope) * (at - pivot))))
        return found

    def error(self, truth: Truth) -> float:
        """Return the true calibration error, the mean of |q - p|."""
        return float((self.cells.share * np.abs(self.true(truth) - self.cells.mean)).sum())

    def panes(self, truth: Truth, rng: np.random.Generator, width: timedelta = STEP) -> Iterator[Snapshot]:
        """Yield the snapshot of one pane of this width after the other, from midnight on, without end."""
        labeled, events = (a.reshape(-1, width // STEP).sum(axis=1) for a in (self.labeled, self.events))
        while True:
            yield from self._drawn(labeled, events, truth, rng)

    def windows(self, length: timedelta, truth: Truth, rng: np.random.Generator) -> Iterator[Snapshot]:
        """Yield snapshots of windows of this length that share no event, of average traffic, without end."""
        share = np.full(_AT_ONCE, length / DAY)
        while True:
            yield from self._drawn(self.labeled.sum() * share, self.events.sum() * share, truth, rng)

    def window(self, length: timedelta, end: int, truth: Truth, rng: np.random.Generator) -> Snapshot:
        """Return the snapshot of a window of this length that ends with pane `end` of the day."""
        places = (end - np.arange(length // STEP)) % PANES_PER_DAY
        labeled, events = (np.array([a[places].sum()]) for a in (self.labeled, self.events))
        return next(self._drawn(labeled, events, truth, rng))

    def _drawn(self, labeled: Floats, events: Floats, truth: Truth, rng: np.random.Generator) -> Iterator[Snapshot]:
        shares = self.cells.share
        seen = rng.poisson(labeled[:, np.newaxis] * shares)
        positive = rng.binomial(seen, self.true(truth))
        others = rng.poisson(np.maximum(events - labeled, 0.0)[:, np.newaxis] * shares)
        drawn = Drawn(seen, positive, others, rng.standard_normal(seen.shape))
        yield from snapshots_of(self.cells, drawn, self._extras((seen + others).sum(axis=1), truth, rng))

    def _extras(self, totals: Ints, truth: Truth, rng: np.random.Generator) -> Extras:
        known, timed, alphas = (rng.binomial(totals, one.known) for one in (self.clamped, self.slow, self.alpha))
        rates = [one.rate if truth.rate is None else truth.rate for one in (self.clamped, self.slow)]
        clamped, slow = rng.binomial(known, rates[0]), rng.binomial(timed, rates[1])
        latency = np.zeros((len(totals), LATENCY_BUCKETS), dtype=np.int64)
        buckets = np.flatnonzero(self.latency)
        if len(buckets):
            latency[:, buckets] = rng.multinomial(timed - slow, self.latency[buckets])
        else:
            latency[:, bucket_of(self.limit_us / 2)] += timed - slow
        latency[:, bucket_of(2 * self.limit_us)] += slow
        noise = self.alpha.deviation * rng.standard_normal(len(totals)) / np.sqrt(np.maximum(alphas, 1))
        mean = self.alpha.mean + noise
        return Extras(
            clamp_known=known,
            clamped=clamped,
            timed=timed,
            slow=slow,
            latency=latency,
            alphas=alphas,
            alpha=alphas * mean,
            alpha2=alphas * (mean * mean + self.alpha.deviation**2),
            versions=self.versions,
        )


def bucket_of(latency_us: float) -> int:
    """Return the bucket of a latency in microseconds."""
    return min(LATENCY_BUCKETS - 1, max(0, math.ceil(math.log(max(latency_us, 1.0)) / math.log(LATENCY_GAMMA))))


def _logit(p: Floats) -> Floats:
    inside = np.clip(p, 1e-9, 1 - 1e-9)
    found: Floats = np.log(inside / (1 - inside))
    return found


Sampler = Callable[[np.random.Generator, int], Floats]


def _churn(rng: np.random.Generator, size: int) -> Floats:
    return np.where(rng.random(size) < 0.7, rng.beta(2, 8, size), rng.beta(6, 3, size))


def _ctr(rng: np.random.Generator, size: int) -> Floats:
    found: Floats = 1 / (1 + np.exp(-rng.normal(-4.0, 0.6, size)))
    return found


def _llm(rng: np.random.Generator, size: int) -> Floats:
    return np.where(rng.random(size) < 0.8, rng.beta(30, 1.5, size), rng.beta(4, 3, size))


def _coin(rng: np.random.Generator, size: int) -> Floats:
    return rng.uniform(0.4, 0.6, size)


# Scores of typical models: a risk with two groups, clicks, an answer that is mostly right; and the least predictable.
SHAPES: Final[Mapping[str, Sampler]] = {"churn": _churn, "ctr": _ctr, "llm": _llm, "coin": _coin}


def assumed(shape: str, per_minute: float, *, limit_us: float = 1_000.0) -> Traffic:
    """Return traffic of one of SHAPES: so many events a minute in the mean, all with a label.

    Three times as many come at three in the afternoon as at night; 2 % are clamped and 0.2 % slow.
    """
    scores = np.clip(SHAPES[shape](np.random.default_rng(_SEED), _SAMPLE), 1e-9, 1 - 1e-9)
    hour = np.arange(PANES_PER_DAY) * 24 / PANES_PER_DAY
    course = per_minute * (STEP / timedelta(minutes=1)) * (1 + _SWING * np.cos(2 * math.pi * (hour - 15) / 24))
    return Traffic(
        name=f"{shape}, {per_minute:g} events a minute",
        labeled=course,
        events=course,
        cells=Cells.of_scores(scores),
        clamped=Share(1.0, 0.02),
        slow=Share(1.0, 0.002),
        alpha=Alpha(1.0, 0.1, 0.05),
        limit_us=limit_us,
        is_assumed=True,
    )
