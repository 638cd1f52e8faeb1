"""Ten thousand slices that break at once: what a look at them costs."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from benchmarks.homes import MINUTE
from benchmarks.logs import DAY
from benchmarks.meter import Meter
from calslo_dagster.pipeline.advance_alerts import advance_alerts
from calslo_dagster.pipeline.project import Project, open_project
from calslo_dagster.settings import load_settings
from calslo_dagster.slo.model import Measurement, Verdict
from calslo_dagster.slo.windows import STEP
from calslo_dagster.store import breaches, measurements
from calslo_dagster.store.breaches import Breach

SLO: Final = "score_range"
SLICES: Final = tuple(f"country=c{n // 100:03d},segment=s{n % 100:03d}" for n in range(10_000))
SETTINGS: Final = "home: .\nsources: [{kind: files, name: bench, paths: [log/]}]\n"
ALWAYS: Final = datetime(2000, 1, 1, tzinfo=UTC)


class Weather:
    """A project with a storm; each change of the weather comes a minute after the one before."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.now = DAY + STEP
        with project.store.write() as session:
            rows = [_measured(name, self.now, 100 + n) for n, name in enumerate(SLICES)]
            measurements.replace(session, SLO, rows, start=DAY, end=self.now)

    def turn(self, *, is_bad: bool) -> None:
        """Let every slice break, or all be well."""
        self.now += MINUTE
        found = [_breach(name, self.now) for name in SLICES] if is_bad else []
        with self.project.store.write() as session:
            breaches.replace_since(session, SLO, found, since=ALWAYS)

    def look(self) -> int:
        """Decide about what is so now."""
        return advance_alerts(self.project, now=self.now)


@pytest.fixture
def weather(scratch: Path) -> Iterator[Weather]:
    """Yield a project in SQLite whose ten thousand slices have never been in breach."""
    (scratch / "calslo.yaml").write_text(SETTINGS, encoding="utf-8")
    project = open_project(load_settings(scratch / "calslo.yaml", {}), migrate=True)
    with project.store:
        yield Weather(project)


def test_begin(meter: Meter, weather: Weather) -> None:
    """The look that finds ten thousand new breaches and orders one message; later rounds find them again."""

    def turn() -> None:
        for is_bad in (False, True):
            weather.turn(is_bad=is_bad)
            if not is_bad:
                weather.look()

    meter(weather.look, before=turn, rounds=3)
    meter.goal("CPU s", meter.seconds, at_most=2)


def test_end(meter: Meter, weather: Weather) -> None:
    """The look that finds all well again."""

    def turn() -> None:
        for is_bad in (True, False):
            weather.turn(is_bad=is_bad)
            if is_bad:
                weather.look()

    meter(weather.look, before=turn, rounds=3)
    meter.goal("CPU s", meter.seconds, at_most=2)


def test_go_on(meter: Meter, weather: Weather) -> None:
    """The look that finds nothing new while ten thousand slices are in breach."""
    weather.turn(is_bad=True)
    weather.look()

    def turn() -> None:
        weather.now += MINUTE / 6

    meter(weather.look, before=turn, rounds=3)
    meter.goal("CPU s", meter.seconds, at_most=2)


def _measured(name: str, end: datetime, events: int) -> Measurement:
    return Measurement(
        slo=SLO,
        slice=name,
        model="ranker",
        window_start=end - timedelta(hours=1),
        window_end=end,
        value=0.5,
        threshold=0.4,
        warn_threshold=None,
        low=None,
        high=None,
        events=events,
        labeled=0,
        verdict=Verdict.BREACHED,
        reason="0.5 is above 0.4",
    )


def _breach(name: str, at: datetime) -> Breach:
    return Breach(
        id=f"{name} {at.timestamp():.0f}",
        slo=SLO,
        slice=name,
        model="ranker",
        onset=at,
        opened_at=at,
        last_bad_at=at,
        recovered_at=None,
        closed_at=None,
        peak_value=0.5,
        peak_excess=0.25,
        peak_at=at,
        threshold=0.4,
        windows_bad=1,
        windows_met=0,
        windows_unknown=0,
        windows_excluded=0,
        is_provisional=False,
        reason="0.5 is above 0.4",
    )
