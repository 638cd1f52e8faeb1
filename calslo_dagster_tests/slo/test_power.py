"""Power: what is said to be detectable is found in four of five windows, and evidence is fair."""

import math
from dataclasses import replace

import numpy as np
import pytest

from calslo_dagster.slo.model import Evidence, Objective, Operator
from calslo_dagster.slo.power import BLIND, p_to_e, sight
from calslo_dagster.slo.registry import builtin
from calslo_dagster.slo.trials import Certain
from calslo_dagster.stats.estimate import Estimate
from calslo_dagster.stats.intervals import upper_tail
from calslo_dagster_tests.slo.samples import NOTHING, an_slo
from calslo_dagster_tests.slo.watched import SHARE, Traffic, shared, shifted


def found_by(detectable: float, trials: int, limit: float, *, operator: Operator) -> float:
    """Return the exact chance that so many trials at this rate miss the limit."""
    logs = [math.lgamma(trials + 1) - math.lgamma(k + 1) - math.lgamma(trials - k + 1) for k in range(trials + 1)]
    misses = [
        k for k in range(trials + 1) if k / trials > limit or (k / trials == limit and operator is Operator.BELOW)
    ]
    return sum(math.exp(logs[k] + k * math.log(detectable) + (trials - k) * math.log1p(-detectable)) for k in misses)


@pytest.mark.parametrize("operator", [Operator.AT_MOST, Operator.BELOW])
@pytest.mark.parametrize(
    ("limit", "trials"), [(0.1, 100), (0.1, 1_003), (0.01, 100), (0.01, 250), (0.5, 40), (0.25, 8)]
)
def test_a_detectable_rate_misses_its_limit_in_four_of_five_windows(
    limit: float, trials: int, operator: Operator
) -> None:
    slo = replace(SHARE, objective=Objective.of(operator, limit))
    seen = sight(slo, Evidence(shared(1, trials)), Estimate(1 / trials, events=trials), limit)

    assert seen.detectable is not None
    assert found_by(seen.detectable, trials, limit, operator=operator) == pytest.approx(0.8, abs=0.03)


def test_a_detectable_calibration_error_is_found_in_four_of_five_windows() -> None:
    """400 windows have a standard error of 2 %; normal theory and the noise near the limit account for the rest."""
    slo = builtin().find("ece_bound")
    truth = Traffic(events=lambda _: 2_000, scores=lambda _, __, n: np.linspace(0.1, 0.9, n))
    first = Evidence(next(truth.panes(1, 1)))
    estimate, limits = slo.sli(first), slo.objective.limits(first)
    assert isinstance(limits.fail, float)
    detectable = sight(slo, first, estimate, limits.fail).detectable
    assert detectable is not None
    off = replace(truth, truth=lambda _, p: p + detectable)
    values = [slo.sli(Evidence(one)).value for one in off.panes(400, 2)]

    assert np.mean([value is not None and value > limits.fail for value in values]) == pytest.approx(0.8, abs=0.1)


def test_a_p_value_makes_an_e_value_of_mean_one() -> None:
    """The mean of 1 / (2 sqrt(p)) over the uniform distribution, by the midpoint rule on the square root."""
    roots = (np.arange(10_000) + 0.5) / 10_000

    assert np.mean([2 * root * p_to_e(float(root * root)) for root in roots]) == pytest.approx(1.0)
    assert p_to_e(0.0) == p_to_e(1e-320 * 0) == 1e200
    assert p_to_e(1.0) == 0.5


@pytest.mark.parametrize(
    ("objective", "value", "past", "edge"),
    [
        (Objective(at_most=0.1), 0.12, 0.02, 0.1 + 0.008416),
        (Objective(below=0.1), 0.05, -0.05, 0.1 + 0.008416),
        (Objective(at_least=0.9), 0.87, 0.03, 0.9 - 0.008416),
        (Objective(above=0.9), 0.95, -0.05, 0.9 - 0.008416),
        (Objective(equal=0.5), 0.48, 0.02, 0.5 + 0.008416),
        (Objective(within=(0.8, 1.2)), 1.23, 0.03, 1.2 + 0.008416),
        (Objective(within=(0.8, 1.2)), 0.79, 0.01, 0.8 - 0.008416),
    ],
)
def test_estimates_with_an_error_are_weighed_by_their_distance(
    objective: Objective, value: float, past: float, edge: float
) -> None:
    slo = an_slo(objective=objective)
    seen = sight(slo, NOTHING, Estimate(value, events=9, standard_error=0.01), objective.limit)

    sides = 2 if objective.operator is Operator.EQUAL else 1
    assert seen.e_value == pytest.approx(p_to_e(min(1.0, sides * upper_tail(past / 0.01))))
    assert seen.detectable == pytest.approx(edge)


def test_without_value_error_or_limit_nothing_is_seen() -> None:
    slo = an_slo()

    assert sight(slo, NOTHING, Estimate(None), 1.0) == BLIND
    assert sight(slo, NOTHING, Estimate(math.nan, standard_error=0.1), 1.0) == BLIND
    assert sight(slo, NOTHING, Estimate(0.5), 1.0) == BLIND
    assert sight(slo, NOTHING, Estimate(0.5, standard_error=0.1), None) == BLIND
    assert sight(SHARE, Evidence(shared(0, 0)), Estimate(0.5), 0.1) == BLIND
    assert sight(SHARE, Evidence(shared(5)), Estimate(0.5), 1.0) == BLIND


def test_an_estimate_without_noise_is_certain() -> None:
    slo = an_slo(objective=Objective(at_most=0.5))

    assert sight(slo, NOTHING, Estimate(0.6, standard_error=0.0), 0.5).e_value == 1e200
    assert sight(slo, NOTHING, Estimate(0.4, standard_error=0.0), 0.5).e_value == 0.5


def test_a_count_of_what_happened_is_certain() -> None:
    slo = an_slo(objective=Objective(at_most=0.0), trial=Certain())
    kept, missed = (sight(slo, NOTHING, Estimate(value, events=10), 0.0) for value in (0.0, 0.1))

    assert (kept.e_value, missed.e_value) == (0.0, 1e200)
    assert kept.detectable is not None
    assert 1 - (1 - kept.detectable) ** 10 == pytest.approx(0.8)
    assert sight(slo, NOTHING, Estimate(3.0, events=10), 2.0).detectable == 2.0
    assert sight(
        an_slo(objective=Objective(within=(1.0, 2.0)), trial=Certain()), NOTHING, Estimate(1.5), (1.0, 2.0)
    ) == (replace(BLIND, e_value=0.0))


def test_evidence_of_a_rate_is_that_of_its_bets() -> None:
    """Large where the limit is missed by far, below one where it is kept by far."""
    high, low = (sight(SHARE, Evidence(shared(hits)), Estimate(hits / 100, events=100), 0.1) for hits in (40, 2))

    assert high.e_value is not None
    assert low.e_value is not None
    assert low.e_value < 1
    assert high.e_value > 1_000


def test_shifted_odds_are_off_by_their_factor() -> None:
    assert shifted(np.array([0.5]), math.log(3.0))[0] == pytest.approx(0.75)
