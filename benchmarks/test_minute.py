"""One tick of the minute from the start of its process to the verdicts, and the same stages without Dagster."""

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import dagster as dg
import pytest

from benchmarks import homes
from benchmarks.homes import MINUTE, NOON, Home
from benchmarks.meter import Meter
from calslo_dagster.defs.jobs import MINUTE_JOB

ROOT: Final = Path(__file__).parents[1]
DEMO: Final = pytest.param(homes.demo, id="24 slices")
each_home: Final = pytest.mark.parametrize("made", [DEMO, pytest.param(homes.thousand, id="1000 slices")])


class Clock:
    """The minutes that go by, one for each round."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.now = NOON

    def tick(self) -> None:
        """Let a minute pass and the log grow by it."""
        self.now += MINUTE
        self.home.grow(self.now)


@each_home
def test_run(meter: Meter, scratch: Path, made: Callable[[Path], Home]) -> None:
    """A run of the job in a new process, as the run launcher starts it."""
    home = made(scratch)
    clock = Clock(home)
    meter(lambda: launched(home, clock.now), before=clock.tick, rounds=2)
    meter.note(own_wall_s=own_seconds(home))
    meter.goal("CPU s", meter.seconds, at_most=10)


@each_home
def test_stages(meter: Meter, scratch: Path, made: Callable[[Path], Home]) -> None:
    """What the steps of such a run do, in this process."""
    staged(meter, Clock(made(scratch)), rounds=3)


@pytest.mark.parametrize("made", [DEMO, pytest.param(homes.thousand, id="1000 slices", marks=pytest.mark.big)])
def test_stages_late_in_the_hour(meter: Meter, scratch: Path, made: Callable[[Path], Home]) -> None:
    """The same when four quarters of the open hour have windows that end in it."""
    clock = Clock(made(scratch))
    clock.now += timedelta(minutes=45)
    # The first of these minutes also catches up with the quarters of an hour that passed meanwhile.
    staged(meter, clock, rounds=2)


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
