"""Print delays against their goals, delays on shapes that no bet was made for, and false alarms."""

import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from statistics import median
from typing import Any, Final

import click
import numpy as np

from benchmarks.detection import goals
from benchmarks.detection.populations import SAMPLERS, Population, population
from benchmarks.detection.runs import Delay, alarms, delay
from benchmarks.detection.shapes import NAMED, boundary, calibrated, unlisted
from calslo_dagster.stats.tilts import Kind
from calslo_dagster_tests.slo.scenarios import DAYS, NAMES, Outcome, month

MINUTES_PER_MONTH: Final = 43_200
UNLISTED_LIMIT: Final = 300_000
known = cache(population)


@dataclass(frozen=True, slots=True)
class Job:
    """One run in a process of its own: what to run on which model, with its seed."""

    model: str
    what: str
    seed: int
    rate: int = 100


@click.group()
@click.option("--workers", default=2, show_default=True, help="Processes.")
@click.pass_context
def cli(context: click.Context, workers: int) -> None:
    """Measure the detectors of calslo_dagster/stats/sequential.py."""
    context.obj = workers


@cli.command()
@click.option("--reps", default=100, show_default=True, help="Runs per drift.")
@click.option("--model", "models", multiple=True, type=click.Choice(goals.MODELS), default=goals.MODELS)
@click.option("--seed", default=1, show_default=True)
@click.pass_obj
def delays(workers: int, reps: int, models: tuple[str, ...], seed: int) -> None:
    """Median delays on the named drifts."""
    failed = 0
    for model in models:
        for drift in NAMED:
            jobs = [Job(model, drift, seed + 1_000 * k) for k in range(reps)]
            found = _all(_named_delay, jobs, workers)
            for kind in Kind:
                failed += _print_delay(job=jobs[0], kind=kind, found=[getattr(one, kind) for one in found])
    _end(failed)


@cli.command(name="unlisted")
@click.option("--shapes", default=24, show_default=True, help="Random shapes, spread over six models.")
@click.option("--reps", default=30, show_default=True, help="Runs per shape.")
@click.option("--seed", default=1, show_default=True)
@click.pass_obj
def unlisted_shapes(workers: int, shapes: int, reps: int, seed: int) -> None:
    """Delays on random shapes, as multiples of those of an oracle that knows the shape."""
    ratios = []
    for k in range(shapes):
        model = list(SAMPLERS)[k % len(SAMPLERS)]
        kind, shape = _unlisted(model, seed + k)
        runs = _all(_unlisted_delay, [Job(model, str(seed + k), 100 * r + 5) for r in range(reps)], workers)
        change, breach, oracle = (median(getattr(run, name) for run in runs) for name in ("change", "breach", "oracle"))
        ratios.append(change / oracle)
        error = known(model).error(shape) / known(model).baseline.tolerance
        click.echo(
            f"{model:8} {kind:8} error {error:5.2f} tolerances  oracle {oracle:9,.0f}  change {change:9,.0f} "
            f"x{ratios[-1]:5.2f}  breach {breach:9,.0f}"
        )
    click.echo(f"change against oracle: median x{median(ratios):.2f}, largest x{max(ratios):.2f}, {shapes} shapes")
    _end(int(median(ratios) > goals.ORACLE_SLACK))


