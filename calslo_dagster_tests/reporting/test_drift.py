"""The drift report tells movement from noise."""

import pytest

from calslo_dagster.reporting.drift import Movement, drift_markdown, drift_rows, movers
from calslo_dagster.stats.drift import Delta
from calslo_dagster.stats.estimate import Estimate
from calslo_dagster_tests.slo.samples import START


def delta(metric: str, change: float | None, low: float | None = None, high: float | None = None) -> Delta:
    found = Estimate(change, low, high, 9_000) if change is not None else Estimate.missing("no labelled events")
    return Delta(metric, Estimate(0.5), Estimate(0.4), found)


@pytest.mark.parametrize(
    ("change", "low", "high", "movement"),
    [
        (0.05, 0.03, 0.07, Movement.PAST),
        (-0.05, -0.07, -0.03, Movement.PAST),
        (0.012, 0.002, 0.022, Movement.MOVED),
        (0.012, -0.002, 0.026, Movement.UNCLEAR),
        (0.005, 0.001, 0.009, Movement.STEADY),
        (0.005, -0.01, 0.02, Movement.UNCLEAR),
        (0.05, None, None, Movement.UNCLEAR),
        (None, None, None, Movement.UNMEASURED),
    ],
)
def test_a_change_is_named_by_what_its_interval_says(
    change: float | None, low: float | None, high: float | None, movement: Movement
) -> None:
    (row,) = drift_rows(START, {"*": [delta("brier", change, low, high)]}, limit=0.01)

    assert row.movement is movement
    assert (row.week, row.slice, row.metric, row.baseline, row.current) == (START, "*", "brier", 0.4, 0.5)


def test_the_largest_certain_movements_come_first() -> None:
    changes = {
        "intent=a": [delta("brier", 0.005, 0.001, 0.009), delta("slope", 0.3, -0.1, 0.7)],
        "intent=b": [delta("brier", 0.04, 0.03, 0.05), delta("log_loss", None)],
        "intent=c": [delta("brier", -0.06, -0.07, -0.05), delta("slope", 0.012, 0.002, 0.022)],
    }

    rows = drift_rows(START, changes, limit=0.01)

    assert [(row.slice, row.metric) for row in rows] == [
        ("intent=c", "brier"),
        ("intent=b", "brier"),
        ("intent=c", "slope"),
        ("intent=a", "slope"),
        ("intent=a", "brier"),
        ("intent=b", "log_loss"),
    ]
    assert len(movers(rows)) == 3


def test_the_markdown_shows_signed_changes() -> None:
    text = drift_markdown(drift_rows(START, {"*": [delta("brier", 0.04, -0.03, 0.05)]}, limit=0.01))

    assert "| brier | 0.4 | 0.5 | +0.04 | -0.03 to +0.05 | 9,000 | unclear |" in text
    assert "| - | - |" in drift_markdown(drift_rows(START, {"*": [delta("brier", None)]}, limit=0.01))
