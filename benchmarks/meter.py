"""What every benchmark measures: CPU seconds first, because the wall clock of a busy machine says little."""

import resource
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

Result = TypeVar("Result")
Call = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Goal:
    """What a figure of this benchmark shall be at most, and the ceiling past which the benchmark fails."""

    says: str
    value: float
    at_most: float
    ceiling: float

    @property
    def is_met(self) -> bool:
        """Whether the figure is as it shall be."""
        return self.value <= self.at_most

    @property
    def is_passable(self) -> bool:
        """Whether the figure stays below its ceiling."""
        return self.value <= self.ceiling


@dataclass(slots=True)
class Figure:
    """What one benchmark found; seconds are medians over its rounds."""

    name: str
    cpu_seconds: float
    wall_seconds: float
    events: int | None = None
    ratios: dict[str, float] = field(default_factory=dict)
    notes: dict[str, float] = field(default_factory=dict)
    goals: list[Goal] = field(default_factory=list)


def cpu_seconds() -> float:
    """Return the CPU time of this process, all its threads, and the processes that it waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def cpu_of(call: Call) -> float:
    """Return the CPU seconds of one call."""
    start = cpu_seconds()
    call()
    return cpu_seconds() - start


class Meter:
    """Times one subject; yardsticks run right before each of its rounds, so that both see the same machine."""

    def __init__(self, benchmark: BenchmarkFixture, figures: list[Figure]) -> None:
        self._benchmark = benchmark
        self._figures = figures
        self._figure = Figure(benchmark.name.removeprefix("test_"), 0.0, 0.0)

    def __call__(
        self,
        subject: Callable[[], Result],
        *,
        against: Mapping[str, Call] | None = None,
        before: Call | None = None,
        rounds: int = 5,
        events: int | None = None,
    ) -> Result:
        """Return what the subject returns, and put its figures into the table.

        `before` prepares each round untimed; `events` are those that one round handles. One round more goes before the
        others untimed, unless there is but one.
        """
        yardsticks = against or {}
        untimed = 1 if rounds > 1 else 0
        walls: list[float] = []
        measured: dict[str, list[float]] = {name: [] for name in yardsticks}

        def prepare() -> None:
            if before:
                before()
            for name, call in yardsticks.items():
                measured[name].append(cpu_of(call))

        def timed() -> Result:
            start = time.perf_counter()
            try:
                return subject()
            finally:
                walls.append(time.perf_counter() - start)

        result: Result = self._benchmark.pedantic(timed, setup=prepare, rounds=rounds, warmup_rounds=untimed)
        seconds = self._benchmark.stats.stats.data
        self._figure.cpu_seconds = statistics.median(seconds)
        self._figure.wall_seconds = statistics.median(walls[untimed:])
        self._figure.events = events
        for name, yards in measured.items():
            pairs = zip(seconds, yards[untimed:], strict=True)
            self._figure.ratios[name] = statistics.median(own / yard for own, yard in pairs)
        self._keep()
        return result

    @property
    def seconds(self) -> float:
        """The median of the subject's CPU seconds."""
        return self._figure.cpu_seconds

    def ratio(self, yardstick: str) -> float:
        """Return the median ratio of the subject to the yardstick, round by round."""
        return self._figure.ratios[yardstick]

    def note(self, **numbers: float) -> None:
        """Add numbers to the benchmark's line of the table."""
        self._figure.notes |= numbers
        self._benchmark.extra_info.update(numbers)

    def goal(self, says: str, value: float, *, at_most: float, ceiling: float | None = None) -> None:
        """Compare a figure with its goal, and fail past the ceiling, which is the goal itself unless told."""
        goal = Goal(says, value, at_most, ceiling or at_most)
        self._figure.goals.append(goal)
        self._benchmark.extra_info.setdefault("goals", []).append(
            {"goal": f"{says} <= {at_most:g}", "value": value, "met": goal.is_met, "ceiling": goal.ceiling}
        )

    def check(self) -> None:
        """Fail when a figure is past its ceiling."""
        goals = (goal for goal in self._figure.goals if not goal.is_passable)
        missed = [f"{goal.says} is {goal.value:.3g}, above {goal.ceiling:g}" for goal in goals]
        if missed:
            pytest.fail("; ".join(missed), pytrace=False)

    def _keep(self) -> None:
        figure = self._figure
        self._figures.append(figure)
        found: dict[str, Any] = {"wall_seconds": figure.wall_seconds, "ratios": figure.ratios}
        if figure.events:
            found |= {"events": figure.events, "events_per_cpu_second": figure.events / figure.cpu_seconds}
        self._benchmark.extra_info.update(found)