@cli.command(name="alarms")
@click.option("--months", default=200, show_default=True, help="Slice-months of each kind.")
@click.option("--rate", default=100, show_default=True, help="Events per minute.")
@click.option("--at-boundary", is_flag=True, help="A true error of just the tolerance, not of zero.")
@click.option("--model", "models", multiple=True, type=click.Choice(list(SAMPLERS)), default=goals.MODELS)
@click.option("--seed", default=1, show_default=True)
@click.pass_obj
def false_alarms(
    workers: int, *, months: int, rate: int, at_boundary: bool, models: tuple[str, ...], seed: int
) -> None:
    """Count false alarms at a threshold of 43,200."""
    what = "boundary" if at_boundary else "calibrated"
    jobs = [Job(models[k % len(models)], what, seed + k, rate) for k in range(months)]
    found = _all(_month, jobs, workers)
    totals = {kind: sum(one[kind] for one in found) for kind in Kind}
    for model in models:
        counts = [one for job, one in zip(jobs, found, strict=True) if job.model == model]
        per = {kind: sum(one[kind] for one in counts) / len(counts) for kind in Kind}
        click.echo(
            f"{model:8} {what} {len(counts)} months: " + ", ".join(f"{k} {v:.2f} a month" for k, v in per.items())
        )
    limits = {
        Kind.CHANGE: np.inf if at_boundary else goals.most_alarms(months),
        Kind.BREACH: goals.most_alarms(months) if at_boundary else goals.most_breaches(months),
    }
    click.echo(", ".join(f"{kind}: {totals[kind]} (limit {limits[kind]:g})" for kind in Kind))
    _end(sum(totals[kind] > limits[kind] for kind in Kind))


@cli.command()
@click.option("--months", default=12, show_default=True, help="Slice-months of each scenario.")
@click.option("--seed", default=1, show_default=True)
@click.pass_obj
def scenarios(workers: int, months: int, seed: int) -> None:
    """Episodes and alarms of evidence mode, month by month, pane by pane."""
    failed = 0
    for name in NAMES:
        found = _all(_course, [Job("", name, seed + k) for k in range(months)], workers)
        failed += _print_scenario(name, found)
    _end(failed)


def _course(job: Job) -> Outcome:
    return month(job.what, job.seed)


def _print_scenario(name: str, found: list[Outcome]) -> int:
    """Print what the months of a scenario came to; return 1 where that misses its goal."""
    months = len(found)
    breaches, changes = (sum(getattr(one, key) for one in found) for key in ("breach_alarms", "change_alarms"))
    episodes = [sum(getattr(one, key) for one in found) / months for key in ("breaches", "warnings")]
    text = f"{name:18} {months} months of {DAYS} days: {breaches / months:.2f} breach alarms a month"
    text += f", {changes / months:.2f} of changes; episodes {episodes[0]:.2f}, {episodes[1]:.2f}"
    text += f"; phi {np.mean([one.dispersion for one in found]):.2f}"
    clear = [one.clear for one in found if one.clear == one.clear]
    click.echo(text + (f"; cleared after {median(clear):.1f} h, at most {max(clear):.1f} h" if clear else ""))
    return int(goals.misses(name, found))


def _all(run: Callable[[Job], Any], jobs: Iterable[Job], workers: int) -> list[Any]:
    if workers == 1:
        return [run(job) for job in jobs]
    with ProcessPoolExecutor(workers) as pool:
        return list(pool.map(run, jobs))


def _named_delay(job: Job) -> Delay:
    model = known(job.model)
    return delay(model, NAMED[job.what](model), seed=job.seed, limit=goals.LIMITS[job.model])


def _unlisted(model: str, seed: int) -> tuple[str, Any]:
    return unlisted(known(model), np.random.default_rng([99, seed]))


def _unlisted_delay(job: Job) -> Delay:
    _, shape = _unlisted(job.model, int(job.what))
    return delay(known(job.model), shape, seed=job.seed, limit=UNLISTED_LIMIT)


def _month(job: Job) -> dict[Kind, int]:
    model: Population = known(job.model)
    shape = boundary(model) if job.what == "boundary" else calibrated
    return alarms(model, shape, seed=job.seed, steps=MINUTES_PER_MONTH, rate=job.rate)


def _print_delay(*, job: Job, kind: Kind, found: list[float]) -> int:
    """Print one row of the table; return 1 where it misses its goal."""
    middle, late = median(found), float(np.quantile(found, 0.9, method="higher"))
    aim = goals.goal(job.model, job.what, kind)
    ratio = f"x{middle / aim:.2f}" if aim else ""
    click.echo(f"{job.model:6} {job.what:16} {kind:7} {middle:9,.0f} p90 {late:9,.0f}  goal {aim or '-':>7} {ratio}")
    return int(aim is not None and middle > goals.SLACK * aim)


def _end(failed: int) -> None:
    click.echo(f"{failed} goals missed" if failed else "all goals met")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    cli()
