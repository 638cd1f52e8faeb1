"""Changed settings against those in force: a year of one slice, and two weeks of the demo's 24 slices."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pytest
import yaml

from benchmarks import homes
from benchmarks.homes import DAYS, Home
from benchmarks.logs import DAY
from benchmarks.meter import Meter
from calslo_dagster.pipeline.backtest_slos import Wanted, backtest_slos
from calslo_dagster.pipeline.compare_courses import Comparison
from calslo_dagster.settings import Settings, load_settings

LATER: Final = DAY + timedelta(days=2)
LAST: Final = DAY.date()
# What is wanted, in CPU seconds.
YEAR_GOAL: Final = 10.0
CHANGED: Final[dict[str, Any]] = {
    "ece_bound": {"parameters": {"c": 0.5, "floor": 0.01}},
    "clamp_activation": {"fail": 0.05, "warn": 0.02},
    "merged_bins": {"parameters": {"min_bin_events": 20}},
    "p99_latency": {"min_events": 50},
    "score_range": {"close_after": 4},
    "weekly_drift": {"parameters": {"limit": 0.005}},
    "clamp_alpha": {"fail": 0.02},
}


def proposed(home: Home) -> Settings:
    """Return the settings with every SLO changed."""
    text = yaml.safe_load((home.folder / "calslo.yaml").read_text(encoding="utf-8"))
    file = home.folder / "new.yaml"
    file.write_text(yaml.safe_dump({**text, "slos": CHANGED}), encoding="utf-8")
    return load_settings(file, {})


def replayed(home: Home, first: date, last: date) -> Comparison:
    project = home.open()
    with project.store:
        return backtest_slos(project, proposed(home), Wanted(first, last), now=LATER)


@pytest.fixture(scope="module")
def year() -> Iterator[Home]:
    """Yield a home with a year of snapshots of one slice."""
    with TemporaryDirectory() as folder:
        yield homes.year(Path(folder))


def test_backtest_a_year_of_one_slice(meter: Meter, year: Home) -> None:
    """Seven SLOs, each under two settings, at 35,040 window ends, from the snapshots on disk to the comparison."""
    found = meter(lambda: replayed(year, LAST - timedelta(days=DAYS - 1), LAST), rounds=3)

    windows = [sum(one.slices[0].now.verdicts.values()) for one in found.slos if one.slices and one.slices[0].now]
    assert max(windows) == DAYS * 96
    meter.note(windows=max(windows), slos=len(found.slos))
    meter.goal("CPU s", meter.seconds, at_most=YEAR_GOAL)
