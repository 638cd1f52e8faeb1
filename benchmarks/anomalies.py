"""How often hours of healthy traffic are called unusual: `python -m benchmarks.anomalies [SERIES]`, some minutes."""

import sys
from collections.abc import Iterator

import click
import numpy as np
from numpy.typing import NDArray

from calslo_dagster.stats.anomalies import count_course, rate_course, shape_course, threshold

Floats = NDArray[np.float64]
HOURS = 8 * 168
# 25 slices in four kinds by the hour and one by six hours, one false alarm a week.
LIMIT = threshold(25 * (4 * 168 + 28))


def season(hours: int = HOURS) -> Floats:
    """Return the traffic of each hour beside its mean: a day's swing of 45 %, weekends a fifth below weekdays."""
    at = np.arange(hours)
    week = np.where((at // 24) % 7 >= 5, 0.85, 1.06)
    return np.asarray(week * (1 + 0.45 * np.cos(2 * np.pi * (at % 24 - 14.5) / 24)))


def main(series: int) -> None:
    """Print, per law of traffic, the share of scores beyond 3, 4 and the limit, and false alarms in a slice-year."""
    click.echo(f"limit {LIMIT:.2f}, which allows one score in 17,500 beyond it; {series} series of 8 weeks each")
    for name, scores, per_week in laws(series):
        known = scores[np.isfinite(scores)]
        beyond = [float((np.abs(known) > z).mean()) for z in (3.0, 4.0, LIMIT)]
        shown = ", ".join(f"{share:.1e}" for share in beyond)
        yearly = 52 * per_week * beyond[2]
        click.echo(f"{name:45} {len(known):>9,} scores, beyond 3, 4, limit: {shown}; a year: {yearly:.2f}")


def laws(series: int) -> Iterator[tuple[str, Floats, int]]:
    """Yield each law with the scores of its series after the first three days, and its tests in a week."""
    rng = np.random.default_rng(5)
    for mean in (2, 38, 400, 4_000):
        for spread in (0.0, 0.05, 0.15):
            found = [count_course(_counts(rng, mean, spread), limit=LIMIT).score[72:] for _ in range(series)]
            yield f"rows, {mean} an hour, spread {spread}", np.concatenate(found), 168
    for mean in (38, 4_000):
        for rate in (0.01, 0.65):
            found = [_rates(rng, mean, rate) for _ in range(series)]
            yield f"rate {rate} of {mean} an hour, spread 0.02", np.concatenate(found), 168
    for mean in (200, 20_000):
        found = [_shapes(rng, mean) for _ in range(series)]
        yield f"shape, {mean} in six hours, clusters of two", np.concatenate(found), 28


def _counts(rng: np.random.Generator, mean: float, spread: float) -> Floats:
    noise = rng.gamma(1 / spread**2, spread**2, HOURS) if spread else 1.0
    return rng.poisson(mean * season() * noise).astype(np.float64)


def _rates(rng: np.random.Generator, mean: float, rate: float) -> Floats:
    whole = rng.poisson(mean * season())
    angle = np.arcsin(np.sqrt(rate)) + 0.02 * rng.standard_normal(HOURS)
    part = rng.binomial(whole, np.sin(angle) ** 2)
    return rate_course(part.astype(np.float64), whole.astype(np.float64), limit=LIMIT).score[72:]


def _shapes(rng: np.random.Generator, mean: float) -> Floats:
    sizes = rng.poisson(mean / 2 * season(HOURS // 6 * 6)[::6])
    night, day = np.full(10, 0.1), np.linspace(0.05, 0.15, 10)
    levels = np.array([2 * rng.multinomial(n, (night, day, day, night)[i % 4]) for i, n in enumerate(sizes)]).T
    return shape_course(levels.astype(np.float64), blocks_per_day=4, limit=LIMIT).score[12:]


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 150)
