"""Intervals of skewed sums: exact where counts are, and holding the truth on a small grid of models."""

import math

import numpy as np
import pytest
from scipy import stats

from benchmarks.coverage.intervals import CHANGES, DRAWN, GIVEN, is_missed
from benchmarks.coverage.worlds import World, world
from calslo_dagster.stats.intervals import clopper_pearson
from calslo_dagster.stats.skewed import count_interval, garwood, translated_poisson

REPS = 60
# The hardest shapes for intervals: rare events, scores near one, one score that many events share, all scores alike.
GRID = [
    world(shape, truth)
    for shape, truth in [("fraud", "slope .7"), ("llm", "shift -1"), ("atom", "wave"), ("narrow", "calibrated")]
]


@pytest.mark.parametrize("count", [0, 1, 3, 20, 49, 50, 400, 10_000])
def test_the_interval_of_a_count_is_that_of_the_chi_square(count: int) -> None:
    """By its tie to the chi-square; from 50 up by an approximation good to a thousandth of the half width."""
    low = stats.chi2.ppf(0.025, 2 * count) / 2 if count else 0.0
    high = stats.chi2.ppf(0.975, 2 * count + 2) / 2

    assert garwood(count) == pytest.approx((low, high), abs=1e-3 * (high - low))


@pytest.mark.parametrize("count", [0.0, 2.0, 30.0, 70.0, 100.0])
def test_events_of_one_probability_have_the_exact_interval_of_a_proportion(count: float) -> None:
    variance = count * (100 - count) / 100
    low, high = clopper_pearson(count, 100)

    # Of 100 events none of which was positive the rate may be anything small, so these count as Poisson.
    expected = (100 * low, 100 * high) if variance else (garwood(0)[0], garwood(0)[1])
    expected = expected if count < 100 else (100 - expected[1], 100 - expected[0])
    assert count_interval(count, variance, 100) == pytest.approx(expected)


def test_without_skewness_the_interval_is_the_normal_one_and_with_it_that_of_the_count() -> None:
    assert translated_poisson(2.0, 0.25, 0.0, unit=1.0) == pytest.approx((2 - 0.98, 2 + 0.98), abs=1e-4)
    assert translated_poisson(0.3, 0.03, 0.003, unit=0.1) == pytest.approx([0.1 * end for end in garwood(3)])
    low, high = translated_poisson(-0.3, 0.03, -0.003, unit=0.1)
    assert (-high, -low) == pytest.approx([0.1 * end for end in garwood(3)])
    assert translated_poisson(0.0, 0.0, 0.0, unit=0.01) == pytest.approx((0.0, -0.01 * math.log(0.025)))


@pytest.mark.parametrize("events", [100, 2_000])
@pytest.mark.parametrize("model", GRID, ids=lambda model: model.name)
def test_every_interval_holds_the_truth_as_often_as_it_claims(model: World, events: int) -> None:
    """Fewer misses than the 99.99th percentile of the binomial; `make coverage` has the whole grid."""
    rng = np.random.default_rng([events, *map(ord, model.name)])
    counts, earlier = model.counts(events, rng), model.counts(10 * events, rng)
    weeks = zip(model.labelings(counts, REPS, rng), model.labelings(earlier, REPS, rng), strict=True)
    tables = [
        (GIVEN, model.labelings(counts, REPS, rng), model.expected(counts)),
        (DRAWN, model.draws(events, REPS, rng), model.endless()),
        (CHANGES, weeks, (model.expected(counts), model.expected(earlier))),
    ]
    for table, drawn, expected in tables:
        seen: dict[str, list[bool]] = {name: [] for name in table}
        for i, one in enumerate(drawn):
            for name, interval in table.items():
                found = interval.bounds(one, expected) if i % interval.effort == 0 else []
                seen[name] += [any(is_missed(*bounds)) for bounds in found]
        most = {name: stats.binom.ppf(0.9999, len(seen[name]), table[name].missing) for name in table}

        assert {name: sum(missed) for name, missed in seen.items() if sum(missed) > most[name]} == {}
