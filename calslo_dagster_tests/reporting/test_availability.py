"""The availability table names what is proven and what is not."""

from datetime import timedelta

from calslo_dagster.reporting.availability import Observed, availability_markdown, availability_rows, mean_time
from calslo_dagster.slo.availability import Promise, Tally
from calslo_dagster.slo.reliability import Exposure, MeanTime

HOUR = timedelta(hours=1)


def observed(name: str, tally: Tally, exposure: Exposure | None = None) -> Observed:
    return Observed("ece_bound", name, "", 0.99, tally, exposure or Exposure(up=HOUR, ends_up=1))


def test_broken_promises_come_first_then_undetermined_ones() -> None:
    rows = availability_rows(
        [
            observed("intent=a", Tally(good=100)),
            observed("intent=b", Tally(good=50, bad=50)),
            observed("intent=c", Tally(good=50, unknown=50)),
            observed("intent=d", Tally(good=90, bad=10)),
        ]
    )

    assert [row.promise for row in rows] == [
        Promise.BROKEN,
        Promise.BROKEN,
        Promise.UNDETERMINED,
        Promise.KEPT,
    ]
    assert [row.slice for row in rows] == ["intent=b", "intent=d", "intent=c", "intent=a"]


def test_the_markdown_shows_bounds_coverage_and_the_budget_in_windows() -> None:
    rows = availability_rows([observed("*", Tally(good=980, bad=5, unknown=15))])

    text = availability_markdown(rows)

    assert "| 99 % | undetermined | 98 % to 99.5 % | 98.5 % | 5 of 10 windows |" in text


def test_proven_availability_is_one_number() -> None:
    assert "| kept | 99.5 % | 100 % |" in availability_markdown(availability_rows([observed("*", Tally(199, 1))]))


def test_mean_times_show_their_interval_or_their_bound() -> None:
    assert mean_time(MeanTime(2 * HOUR, HOUR, 5 * HOUR, is_censored=False)) == "2 h (1 h to 5 h)"
    assert mean_time(MeanTime(None, 30 * HOUR, None, is_censored=True)) == "over 1 d 6 h"
    assert mean_time(MeanTime(None, None, None, is_censored=False)) == "-"
