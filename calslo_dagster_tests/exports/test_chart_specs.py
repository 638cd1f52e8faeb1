"""Charts draw what they are of: every bar has a width, every bin that is off is a triangle."""

import re
from datetime import date

from calslo_dagster.exports.chart_specs import budget_spec, off_bins, reliability_spec, trend_spec
from calslo_dagster.exports.charts import drawn
from calslo_dagster.reporting.budget_course import budget_course
from calslo_dagster.slo.calibration_table import CalibrationBin
from calslo_dagster.slo.slice_trends import Quantity, SliceTrend
from calslo_dagster.slo.windows import DAY
from calslo_dagster.stats.intervals import clopper_pearson
from calslo_dagster.stats.trend import Direction


def bins(*gaps: float) -> list[CalibrationBin]:
    """Return bins of 1,000 events, the observed rate so far above the mean score."""
    found = []
    for n, gap in enumerate(gaps):
        score = (n + 0.5) / len(gaps)
        rate = min(1.0, max(0.0, score + gap))
        low, high = clopper_pearson(rate * 1_000, 1_000)
        found.append(CalibrationBin(n, n / len(gaps), (n + 1) / len(gaps), 1_000, score, rate, low, high, 1_000.0))
    return found


def test_bins_are_off_where_all_together_they_are_beyond_chance() -> None:
    assert off_bins(bins(*[0.0] * 15)) == 0
    # Beyond its own interval of 95 %, and within what one of fifteen may show.
    assert [bins(*[0.0] * 7, 0.033, *[0.0] * 7)[7].is_consistent, off_bins(bins(*[0.0] * 7, 0.033, *[0.0] * 7))] == [
        False,
        0,
    ]
    assert off_bins(bins(*[0.0] * 7, 0.2, *[0.0] * 7)) == 1


def test_the_diagram_marks_each_bin_once() -> None:
    svg = drawn(reliability_spec(bins(0.0, 0.2, 0.0, 0.0, -0.2)))

    assert len(re.findall(r'transform="translate\([^"]+\)"[^>]*d="M[\d.]+,0A', svg)) == 3
    assert len(re.findall(r'd="M0,-[\d.]+L', svg)) == 2


def test_every_bar_of_the_histogram_has_a_width() -> None:
    svg = drawn(reliability_spec(bins(0.0, 0.0, 0.0)))
    bars = re.findall(r'd="M[\d.]+,[\d.]+h([\d.]+)v', svg)

    assert len([width for width in bars if float(width) > 0]) >= 3


def test_a_bin_without_labels_is_left_out() -> None:
    empty = CalibrationBin(0, 0.0, 0.1, 0)

    assert reliability_spec([empty])["data"]["values"] == []
    assert drawn(reliability_spec([empty])).startswith("<svg")


def test_the_budget_is_drawn_with_where_it_leads() -> None:
    day = date(2026, 3, 1)
    spec = budget_spec(budget_course([(day + n * DAY, 1) for n in range(40)], 30, 28))

    assert len(spec["layer"][1]["data"]["values"]) == 28
    assert drawn(spec).startswith("<svg")


def test_a_trend_is_drawn_with_its_limits() -> None:
    ahead = [[0.1 * n for n in range(30)] for _ in range(3)]
    row = SliceTrend(
        *("ece_bound", date(2026, 3, 1), "*", Quantity.SHIFT, 20, Direction.DEGRADING, 0.9, 0.9, 0.01, 0.001, 10.0),
        *(None, 0.5, 0.4, 0.6, ahead, None, 0, "it rises"),
    )

    spec = trend_spec(row)

    assert spec["layer"][2]["data"]["values"] == [{"limit": 0.5}]
    assert drawn(spec).startswith("<svg")
