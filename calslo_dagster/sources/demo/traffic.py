"""The traffic of one hour, a pure function of the script and the hour.

All random numbers of an hour are drawn before any incident is applied, so that a script with and without an incident
differ in nothing but its effect.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from calslo_dagster.engine.facts import HOUR_US, MINUTE_US
from calslo_dagster.sources.demo.population import (
    LABELED_AT_ONCE,
    NEVER_LABELED,
    SEGMENTS,
    SHAPES,
    SLICES,
    Floats,
    Ints,
    minute_rates,
    scores,
    segment_shapes,
)
from calslo_dagster.sources.demo.script import CANARY_SHARE, HOUR, IncidentKind, Script

LATE_SHARE: Final = 0.002
RETRIED_SHARE: Final = 0.0003
LONGEST_LABEL_DELAY_HOURS: Final = 12
_MEAN_LABEL_DELAY_US: Final = 2.5 * HOUR_US
# Hours before the script began need a seed too, and seeds are not negative.
_HOUR_ORIGIN: Final = 10_000_000

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Traffic:
    """The events of one hour, ascending in time; every array has shape (events,), `ids` (events, 10).

    segment: index into SEGMENTS; release: index into the script's releases; outcome: what really happened, 0 or 1;
    label_us: when the outcome is known, `event_us` if at once, -1 if never; arrival_us: when the row reaches the
    log; retry_us: when an exact copy of it does, -1 if none; ids: random bytes of the prediction ids.
    """

    event_us: Ints
    segment: Ints
    release: Ints
    score: Floats
    outcome: Ints
    latency_us: Floats
    clamped: Bools
    label_us: Ints
    arrival_us: Ints
    retry_us: Ints
    ids: NDArray[np.uint8]

    @classmethod
    def joined(cls, parts: Iterable[Self]) -> Self:
        """Return the events of all parts, one part after the other."""
        pool = list(parts)
        return cls(*(np.concatenate([getattr(part, f.name) for part in pool]) for f in fields(cls)))

    def take(self, which: Bools | Ints) -> Self:
        """Return the events that `which` marks, or lists in its own order."""
        return type(self)(*(getattr(self, f.name)[which] for f in fields(self)))

    @property
    def events(self) -> int:
        """How many there are."""
        return self.event_us.size


@dataclass(frozen=True, slots=True, eq=False)
class _Draws:
    """The random numbers behind an hour; u_* are uniform on [0, 1)."""

    event_us: Ints
    segment: Ints
    shape: Ints
    score: Floats
    z_latency: Floats
    delay_us: Floats
    ids: NDArray[np.uint8]
    u_canary: Floats
    u_clamp: Floats
    u_outcome: Floats
    u_label: Floats
    u_late: Floats
    u_retry: Floats
    u_when: Floats
    u_incident: Floats


def microseconds(instant: datetime) -> int:
    """Return the instant as microseconds since 1970 UTC, exactly."""
    since = instant.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


# A label file looks back over 36 hours; the memo spares generating each of them again for the next day.
@lru_cache(maxsize=40)
def simulate(script: Script, hour: datetime) -> Traffic:
    """Return the events of the UTC hour that begins at `hour`; hours before the demo's start have none."""
    draws = _drawn(script, hour)
    lost = _strength(script, IncidentKind.OUTAGE, draws)
    return _played(script, draws).take((draws.u_incident >= lost) & (hour >= script.spec.start))


def _drawn(script: Script, hour: datetime) -> _Draws:
    spec = script.spec
    offset = (hour - spec.opening) // HOUR
    rng = np.random.default_rng((spec.seed, offset + _HOUR_ORIGIN))
    counts = rng.poisson(minute_rates(spec.events_per_day, hour.weekday(), hour.hour))
    cells = np.repeat(np.arange(counts.size), counts.ravel())
    n = cells.size
    us = cells // len(SEGMENTS) * MINUTE_US + (rng.random(n) * MINUTE_US).astype(np.int64)
    order = np.argsort(us, kind="stable")
    segment = (cells % len(SEGMENTS))[order]
    shape = segment_shapes()[segment]
    uniforms: dict[str, Any] = {f.name: rng.random(n) for f in fields(_Draws) if f.name.startswith("u_")}
    return _Draws(
        event_us=us[order] + microseconds(hour),
        segment=segment,
        shape=shape,
        score=scores(rng, shape),
        z_latency=rng.standard_normal(n),
        delay_us=rng.exponential(_MEAN_LABEL_DELAY_US, n),
        ids=rng.integers(0, 256, (n, 10), dtype=np.uint8),
        **uniforms,
    )


