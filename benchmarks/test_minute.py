"""One tick of the minute from the start of its process to the verdicts, and the same stages without Dagster."""

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

import dagster as dg
import pytest

from benchmarks import homes
from benchmarks.homes import MINUTE, NOON, Home
from benchmarks.meter import Meter
from calslo_dagster.defs.jobs import MINUTE_JOB

ROOT: Final = Path(__file__).parents[1]
# In the minutes after it, all four windows that end in the hour have begun.
LATE: Final = NOON.replace(minute=56)
# In the minute after it, the watermark passes the end of the window before the open one.
ALMOST_FINAL: Final = NOON.replace(minute=55)
each_time: Final = pytest.mark.parametrize("start", [NOON, LATE], ids=["early in the hour", "late in the hour"])
each_home: Final = pytest.mark.parametrize(
    "made", [pytest.param(homes.demo, id="24 slices"), pytest.param(homes.thousand, id="1000 slices")]
)


class Clock:
    """The minutes that go by, one for each round, from `start` on."""

    def __init__(self, home: Home, start: datetime) -> None:
        self.home = home
        self.now = NOON
        if start > NOON:
            self.catch_up(start)

    def catch_up(self, now: datetime) -> None:
        """Do what was due until now, since the home was prepared just past noon."""
        self.now = now
        self.home.grow(now)
        project = self.home.open()
        homes.run_minute(project, now)
        project.store.close()

    def tick(self) -> None:
        """Let a minute pass and the log grow by it."""
        self.now += MINUTE
        self.home.grow(self.now)


@each_time
@each_home
def test_run(meter: Meter, scratch: Path, made: Callable[[Path], Home], start: datetime) -> None:
    """A run of the job in a new process, as the run launcher starts it."""
    home = made(scratch)
    clock = Clock(home, start)
    meter(lambda: launched(home, clock.now), before=clock.tick, rounds=2)
    meter.note(own_wall_s=own_seconds(home))
    meter.goal("CPU s", meter.seconds, at_most=10)


@each_time
@each_home
def test_stages(meter: Meter, scratch: Path, made: Callable[[Path], Home], start: datetime) -> None:
    """What the steps of such a run do, in this process."""
    staged(meter, Clock(made(scratch), start), rounds=2)


@each_home
def test_stages_when_a_window_becomes_final(meter: Meter, scratch: Path, made: Callable[[Path], Home]) -> None:
    """The busiest minute of a quarter of an hour: two windows are due, and availability is counted anew."""
    staged(meter, Clock(made(scratch), ALMOST_FINAL), rounds=1)


def staged(meter: Meter, clock: Clock, rounds: int) -> None:
    """Measure minute after minute."""
    project = clock.home.open()
    meter(lambda: homes.run_minute(project, clock.now), before=clock.tick, rounds=rounds)
    project.store.close()


def test_idle(meter: Meter, scratch: Path) -> None:
    """The process alone: Python, Dagster and the definitions loaded, nothing run."""
    home = homes.demo(scratch)
    code = "import dagster; from benchmarks.frozen import defs; defs.resolve_job_def('minute_job')"
    meter(lambda: spawned(home, NOON, ["-c", code]), rounds=3)


def launched(home: Home, now: datetime) -> None:
    """Run the job of the minute in a new process."""
    tags = f'{{"dagster/partition": "{now:%Y-%m-%d}"}}'
    job = ["-m", "benchmarks.frozen", "-d", str(ROOT), "-j", MINUTE_JOB, "--tags", tags]
    spawned(home, now, ["-m", "dagster", "job", "execute", *job])


def spawned(home: Home, now: datetime, arguments: list[str]) -> None:
    """Run Python in the project's environment; raise with what it said if it fails."""
    environ = {
        **os.environ,
        "CALSLO_CONFIG": str(home.folder / "calslo.yaml"),
        "CALSLO_BENCHMARK_NOW": now.isoformat(),
        "DAGSTER_HOME": str(home.folder / "dagster"),
    }
    done = subprocess.run(
        [sys.executable, *arguments], check=False, cwd=ROOT, env=environ, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(done.stdout[-2000:] + done.stderr[-4000:])


def own_seconds(home: Home) -> float:
    """Return the time that the steps of the last run took, by Dagster's own clock."""
    with dg.DagsterInstance.from_config(str(home.folder / "dagster")) as instance:
        run = instance.get_runs(limit=1)[0]
        steps = instance.get_run_step_stats(run.run_id)
        return sum(step.end_time - step.start_time for step in steps if step.start_time and step.end_time)
