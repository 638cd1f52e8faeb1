"""Work in a process of its own, so that its peak of memory is its own: `python -m benchmarks.apart WORK ...`."""

import json
import resource
import subprocess
import sys
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from benchmarks.logs import SLICE_COLUMNS, LogSpec, log
from calslo_dagster.engine.aggregate import AggregateSpec, aggregate
from calslo_dagster.engine.connect import EngineSettings, connect
from calslo_dagster.sources import open_source

_STATUS: Final = Path("/proc/self/status")


@dataclass(frozen=True, slots=True)
class Peak:
    """The most memory that a process has held."""

    peak_mb: float


def apart(work: str, spec: LogSpec, folder: Path) -> Peak:
    """Do the work on the log in a new process and return its peak."""
    command = [sys.executable, "-m", "benchmarks.apart", work, json.dumps(asdict(spec), default=_seconds), str(folder)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return Peak(**json.loads(done.stdout))


def _seconds(value: timedelta) -> float:
    return value.total_seconds()


def _peak_mb() -> float:
    """Return the peak since this program was loaded; `ru_maxrss` on Linux also knows that of the parent process."""
    if _STATUS.exists():
        found = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
        return int(found["VmHWM"].split()[0]) / 1024
    units = 1024 if sys.platform == "darwin" else 1
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 / units


def _aggregate(spec: LogSpec, folder: Path) -> None:
    source = open_source(log(spec).source())
    with connect(EngineSettings(temp_directory=folder / "spill")) as connection:
        relation = source.relation(connection, source.units())
        aggregate(connection, relation, AggregateSpec(SLICE_COLUMNS), None, out=folder / "partial")


def _nothing(spec: LogSpec, folder: Path) -> None:
    """Load what the others load, to tell what they add."""


WORK: Final = {"aggregate": _aggregate, "nothing": _nothing}


def main(work: str, spec: str, folder: str) -> None:
    """Do the work and print its peak."""
    values = json.loads(spec)
    WORK[work](LogSpec(**values | {"until": timedelta(seconds=values["until"])}), Path(folder))
    sys.stdout.write(json.dumps(asdict(Peak(_peak_mb()))))


if __name__ == "__main__":
    main(*sys.argv[1:])
