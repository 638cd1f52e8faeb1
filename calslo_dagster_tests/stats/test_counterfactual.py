"""What is put back is as it was, and nothing else is."""

from collections.abc import Callable

import numpy as np
import pytest

from calslo_dagster.stats import counterfactual as put
from calslo_dagster.stats.bias import mean_bias
from calslo_dagster.stats.latency import p99
from calslo_dagster.stats.rates import bad_score_rate, clamp_rate, labeled_share, mean_alpha, mean_score
from calslo_dagster.stats.snapshot import Snapshot
from calslo_dagster_tests.builders import snap


def sample(seed: int, *, shift: float = 0.0, top: float = 1.0, known: float = 1.0, slow: float = 1.0) -> Snapshot:
    """Return 3,000 events: rates `shift` below scores up to `top`, a share of them labelled, some clamped and slow."""
    rng = np.random.default_rng(seed)
    p = top * rng.random(3_000)
    y = np.where(rng.random(3_000) < known, rng.random(3_000) < np.clip(p - shift, 0, 1), np.nan)
    return snap(
        p, y, None, slow * rng.lognormal(5, 0.3, 3_000), clamped=rng.random(3_000) < 0.02 * slow, alpha=p * slow
    )


WELL = sample(1)


def test_a_part_is_swapped_exactly() -> None:
    part, other = sample(2), sample(3)

    found = put.swapped(WELL + part, part, other)

    together = WELL + other
    for name in ("totals", "cells", "latency"):
        np.testing.assert_array_equal(getattr(found, name), getattr(together, name))
    assert (found.masks, found.versions) == (together.masks, together.versions)
    np.testing.assert_array_equal(put.repeated(part, 3).cells, (part + part + part).cells)
    np.testing.assert_array_equal(put.scaled(part, 2.0).totals, (part + part).totals)


Puts = Callable[[Snapshot, Snapshot], Snapshot]


@pytest.mark.parametrize(
    "back", [put.outcome_put_back, put.scores_put_back, put.coverage_put_back, put.bad_scores_put_back,
             put.clamping_put_back, put.alpha_put_back, put.latency_put_back],
)  # fmt: skip
def test_what_has_not_moved_is_put_back_as_it_is(back: Puts) -> None:
    found = back(WELL, WELL)

    np.testing.assert_allclose(found.cells, WELL.cells, atol=1)
    np.testing.assert_array_equal(found.latency, WELL.latency)
    assert mean_bias(found).value == pytest.approx(mean_bias(WELL).value, abs=1e-6)


def test_labels_scores_and_coverage_are_put_back_one_by_one() -> None:
    now = sample(4, shift=0.1, top=0.5, known=0.4)

    by_outcome, by_scores = put.outcome_put_back(now, WELL), put.scores_put_back(now, WELL)

    assert abs(mean_bias(by_outcome).value or 1.0) < 0.02 < abs(mean_bias(now).value or 0.0)
    assert mean_score(by_outcome).value == pytest.approx(mean_score(now).value)
    # Scores above one half did not occur, so there is nothing to weigh up.
    assert (mean_score(by_scores).value or 0.0) > (mean_score(now).value or 0.0) - 0.01
    assert labeled_share(put.coverage_put_back(now, WELL)).value == pytest.approx(1.0, abs=0.02)


def test_rates_and_latency_are_put_back() -> None:
    now = sample(5, slow=6.0) + snap([None] * 50)

    assert bad_score_rate(put.bad_scores_put_back(now, WELL)).value == 0.0
    assert clamp_rate(put.clamping_put_back(now, WELL)).value == pytest.approx(clamp_rate(WELL).value, abs=1e-3)
    assert mean_alpha(put.alpha_put_back(now, WELL)).value == pytest.approx(mean_alpha(WELL).value)
    assert p99(put.latency_put_back(now, WELL)).value == p99(WELL).value
    assert put.latency_put_back(Snapshot(), WELL).latency.sum() == 0


def test_scores_of_change_are_normal_without_one_and_large_with_one() -> None:
    usual = [put.outcome_score(sample(seed), sample(seed + 50)) for seed in range(10, 30)]

    assert abs(float(np.mean(usual))) < 1.0
    assert max(map(abs, usual)) < 4
    assert put.outcome_score(sample(6, shift=0.1), WELL) > 6
    assert put.rate_score(30, 100, 100, 10_000) > 6
    assert put.rate_score(1, 100, 100, 10_000) == pytest.approx(0.0, abs=0.5)
    assert put.rate_score(1, 0, 1, 10) == put.chi_score(1.0, 0) == 0.0
