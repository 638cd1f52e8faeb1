"""Trends in words that need no glossary."""

from dataclasses import replace
from datetime import date

import pytest

from calslo_dagster.reporting.trends import NO_TRENDS, likely, outlook, sentences, trend_lines, trends_markdown
from calslo_dagster.slo.slice_trends import Quantity, SliceTrend
from calslo_dagster.stats.trend import CONDITION, NO_DATE, PAST, Direction

ROW = SliceTrend(
    slo="ece_bound",
    day=date(2026, 12, 1),
    slice="language=de",
    quantity=Quantity.EITHER,
    points=28,
    direction=Direction.DEGRADING,
    probability=0.98,
    p_degrading=0.98,
    per_day=None,
    se=None,
    z=None,
    limit_low=None,
    limit_high=None,
    p7=0.1,
    p30=0.62,
    forecast=[],
    breach_on=date(2026, 12, 14),
    days_needed=0,
    reason=CONDITION,
)
SILENT = replace(ROW, slice="language=fr", direction=Direction.UNKNOWN, p30=None, reason="too little data")


def test_a_dated_trend_is_one_sentence() -> None:
    told = "degrading (98 %), 62 % to breach within 30 days, about 2026-12-14 if the current trend continues"

    assert outlook(ROW) == told
    assert sentences([ROW], 5) == [f"language=de: {told}"]


def test_what_has_no_date_says_why() -> None:
    undated = replace(ROW, breach_on=None, reason=NO_DATE, p30=0.2)

    assert outlook(undated) == "degrading (98 %), 20 % to breach within 30 days, no reliable trend"
    assert outlook(replace(undated, reason=PAST)) == "degrading (98 %), already past the limit"
    assert outlook(SILENT) == "too little data"


@pytest.mark.parametrize(
    ("probability", "text"), [(None, "-"), (0.0, "under 1 %"), (0.5, "50 %"), (0.994, "99 %"), (1.0, "over 99 %")]
)
def test_nothing_is_certain(probability: float | None, text: str) -> None:
    assert likely(probability) == text


def test_slices_that_are_left_out_are_counted() -> None:
    rows = [replace(ROW, slice=f"s{n}", p30=n / 10) for n in range(4)]

    told = sentences([*rows, SILENT, replace(SILENT, slice="z")], 2)

    assert [line.split(":")[0] for line in told[:2]] == ["s3", "s2"]
    assert told[2:] == [
        "2 more slices, none likelier to breach",
        "language=fr: too little data",
        "1 more slices without enough data",
    ]


def test_the_table_has_the_slopes_of_both_quantities() -> None:
    shift = replace(ROW, quantity=Quantity.SHIFT, per_day=0.0123, se=0.002)

    table = trends_markdown([ROW, shift], 5)

    assert "| +0.012 ± 0.002 | - |" in table
    assert "| language=de | degrading | 98 % | 10 % | 62 % | 2026-12-14 |" in table
    assert "1 more slices" in trends_markdown([ROW, replace(ROW, slice="x")], 1)


def test_names_from_the_log_stay_text() -> None:
    assert "\\[x\\]" in trend_lines([replace(ROW, slice="a=[x](http://evil)")], 5)
    assert trend_lines([], 5) == NO_TRENDS
