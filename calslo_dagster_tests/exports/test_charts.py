"""Charts: the same bytes each time, in the colours of the theme, with words beside them."""

import re
from typing import Final

from calslo_dagster.exports.charts import described, drawn, series_spec, themed
from calslo_dagster.reporting.points import Course, Point
from calslo_dagster.slo.model import Operator, Verdict
from calslo_dagster_tests.logs import HOUR, START

VALUES: Final = (0.01, 0.02, None, 0.05, 0.01)


def course() -> Course:
    points = tuple(
        Point(
            at=START + n * HOUR,
            value=value,
            low=None if value is None else value - 0.005,
            high=None if value is None else value + 0.005,
            threshold=0.03,
            warn_threshold=None,
            events=100,
            verdict=Verdict.UNKNOWN if value is None else Verdict.BREACHED if value > 0.03 else Verdict.MEETING,
            is_final=True,
        )
        for n, value in enumerate(VALUES)
    )
    return Course("ece_bound", "*", "ratio", Operator.AT_MOST, points, windows=5)


def test_a_course_is_drawn_in_variables_of_the_theme_and_described() -> None:
    spec = series_spec(course(), [(START + 3 * HOUR, START + 4 * HOUR)])
    svg = themed(drawn(spec), described(course()))

    assert svg == themed(drawn(spec), described(course()))
    assert not re.findall(r'style="|#[0-9a-f]{6}|href="http', svg.replace("http://www.w3.org", ""))
    assert {"var(--band)", "var(--breached)", "var(--zone)"} <= set(re.findall(r"var\(--\w+\)", svg))
    assert "<title>2026-03-07 00:00 to 2026-03-07 04:00 UTC: between 0.01 and 0.05, last 0.01; 1 of 5 windows" in svg


def test_no_line_crosses_what_is_not_known() -> None:
    segments = [row["segment"] for row in series_spec(course(), [])["data"]["values"]]

    assert segments[0] == segments[1] != segments[3] == segments[4]


def test_a_course_without_a_value_is_told_as_such() -> None:
    empty = Course("ece_bound", "*", "ratio", Operator.AT_MOST, (), windows=0)

    assert described(empty) == "No value is known."
