"""Rows for the tests of the store, plausible unless told otherwise."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from calslo_dagster.slo.model import Measurement, Verdict

DAY = datetime(2026, 3, 2, tzinfo=UTC)
STEP = timedelta(minutes=15)
NEXT_DAY = DAY + timedelta(days=1)


def measurement(window_end: datetime = DAY + STEP, **changes: Any) -> Measurement:
    """Return a measurement of `ece_bound` over everything that meets its limit."""
    row = Measurement(
        slo="ece_bound",
        slice="*",
        model="intent",
        window_start=window_end - timedelta(hours=24),
        window_end=window_end,
        value=0.0123,
        threshold=0.015,
        warn_threshold=0.0135,
        low=0.01,
        high=0.0149,
        events=4_321,
        labeled=4_000,
        verdict=Verdict.MEETING,
        reason="0.0123 is within 0.015",
        watermark=window_end + timedelta(minutes=2),
        definition_hash="d" * 64,
        code_version="0.1.0",
        run_id="run-1",
    )
    return replace(row, **changes)


def day_of_measurements(slices: tuple[str, ...] = ("*", "intent=refund")) -> list[Measurement]:
    """Return the measurements of every window end of `DAY`'s partition."""
    ends = [DAY + STEP * n for n in range(1, 97)]
    return [measurement(end, slice=name) for end in ends for name in slices]
