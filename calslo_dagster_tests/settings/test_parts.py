"""Sections refuse values that contradict each other within them."""

from pathlib import Path

import pytest

from calslo_dagster.settings.parts import DemoSection
from calslo_dagster.slo.windows import utc
from calslo_dagster.sources.demo.spec import DemoSpec, latest_monday
from calslo_dagster_tests.settings.files import loaded, mistakes
from calslo_dagster_tests.slo.samples import START


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("clamp: {low: 0.9, high: 0.1}", "clamp: low 0.9 is not below high 0.1; every score would count as clamped"),
        ("clamp: {low: 0.5, high: 0.5}", "every score would count as clamped"),
        ("clamp: {high: 98}", "clamp.high: 98 is not a ratio between 0 and 1; write 0.98 for 98%"),
        ("slices: {columns: [a, A]}", "slices.columns: a is named twice, letter case aside; keep one"),
        ("slices: {columns: [a], views: [[b]]}", "slices: views name b, which slices.columns does not; add it there"),
        ("availability: {periods: [36h]}", "36h is not a whole number of days; write 1d, 7d or 28d"),
        ("availability: {periods: []}", "availability.periods: must not be empty"),
        ("demo: {end: 2026-03-04}", "2026-03-04 is no Monday, and the demo plays in whole ISO weeks; write 2026-03-02"),
        ("evaluation_step: 20m", "20m does not divide a day into quarters of an hour; write one of 15m, 30m, 1h"),
        ("evaluation_step: 5h", "5h does not divide a day"),
        ("evaluation_step: 2d", "2d does not divide a day"),
    ],
)
def test_a_contradiction_within_a_section_is_refused(tmp_path: Path, text: str, told: str) -> None:
    (line,) = mistakes(tmp_path, text)

    assert told in line


@pytest.mark.parametrize("step", ["15m", "30m", "1h", "2h", "3h", "4h", "6h", "8h", "12h", "24h"])
def test_every_step_that_divides_a_day_is_accepted(tmp_path: Path, step: str) -> None:
    assert mistakes(tmp_path, f"evaluation_step: {step}") == []


def test_everything_and_all_columns_together_are_measured_unless_told(tmp_path: Path) -> None:
    assert loaded(tmp_path, "slices: {columns: [b, a]}").slices.measured == ((), ("b", "a"))
    assert loaded(tmp_path, "slices: {columns: []}").slices.measured == ((),)
    assert loaded(tmp_path, "slices: {columns: [b, a], views: [[a, b], [b, a]]}").slices.measured == (("b", "a"),)


def test_the_demo_has_the_same_defaults_everywhere() -> None:
    section, spec = DemoSection(), DemoSpec(end=latest_monday(utc(START)))

    assert (section.seed, section.days, section.events_per_day) == (spec.seed, spec.days, spec.events_per_day)