def _played(script: Script, draws: _Draws) -> Traffic:
    clamped = _clamped(script, draws)
    score = np.where(clamped, _clamp_bounds(draws), draws.score)
    return Traffic(
        event_us=draws.event_us,
        segment=draws.segment,
        release=_releases(script, draws),
        score=_published(script, draws, score),
        outcome=(draws.u_outcome < _truth(script, draws, score)).astype(np.int64),
        latency_us=_latency(script, draws),
        clamped=clamped,
        label_us=_label_times(draws),
        arrival_us=np.where(draws.u_late < LATE_SHARE, _next_hour(draws), draws.event_us),
        retry_us=np.where(
            draws.u_retry < RETRIED_SHARE, draws.event_us + (draws.u_when * HOUR_US).astype(np.int64), -1
        ),
        ids=draws.ids,
    )


def _strength(script: Script, kind: IncidentKind, draws: _Draws) -> Floats:
    """Return the magnitude of the incident of this kind that hits each event, 0 where none does."""
    out = np.zeros(draws.event_us.size)
    for incident in script.of_kind(kind):
        span = script.span(incident)
        inside = (draws.event_us >= microseconds(span.start)) & (draws.event_us < microseconds(span.end))
        if inside.any():
            is_hit = np.array([name in incident.slices for name in SLICES])
            out[inside & is_hit[draws.segment]] = incident.magnitude
    return out


def _of_shape(attribute: str, draws: _Draws) -> Floats:
    values: Floats = np.array([getattr(shape, attribute) for shape in SHAPES])[draws.shape]
    return values


def _clamped(script: Script, draws: _Draws) -> Bools:
    storm = _strength(script, IncidentKind.CLAMP_STORM, draws)
    hit: Bools = draws.u_clamp < np.maximum(storm, _of_shape("clamp_rate", draws))
    return hit


def _clamp_bounds(draws: _Draws) -> Floats:
    ceiling = _of_shape("ceiling", draws)
    return np.where(draws.score < ceiling / 2, _of_shape("floor", draws), ceiling)


def _truth(script: Script, draws: _Draws, score: Floats) -> Floats:
    shift = _strength(script, IncidentKind.CALIBRATION_SHIFT, draws)
    odds = score * np.exp(shift)
    return odds / (1.0 - score + odds)


def _published(script: Script, draws: _Draws, score: Floats) -> Floats:
    is_bad = draws.u_incident < _strength(script, IncidentKind.BAD_SCORES, draws)
    return np.where(is_bad, 1.0 + 0.1 * score, score)


def _latency(script: Script, draws: _Draws) -> Floats:
    usual = _of_shape("median_latency_us", draws) * np.exp(_of_shape("latency_sigma", draws) * draws.z_latency)
    factor = _strength(script, IncidentKind.LATENCY_REGRESSION, draws)
    slow: Floats = np.round(usual * np.where(factor > 0, factor, 1.0), 1)
    return slow


def _releases(script: Script, draws: _Draws) -> Ints:
    """Return the release that answers each event: the newest live one, or in a canary's tenth the one behind it."""
    out = np.zeros(draws.event_us.size, dtype=np.int64)
    models = np.array([segment.model for segment in SEGMENTS])[draws.segment]
    in_canary = draws.u_canary < CANARY_SHARE
    since = draws.event_us - microseconds(script.spec.opening)
    for index, release in sorted(enumerate(script.releases), key=lambda pair: pair[1].live):
        canary, live = (int(t.total_seconds()) * 1_000_000 for t in (release.canary, release.live))
        out[(models == release.model) & ((since >= live) | (in_canary & (since >= canary)))] = index
    return out


def _label_times(draws: _Draws) -> Ints:
    delay = np.minimum(draws.delay_us, LONGEST_LABEL_DELAY_HOURS * HOUR_US - 1).astype(np.int64)
    later = np.where(draws.u_label < 1.0 - NEVER_LABELED, draws.event_us + 1 + delay, -1)
    return np.where(draws.u_label < LABELED_AT_ONCE, draws.event_us, later)


def _next_hour(draws: _Draws) -> Ints:
    """Return an instant of the next hour at most 60 minutes after each event."""
    hour = draws.event_us // HOUR_US * HOUR_US
    return hour + HOUR_US + ((draws.event_us - hour) * draws.u_when).astype(np.int64)
