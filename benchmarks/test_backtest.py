"""Changed settings against those in force: a year of one slice, and two weeks of the demo's 24 slices."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
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
from calslo_dagster.engine.series import SnapshotSeries
from calslo_dagster.pipeline.backtest_slos import Wanted, backtest_slos
from calslo_dagster.pipeline.backtest_slos import proposed as proposed_project
from calslo_dagster.pipeline.compare_courses import Comparison, compared
from calslo_dagster.pipeline.context import context_of
from calslo_dagster.pipeline.judge_span import Trial, judge_series, judge_week
from calslo_dagster.pipeline.read_snapshots import snapshots_over
from calslo_dagster.settings import Settings, load_settings
from calslo_dagster.slo.windows import DAY as A_DAY
from calslo_dagster.slo.windows import WEEK, Window, week_of
from calslo_dagster.sources.base import micros

LATER: Final = DAY + timedelta(days=2)
LAST: Final = DAY.date()
LAST_MONDAY: Final = week_of(DAY).start
# What is wanted, in CPU seconds; past the ceiling it fails.
YEAR_GOAL: Final = 10.0
DISK_CEILING: Final = 15.0
DEMO_CEILING: Final = 30.0
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


def test_judge_a_year_of_one_slice(meter: Meter, year: Home) -> None:
    """Seven SLOs, each under two settings, at 35,040 window ends, from series in memory to breaches and differences."""
    span = Window(DAY + timedelta(days=1 - DAYS), DAY + timedelta(days=1))
    project = year.open()
    with project.store, project.engine() as connection:
        week = Window(LAST_MONDAY - 2 * WEEK, LAST_MONDAY - WEEK)
        ((_, series),) = snapshots_over(project, connection, Window(week.start - A_DAY, week.end)).series()
        sides = [project, proposed_project(project, proposed(year))]

        def judged() -> int:
            contexts = [context_of(side, slo, now=LATER, run_id="") for side in sides for slo in side.registry]
            trials = [Trial.of(context, span) for context in contexts]
            walk(trials, series, span)
            halves = trials[: len(trials) // 2], trials[len(trials) // 2 :]
            return sum(
                compared(one.context.slo.name, "*", one.courses["*"], other.courses["*"]).windows
                for one, other in zip(*halves, strict=True)
            )

        meter.note(differing=meter(judged, rounds=3))
    meter.goal("CPU s", meter.seconds, at_most=YEAR_GOAL)


def walk(trials: Sequence[Trial], series: SnapshotSeries, span: Window) -> None:
    """Judge every week of the span by the same series, as if it were of that week."""
    minutely, weekly = ([t for t in trials if t.context.is_weekly is is_weekly] for is_weekly in (False, True))
    panes, at = series.panes, week_of(span.start).start
    while at < span.end:
        moved = replace(series, panes=replace(panes, start_us=micros(at - A_DAY)))
        judge_series(minutely, "*", moved, Window(at, min(at + WEEK, span.end)))
        current, baseline = (moved.window(micros(at), micros(at + WEEK)) for _ in range(2))
        judge_week(weekly, "*", Window(at, at + WEEK), weeks=(current, baseline), names=["*"])
        at += WEEK


def test_backtest_a_year_of_one_slice_from_disk(meter: Meter, year: Home) -> None:
    """The same from the snapshots on disk to the whole comparison, pages included."""
    found = meter(lambda: replayed(year, LAST - timedelta(days=DAYS - 1), LAST), rounds=1)

    windows = [sum(one.slices[0].now.verdicts.values()) for one in found.slos if one.slices and one.slices[0].now]
    assert max(windows) == DAYS * 96
    meter.note(windows=max(windows), slos=len(found.slos))
    meter.goal("CPU s", meter.seconds, at_most=YEAR_GOAL, ceiling=DISK_CEILING)


def test_backtest_two_weeks_of_24_slices(meter: Meter) -> None:
    """The demo's fortnight with its incidents, under seven changed SLOs."""
    with TemporaryDirectory() as folder:
        home = homes.fortnight(Path(folder))
        last = homes.DEMO_END.date() - timedelta(days=1)
        found = meter(lambda: replayed(home, last - timedelta(days=13), last), rounds=1)

    meter.note(pages_now=len(found.pages_now), pages_new=len(found.pages_new))
    meter.goal("CPU s", meter.seconds, at_most=YEAR_GOAL, ceiling=DEMO_CEILING)
