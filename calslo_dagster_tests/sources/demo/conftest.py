"""Fixtures: the demo's script, all its traffic in memory, and a small demo for tests that write files."""

from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.typing import NDArray

from calslo_dagster.sources.demo.script import HOUR, IncidentKind, Script, default_script, healthy_script
from calslo_dagster.sources.demo.spec import DemoSpec
from calslo_dagster.sources.demo.traffic import Traffic, microseconds, simulate

END = datetime(2026, 11, 23, tzinfo=UTC)


class Play:
    """A script, the events of its whole period, and questions about both."""

    def __init__(self, script: Script) -> None:
        period = script.spec.period
        self.script = script
        self.traffic = Traffic.joined(simulate(script, period.start + i * HOUR) for i in range(period.length // HOUR))

    def during(self, kind: IncidentKind) -> NDArray[np.bool_]:
        """Return which events fall into the span of the one incident of this kind, whatever their slice."""
        (incident,) = self.script.of_kind(kind)
        span = self.script.span(incident)
        return (self.traffic.event_us >= microseconds(span.start)) & (self.traffic.event_us < microseconds(span.end))


@pytest.fixture(scope="session")
def script() -> Script:
    return default_script(DemoSpec(END))


@pytest.fixture(scope="session")
def play(script: Script) -> Play:
    return Play(script)


@pytest.fixture(scope="session")
def healthy(script: Script) -> Play:
    return Play(healthy_script(script.spec))


@pytest.fixture
def small() -> Script:
    return default_script(DemoSpec(END, events_per_day=20_000))
