"""Who is scored in the demo: slices and their shares of the traffic, models and the shape of their scores."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from calslo_dagster.slo.slices import slice_name

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SLICE_COLUMNS: Final = ("intent", "language")
RANKER: Final = "search-ranker"
CTR: Final = "ads-ctr"

# The smallest slice keeps about 900 events and 590 labels a day: enough for a 24 h window of the ECE bound.
INTENT_SHARES: Final = {"navigate": 0.40, "research": 0.26, "shop": 0.20, "travel": 0.14}
LANGUAGE_SHARES: Final = {"en": 0.40, "de": 0.18, "fr": 0.14, "es": 0.12, "ja": 0.09, "pt": 0.07}
MODEL_OF_INTENT: Final = {"navigate": RANKER, "research": RANKER, "shop": CTR, "travel": CTR}
# Hours by which a language's day runs ahead of UTC, so that the mix of the traffic turns with the clock.
HOURS_AHEAD: Final = {"en": -3, "de": 1, "fr": 1, "es": 0, "ja": 9, "pt": -3}

# The part of the events whose label stands in the log, and the part that never gets one; a label feed brings the rest.
LABELED_AT_ONCE: Final = 0.30
NEVER_LABELED: Final = 0.35

PEAK_HOUR: Final = 14.5
DIURNAL_SWING: Final = 0.45
# Monday to Sunday, mean 1.
WEEKDAY_FACTORS: Final = (1.06, 1.06, 1.06, 1.06, 1.06, 0.85, 0.85)


@dataclass(frozen=True, slots=True)
class Segment:
    """One slice of the population: its share of all events and the model that serves it."""

    intent: str
    language: str
    share: float

    @property
    def name(self) -> str:
        """The slice's name, as measurements carry it."""
        return slice_name(SLICE_COLUMNS, (self.intent, self.language))

    @property
    def model(self) -> str:
        """The model that serves the slice."""
        return MODEL_OF_INTENT[self.intent]


@dataclass(frozen=True, slots=True)
class ScoreShape:
    """How a model scores and answers while nothing is wrong.

    Scores are `top` times a mixture of two Beta laws, `common` with the weight `weight`; clamped scores sit at `floor`
    or `ceiling`; latency is lognormal; `c_hat` is the constant of the ECE bound: mean of the equal-mass ECE of a
    calibrated model plus 5 standard deviations, over sqrt(bins / events).
    """

    model: str
    weight: float
    common: tuple[float, float]
    other: tuple[float, float]
    top: float
    floor: float
    ceiling: float
    clamp_rate: float
    median_latency_us: float
    latency_sigma: float
    c_hat: float


SEGMENTS: Final = tuple(
    Segment(intent, language, a * b) for intent, a in INTENT_SHARES.items() for language, b in LANGUAGE_SHARES.items()
)
SHAPES: Final = (
    ScoreShape(
        RANKER,
        weight=0.72,
        common=(0.5, 9.0),
        other=(2.2, 1.4),
        top=0.97,
        floor=0.001,
        ceiling=0.97,
        clamp_rate=0.011,
        median_latency_us=140.0,
        latency_sigma=0.35,
        c_hat=0.42,
    ),
    ScoreShape(
        CTR,
        weight=0.90,
        common=(0.7, 28.0),
        other=(2.0, 10.0),
        top=0.60,
        floor=0.0005,
        ceiling=0.50,
        clamp_rate=0.010,
        median_latency_us=90.0,
        latency_sigma=0.32,
        c_hat=0.21,
    ),
)
SLICES: Final = tuple(segment.name for segment in SEGMENTS)


def slices_of(*, intent: str | None = None, language: str | None = None, model: str | None = None) -> tuple[str, ...]:
    """Return the names of the slices with this intent, language and model; None does not restrict."""
    return tuple(
        s.name
        for s in SEGMENTS
        if intent in (None, s.intent) and language in (None, s.language) and model in (None, s.model)
    )


def shape_of(model: str) -> ScoreShape:
    """Return the shape of the model's scores."""
    return next(shape for shape in SHAPES if shape.model == model)


def segment_shapes() -> Ints:
    """Return the index into SHAPES of each segment's model, shape (24,)."""
    return np.array([[shape.model for shape in SHAPES].index(s.model) for s in SEGMENTS], dtype=np.int64)


def scores(rng: np.random.Generator, shapes: Ints) -> Floats:
    """Return one score per entry of `shapes`, indices into SHAPES."""
    laws = np.array([[shape.other, shape.common] for shape in SHAPES])
    is_common = rng.random(shapes.size) < np.array([shape.weight for shape in SHAPES])[shapes]
    a, b = laws[shapes, is_common.astype(np.int64)].T
    drawn: Floats = np.array([shape.top for shape in SHAPES])[shapes] * rng.beta(a, b)
    return drawn


def minute_rates(events_per_day: float, weekday: int, hour: int) -> Floats:
    """Return the expected events of each minute and segment, shape (60, 24); `weekday` 0 is Monday, times are UTC."""
    ahead = np.array([HOURS_AHEAD[s.language] for s in SEGMENTS])
    local = hour + (np.arange(60)[:, None] + 0.5) / 60 + ahead
    swing = 1.0 + DIURNAL_SWING * np.cos(2 * np.pi * (local - PEAK_HOUR) / 24)
    shares = np.array([s.share for s in SEGMENTS])
    rates: Floats = events_per_day / 1440 * WEEKDAY_FACTORS[weekday] * shares * swing
    return rates
