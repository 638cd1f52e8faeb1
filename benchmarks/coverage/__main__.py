"""Print how often each interval holds the truth, and the cells of the grid where it does so least."""

import sys
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product
from typing import Final

import click
import numpy as np
from scipy import stats

from benchmarks.coverage.intervals import CHANGES, DRAWN, GIVEN, Drawn, Interval, is_missed, nominal
from benchmarks.coverage.worlds import SHAPES, SIZES, TRUTHS, world

QUICK: Final = 100
FULL: Final = 2_000
QUICK_SIZES: Final = (100, 1_000, 10_000)
# The chance that an interval with exactly its nominal coverage fails in any cell of the grid.
ALPHA: Final = 0.001
SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the grid, with the number of repetitions."""

    shape: str
    truth: str
    events: int
    reps: int

    @property
    def name(self) -> str:
        """What the table calls it."""
        return f"{self.shape}, {self.truth}, {self.events:,}"


@dataclass(frozen=True, slots=True)
class Tally:
    """How often an interval was asked in a cell, and how often the truth lay below or above it."""

    cell: str
    asked: int
    below: int
    above: int

    @property
    def missed(self) -> float:
        """Share of misses."""
        return (self.below + self.above) / self.asked if self.asked else 0.0

    def chance(self, missing: float) -> float:
        """Return the probability of so many misses or more, if a share of `missing` may miss."""
        return float(stats.binom.sf(self.below + self.above - 1, self.asked, missing)) if self.asked else 1.0


@click.command()
@click.option("--full", is_flag=True, help="2,000 repetitions in each cell and all sizes; some hours.")
@click.option("--reps", type=int, help="Repetitions in each cell.")
@click.option("--only", multiple=True, help="An interval by its name; may be repeated.")
@click.option("--workers", default=2, show_default=True, help="Processes.")
def cli(*, full: bool, reps: int | None, only: tuple[str, ...], workers: int) -> None:
    """Measure the coverage of the intervals of calslo_dagster/stats on models whose truth is known."""
    repeated, sizes = reps or (FULL if full else QUICK), SIZES if full else QUICK_SIZES
    cells = [Cell(shape, truth, size, repeated) for shape, truth, size in product(SHAPES, TRUTHS, sizes)]
    found: dict[str, list[Tally]] = {}
    with ProcessPoolExecutor(workers) as pool:
        for tallies in pool.map(_measured, cells, [only] * len(cells)):
            for name, tally in tallies.items():
                found.setdefault(name, []).append(tally)
    failed = sum(_print(name, tallies) for name, tallies in found.items())
    click.echo(f"{failed} intervals hold the truth too seldom" if failed else "every interval keeps its level")
    sys.exit(1 if failed else 0)


def _measured(cell: Cell, only: tuple[str, ...]) -> Mapping[str, Tally]:
    """Return the tally of every interval in one cell."""
    rng = np.random.default_rng([cell.events, *map(ord, cell.name)])
    model = world(cell.shape, cell.truth)
    counts = model.counts(cell.events, rng)
    # A week of ten times the events, which has a tenth of the bias, to compare with.
    earlier = model.counts(10 * cell.events, rng)
    given, drawn, changes = (_named(table, only) for table in (GIVEN, DRAWN, CHANGES))
    found: dict[str, Tally] = {}
    if given:
        labeled = model.labelings(counts, cell.reps, rng)
        found |= _tallies(cell, given, labeled, model.expected(counts))
    if drawn:
        found |= _tallies(cell, drawn, model.draws(cell.events, cell.reps, rng), model.endless())
    if changes:
        weeks = zip(model.labelings(counts, cell.reps, rng), model.labelings(earlier, cell.reps, rng), strict=True)
        found |= _tallies(cell, changes, weeks, (model.expected(counts), model.expected(earlier)))
    return found


def _named(table: Mapping[str, Interval], only: tuple[str, ...]) -> dict[str, Interval]:
    return {name: one for name, one in table.items() if not only or name in only}


def _tallies(
    cell: Cell, intervals: Mapping[str, Interval], drawn: Iterable[Drawn], expected: Drawn
) -> dict[str, Tally]:
    """Return how often each interval misses what is expected of it."""
    counts = {name: [0, 0, 0] for name in intervals}
    for i, one in enumerate(drawn):
        for name, interval in intervals.items():
            for low, high, truth in interval.bounds(one, expected) if i % interval.effort == 0 else ():
                below, above = is_missed(low, high, truth)
                counts[name] = [a + b for a, b in zip(counts[name], (1, below, above), strict=True)]
    return {name: Tally(cell.name, *found) for name, found in counts.items()}


def _print(name: str, tallies: list[Tally]) -> bool:
    """Print the line of one interval; return whether it fails."""
    missing = nominal(name)
    worst = sorted(tallies, key=lambda tally: tally.chance(missing))[:SHOWN]
    failed = worst[0].chance(missing) < ALPHA / len(tallies)
    asked = sum(tally.asked for tally in tallies)
    mean = sum(tally.missed * tally.asked for tally in tallies) / max(asked, 1)
    click.echo(f"{name:28} holds {1 - mean:.3f}, wanted {1 - missing:.2f} {'FAILS' if failed else ''}")
    for tally in worst:
        sides = f"truth below {tally.below}, above {tally.above} of {tally.asked:,}"
        click.echo(f"    {1 - tally.missed:.3f} {tally.cell}: {sides}")
    return failed


if __name__ == "__main__":
    cli()
