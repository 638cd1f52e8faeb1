"""Print predicted beside simulated false breaches, for windows past a limit and for evidence mode."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import click
import numpy as np

from calslo_dagster.slo.builtin import clamp_activation, p99_latency
from calslo_dagster.slo.builtin.ece_bound import Parameters, build
from calslo_dagster.slo.certificate import KEPT_SHARE
from calslo_dagster.slo.model import SLO
from calslo_dagster.slo.prediction import predict
from calslo_dagster.slo.rehearsal import Count, Stage, false_breaches
from calslo_dagster.slo.traffic import CALIBRATED, SHAPES, Truth, assumed
from calslo_dagster.slo.trials import Mode
from calslo_dagster.stats.tails import poisson_interval

CONSTANTS: Final = (0.5, 0.6, 0.7, 1.0, 1.5)
RATES: Final = (1, 10, 100)
SHARES: Final = (0.5, KEPT_SHARE, 0.8, 0.9, 1.0)
# Breaches come in clusters, and the prediction is an approximation: within this factor it decides alike.
SLACK: Final = 1.3
# The detectors' families are the product's; three shapes and two volumes show whether the budget holds.
BET_ON: Final = ("churn", "ctr", "llm")


@click.command()
@click.option("--months", default=3.0, show_default=True, help="Slice-months per row of windows.")
@click.option("--bet-months", default=12.0, show_default=True, help="Slice-months per row of evidence mode.")
@click.option("--seed", default=1, show_default=True)
def main(months: float, bet_months: float, seed: int) -> None:
    """Predicted and simulated false breaches a slice and 30 days; exit code 1 where they contradict each other."""
    missed = 0
    for name, stage, truth in _rows():
        missed += _print(name, stage, _simulated(stage, truth, seed, months), predict(stage, truth).per_month or 0.0)
    for name, stage, truth in _bets():
        found = _simulated(stage, truth, seed, bet_months)
        missed += _print(name, stage, found, predict(stage, truth).per_month or 0.0, is_bound=True)
    click.echo(f"{missed} predictions contradicted" if missed else "no prediction contradicted")
    sys.exit(1 if missed else 0)


def _rows() -> Iterator[tuple[str, Stage, Truth]]:
    for c in CONSTANTS:
        for shape in SHAPES:
            for rate in RATES:
                yield f"c {c:g}", Stage(build(Parameters(c=c)), assumed(shape, rate)), CALIBRATED
    for slo, limit in ((p99_latency.slo, p99_latency.SLOW_SHARE), (clamp_activation.slo, 0.10)):
        for share in SHARES:
            for rate in (20, 100):
                yield f"{slo.name} {share:g} x limit", Stage(slo, assumed("churn", rate)), Truth(rate=share * limit)


def _bets() -> Iterator[tuple[str, Stage, Truth]]:
    """Yield one slice with a budget of one false alarm a month, calibrated and at the tolerance itself."""
    for shape in BET_ON:
        stage = Stage(_bet_on(build(Parameters())), assumed(shape, 5))
        yield "evidence, calibrated", stage, CALIBRATED
        yield "evidence, at the tolerance", stage, Truth(shift=_shift(stage, stage.baseline.tolerance))
    for slo, limit in ((p99_latency.slo, p99_latency.SLOW_SHARE), (clamp_activation.slo, 0.10)):
        for share in (KEPT_SHARE, 1.0):
            yield (
                f"evidence, {slo.name} {share:g} x limit",
                Stage(_bet_on(slo), assumed("churn", 20)),
                Truth(rate=share * limit),
            )


def _bet_on(slo: SLO) -> SLO:
    return replace(slo, mode=Mode.EVIDENCE)


def _shift(stage: Stage, error: float) -> float:
    low, high = 0.0, 2.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if stage.traffic.error(Truth(shift=middle)) < error else (low, middle)
    return low


def _simulated(stage: Stage, truth: Truth, seed: int, months: float) -> Count:
    return false_breaches(stage, truth, np.random.default_rng(seed), months=months)


def _print(name: str, stage: Stage, found: Count, predicted: float, *, is_bound: bool = False) -> int:
    """Print one row; return 1 where the interval of the simulation, with slack, does not hold the prediction."""
    low, high = (end / found.months for end in poisson_interval(found.alarms, 0.99))
    is_wrong = low > SLACK * predicted or (not is_bound and high < predicted / SLACK)
    told = (
        f"{'at most' if is_bound else 'predicted'} {predicted:8.3f}"
        if predicted > 1e-3 or not predicted
        else f"predicted {'<.001':>8}"
    )
    click.echo(
        f"{name:28} {stage.traffic.name:28} {told}  simulated {found.rate:8.3f} ({low:.2f} to {high:.2f})"
        f"{'  CONTRADICTED' if is_wrong else ''}"
    )
    return int(is_wrong)


if __name__ == "__main__":
    main()
