"""Shapes of miscalibration: those with a goal, and others that no bet was made for."""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.detection.populations import Floats, Population, Shape, expit, logit

Maker = Callable[[Population], Shape]


def calibrated(p: Floats) -> Floats:
    return p


def shift(by: float) -> Maker:
    return lambda _: lambda p: expit(logit(p) + by)


def slope(by: float) -> Maker:
    return lambda _: lambda p: expit(logit(p) * by)


def ranks(low: float, high: float, by: float) -> Maker:
    """Return a shift of the logit by `by` between two ranks."""

    def of(model: Population) -> Shape:
        first, last = np.quantile(model.sample, [low, high])
        return lambda p: expit(logit(p) + by * ((p >= first) & (p <= last)))

    return of


NAMED: Final[dict[str, Maker]] = {
    **{f"shift {by:+g}": shift(by) for by in (0.1, 0.2, 0.3, -0.3, 0.5)},
    **{f"slope {by:g}": slope(by) for by in (0.8, 0.9, 1.1, 1.2)},
    "decile 5 +1": ranks(0.4, 0.5, 1.0),
    "top decile -0.5": ranks(0.9, 1.0, -0.5),
}


def boundary(model: Population) -> Shape:
    """Return a constant shift whose calibration error is the tolerance."""
    low, high = 0.0, 2.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if model.error(shift(middle)(model)) < model.baseline.tolerance else (low, middle)
    return shift(low)(model)


def unlisted(model: Population, rng: np.random.Generator) -> tuple[str, Shape]:
    """Return a random shape and its kind, as large as makes 0.0005 to 0.006 nats per event."""
    kind = str(rng.choice(list(_FORMS)))
    sign, target = rng.choice([-1.0, 1.0]), float(np.exp(rng.uniform(np.log(5e-4), np.log(6e-3))))
    form = _FORMS[kind](model, rng)

    def sized(size: float) -> Shape:
        return lambda p: form(p, sign * size)

    low, high = 0.0, 4.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if model.information(sized(middle)) < target else (low, middle)
    return kind, sized(low)


# A form is what a shape is before its size is known.
Form = Callable[[Floats, float], Floats]


def _wave(model: Population, rng: np.random.Generator) -> Form:
    cycles, phase = rng.uniform(0.7, 4.5), rng.uniform(0, 2 * np.pi)
    return lambda p, size: expit(logit(p) + size * np.sin(2 * np.pi * cycles * model.rank(p) + phase))


def _bump(model: Population, rng: np.random.Generator) -> Form:
    centre, width = rng.uniform(0, 1), rng.uniform(0.04, 0.2)
    return lambda p, size: expit(logit(p) + size * np.exp(-0.5 * ((model.rank(p) - centre) / width) ** 2))


def _bend(model: Population, rng: np.random.Generator) -> Form:
    centre = rng.uniform(0.2, 0.8)
    return lambda p, size: expit(logit(p) + size * ((model.rank(p) - centre) ** 2 * 4 - 0.3))


def _block(model: Population, rng: np.random.Generator) -> Form:
    low = rng.uniform(0, 0.85)
    high = min(1.0, low + rng.uniform(0.07, 0.45))

    def form(p: Floats, size: float) -> Floats:
        rank = model.rank(p)
        return expit(logit(p) + size * ((rank >= low) & (rank < high)))

    return form


def _walk(model: Population, rng: np.random.Generator) -> Form:
    knots = np.cumsum(rng.normal(size=9))
    knots = (knots - knots.mean()) / np.abs(knots).max()
    at: NDArray[np.float64] = np.linspace(0, 1, 9)
    return lambda p, size: expit(logit(p) + size * np.interp(model.rank(p), at, knots))


def _segment(_: Population, rng: np.random.Generator) -> Form:
    """Return a form in which a hidden share of the events is off, and the others are not."""
    share = rng.uniform(0.05, 0.3)
    return lambda p, size: (1 - share) * p + share * expit(logit(p) + 3 * size)


def _flips(_: Population, rng: np.random.Generator) -> Form:
    """Return a form in which labels of one class are recorded as the other."""
    positive = bool(rng.integers(2))

    def form(p: Floats, size: float) -> Floats:
        lost = 1 - np.exp(-abs(size) / 4)
        found: Floats = p * (1 - lost) if positive else p + (1 - p) * p * lost
        return found

    return form


def _ceiling(model: Population, rng: np.random.Generator) -> Form:
    """Return a form that is right up to a rank and saturates there."""
    knee = float(logit(np.quantile(model.sample, [rng.uniform(0.3, 0.9)]))[0])

    def form(p: Floats, size: float) -> Floats:
        over = np.maximum(logit(p) - knee, 0.0)
        return expit(logit(p) - np.tanh(size / 4) * over)

    return form


def _steps(model: Population, rng: np.random.Generator) -> Form:
    """Return a form with errors that jump from one fifth of the ranks to the next."""
    heights = rng.choice([-1.0, -0.5, 0.5, 1.0], 5)
    return lambda p, size: expit(logit(p) + size * heights[np.minimum((model.rank(p) * 5).astype(int), 4)])


_FORMS: Final[dict[str, Callable[[Population, np.random.Generator], Form]]] = {
    "wave": _wave,
    "bump": _bump,
    "bend": _bend,
    "block": _block,
    "walk": _walk,
    "segment": _segment,
    "flips": _flips,
    "ceiling": _ceiling,
    "steps": _steps,
}
