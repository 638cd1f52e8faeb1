"""Tables show the worst first, and nothing that a log holds can break them."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calslo_dagster.reporting.tables import (
    bullets,
    markdown,
    measurements_markdown,
    moment,
    percent,
    place,
    worst_first,
)
from calslo_dagster.slo.model import Objective, Verdict
from calslo_dagster.slo.registry import Registry
from calslo_dagster_tests.slo.samples import START, a_measurement, an_slo

CLAMPED = an_slo(name="clamped", title="Share of clamped scores", objective=Objective(at_most=0.1), unit="share")
COVERED = an_slo(name="covered", title="Labelled share", objective=Objective(at_least=0.8), unit="share")
SLOS = Registry([CLAMPED, COVERED])


def test_breaches_come_first_and_the_furthest_past_its_limit_leads() -> None:
    rows = worst_first(
        [
            a_measurement(Verdict.MEETING, slo="clamped"),
            a_measurement(Verdict.UNKNOWN, slo="clamped", value=None),
            a_measurement(Verdict.BREACHED, slo="clamped", value=0.12, threshold=0.1),
            a_measurement(Verdict.WARNING, slo="clamped"),
            a_measurement(Verdict.BREACHED, slo="covered", value=0.2, threshold=0.8),
            a_measurement(Verdict.ERROR, slo="clamped", value=None),
        ],
        SLOS,
    )

    assert [row.verdict for row in rows] == ["breached", "breached", "error", "warning", "unknown", "meeting"]
    assert [row.slo for row in rows[:2]] == ["covered", "clamped"]


def test_a_row_reads_with_its_unit_limit_and_interval() -> None:
    row = a_measurement(Verdict.BREACHED, slo="clamped", value=0.123, threshold=0.1, low=0.11, high=0.14)

    (shown,) = worst_first([row], SLOS)

    assert (shown.title, shown.value, shown.limit) == ("Share of clamped scores", "12.3 %", "at most 10 %")
    assert shown.interval == "11 % to 14 %"
    assert shown.excess == pytest.approx(0.23)


def test_what_is_not_known_is_a_dash() -> None:
    row = a_measurement(Verdict.UNKNOWN, value=None, threshold=None, low=None, high=0.5)

    (shown,) = worst_first([row], SLOS)

    assert (shown.value, shown.limit, shown.interval) == ("-", "-", "- to 0.5")


def test_a_measurement_of_an_slo_that_is_gone_is_still_shown() -> None:
    (shown,) = worst_first([a_measurement(Verdict.BREACHED, slo="gone", value=2.0, threshold=1.0)], SLOS)

    assert (shown.title, shown.value, shown.limit, shown.excess) == ("gone", "2", "at most 1", 1.0)


def test_the_markdown_has_one_line_per_row_and_says_how_many_are_left_out() -> None:
    rows = worst_first([a_measurement(Verdict.MEETING, slice=f"intent={i}") for i in range(60)], SLOS)

    text = measurements_markdown(rows, limit=50)

    assert text.count("\n| ") == 51
    assert text.endswith("10 more rows, none worse than these.\n")
    assert measurements_markdown(rows[:1]).count("\n") == 3


def test_models_are_named_where_there_are_some() -> None:
    assert place("intent=a", "churn") == "intent=a (churn)"
    assert place("intent=a", "*") == "intent=a"
    assert place("*", "") == "*"


@given(st.lists(st.lists(st.text(max_size=20), min_size=2, max_size=2), max_size=5))
def test_whatever_a_cell_holds_the_table_keeps_its_shape(rows: list[list[str]]) -> None:
    lines = markdown(["a", "b"], rows).splitlines()

    assert len(lines) == len(rows) + 2
    for line in lines:
        assert line.replace("\\\\", "").replace("\\|", "").count("|") == 3


def test_markup_in_a_slice_value_stays_text() -> None:
    text = markdown(["slice"], [["intent=<img src=x>![a](http://b)|*"]])

    assert "\\<img src=x\\>!\\[a\\](http://b)\\|\\*" in text


def test_shares_and_moments_are_short() -> None:
    assert (percent(0.99912), percent(None), percent(1.0)) == ("99.912 %", "-", "100 %")
    assert (moment(START + timedelta(seconds=59)), moment(None)) == ("2026-03-02 00:00", "-")


def test_the_lines_of_a_list_stay_text_whatever_a_slice_is_called() -> None:
    assert bullets(["one", "intent=[x](http://y)"]) == "- one\n- intent=\\[x\\](http://y)\n"
