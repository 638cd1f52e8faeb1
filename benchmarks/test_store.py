"""Measurements into the state store and out of it."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from benchmarks.logs import DAY
from benchmarks.meter import Meter
from calslo_dagster.slo.model import Measurement, Verdict
from calslo_dagster.slo.windows import STEP
from calslo_dagster.store import measurements
from calslo_dagster.store.migrations import upgrade
from calslo_dagster.store.session import Store, open_store

WINDOWS = 96


@pytest.fixture
def store(scratch: Path) -> Iterator[Store]:
    """Yield an empty state store in SQLite."""
    url = f"sqlite:///{scratch / 'calslo.db'}"
    upgrade(url)
    with open_store(url) as opened:
        yield opened


def rows(slices: int, windows: int) -> list[Measurement]:
    """Return measurements of the first windows of the day."""
    return [
        _measured(f"intent=i{i // 25:02d},language=l{i % 25:02d}", n + 1) for n in range(windows) for i in range(slices)
    ]


def _measured(slice_name: str, window: int) -> Measurement:
    end = DAY + window * STEP
    return Measurement(
        slo="ece_bound",
        slice=slice_name,
        model="ranker",
        window_start=end - timedelta(days=1),
        window_end=end,
        value=0.012,
        threshold=0.015,
        warn_threshold=0.0135,
        low=0.009,
        high=0.017,
        events=2_000,
        labeled=1_300,
        verdict=Verdict.MEETING,
        reason="Calibration error is 0.012 over 2,000 events, within its limits. 15 equal-mass bins, c = 0.7.",
    )


@pytest.mark.parametrize(("slices", "windows"), [(24, WINDOWS), (1_000, 1)], ids=["a day of 24", "a window of 1000"])
def test_replace(meter: Meter, store: Store, slices: int, windows: int) -> None:
    """A partition of measurements replaced in one transaction."""
    found = rows(slices, windows)

    def replaced() -> int:
        with store.write() as session:
            return measurements.replace(session, "ece_bound", found, start=DAY, end=DAY + windows * STEP)

    meter.note(rows=meter(replaced))


def test_read_a_day(meter: Meter, store: Store) -> None:
    """A day of 24 slices read back."""
    with store.write() as session:
        measurements.replace(session, "ece_bound", rows(24, WINDOWS), start=DAY, end=DAY + WINDOWS * STEP)

    def loaded() -> int:
        with store.read() as session:
            return len(measurements.between(session, "ece_bound", start=DAY, end=DAY + WINDOWS * STEP))

    assert meter(loaded) == 24 * WINDOWS
