"""The list of breaches shows what is open now before what is over."""

from calslo_dagster.reporting.breaches import breach_rows, breaches_markdown
from calslo_dagster.slo.breach import BreachState, fold
from calslo_dagster.slo.windows import STEP
from calslo_dagster_tests.slo.samples import START, a_track, an_slo, outcomes

SLO = an_slo(title="The sample", unit="share")


def test_open_breaches_come_first_and_the_latest_of_the_closed_next() -> None:
    episodes = fold(a_track(), BreachState(), outcomes("bmmbbmmmb"))[1]

    rows = breach_rows(episodes, [SLO], START + 9 * STEP)

    assert [row.state for row in rows] == ["open", "closed", "closed"]
    assert [row.onset for row in rows] == [START + 8 * STEP, START + 3 * STEP, START]
    assert [row.lasted for row in rows] == [STEP, 2 * STEP, STEP]
    assert [row.windows for row in rows] == [1, 2, 1]


def test_a_row_reads_with_title_and_unit() -> None:
    (row,) = breach_rows(fold(a_track(), BreachState(), outcomes("B"))[1], [SLO], START + STEP)

    assert (row.title, row.peak, row.state) == ("The sample", "0 %", "open (provisional)")


def test_a_breach_of_an_slo_that_is_gone_is_still_shown() -> None:
    (row,) = breach_rows(fold(a_track(), BreachState(), outcomes("b"))[1], [], START + STEP)

    assert row.title == "sample"


def test_the_markdown_says_when_and_how_long() -> None:
    rows = breach_rows(fold(a_track(), BreachState(), outcomes("bbmm"))[1], [SLO], START + 4 * STEP)

    text = breaches_markdown(rows)

    assert "| sample | \\* | closed | 2026-03-02 00:00 | 2026-03-02 00:30 | 30 min | 100 % |" in text


def test_no_breaches_is_a_sentence() -> None:
    assert breaches_markdown([]) == "No breaches.\n"
