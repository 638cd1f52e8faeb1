"""Options and fixtures of the benchmarks, and the table at their end."""

import os
import platform
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import duckdb
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks import logs
from benchmarks.meter import Figure, Meter, cpu_seconds
from benchmarks.table import lines
from calslo_dagster.engine.connect import EngineSettings, connect

FIGURES: Final = pytest.StashKey[list[Figure]]()
ROWS: Final = 1_000_000
BIG_ROWS: Final = (10_000_000, 50_000_000)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option for the sizes that take minutes and gigabytes."""
    parser.addoption("--big", action="store_true", help="Also measure on logs of 10 and 50 million events.")


def pytest_configure(config: pytest.Config) -> None:
    """Collect the figures of the whole run; one table of them is enough."""
    config.stash[FIGURES] = []
    config.addinivalue_line("markers", "big: measured with --big only")
    config.option.benchmark_quiet = True
    if config.option.benchmark_json:
        # The plugin opens the file at the very end, and would lose the whole run for want of a folder.
        Path(config.option.benchmark_json).parent.mkdir(parents=True, exist_ok=True)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run benchmarks that ask for `rows` on every size."""
    if "rows" in metafunc.fixturenames:
        sizes = (ROWS, *(BIG_ROWS if metafunc.config.getoption("--big") else ()))
        metafunc.parametrize("rows", sizes, ids=[f"{size // 1_000_000}M" for size in sizes])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Time everything in CPU seconds; a log of 50 million events may take its time."""
    if not config.getoption("--big"):
        items[:] = [item for item in items if item.get_closest_marker("big") is None]
    for item in items:
        item.add_marker(pytest.mark.benchmark(timer=cpu_seconds))
        item.add_marker(pytest.mark.timeout(3600))


def pytest_benchmark_update_machine_info(machine_info: dict[str, Any]) -> None:
    """Note what else figures depend on; those of two machines cannot be compared."""
    machine_info |= {"load": os.getloadavg()[0], "duckdb": duckdb.__version__, "cores": os.cpu_count()}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print all figures next to their yardsticks and goals."""
    figures = terminalreporter.config.stash[FIGURES]
    if figures:
        load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
        terminalreporter.section(f"figures (medians; {os.cpu_count()} cores, load {load}, {platform.machine()})")
        for line in lines(figures):
            terminalreporter.write_line(line)


@pytest.fixture
def meter(benchmark: BenchmarkFixture, request: pytest.FixtureRequest) -> Iterator[Meter]:
    """Yield what times this benchmark; it fails if a goal is missed."""
    own = Meter(benchmark, request.config.stash[FIGURES])
    yield own
    own.check()


@pytest.fixture
def scratch() -> Iterator[Path]:
    """Yield an empty folder that is gone afterwards; a partial of a big log is too large to be kept around."""
    logs.CACHE.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="run-", dir=logs.CACHE) as folder:
        yield Path(folder)


@pytest.fixture
def connection(scratch: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield the engine as a project opens it unless its settings say otherwise."""
    with connect(EngineSettings(temp_directory=scratch / "spill")) as opened:
        yield opened


@pytest.fixture
def log(rows: int) -> logs.Log:
    """Return one day of so many events in 24 slices."""
    return logs.log(logs.LogSpec(rows))
