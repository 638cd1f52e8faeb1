"""Counters begin at zero and never go down, whatever late labels change."""

from datetime import date

from calslo_dagster.exports.counters import Counters
from calslo_dagster.reporting.totals import JudgedDay, Opened, Sent, Totals
from calslo_dagster.slo.availability import Tally

DAY, NEXT = date(2026, 3, 7), date(2026, 3, 8)


def days(*tallies: tuple[date, Tally]) -> Totals:
    return Totals(days=tuple(JudgedDay("ece", day, tally) for day, tally in tallies))


def test_the_first_look_counts_nothing_but_has_every_series() -> None:
    counters = Counters()

    counters.watch(days((DAY, Tally(good=90, bad=10))))

    assert dict(counters.evaluations) == {("ece", name): 0 for name in ("good", "bad", "unknown", "excluded")}
    assert dict(counters.breaches) == {("ece",): 0}


def test_what_is_added_is_counted_and_what_is_corrected_is_not_taken_back() -> None:
    counters = Counters()
    for tally in (Tally(good=90, bad=10), Tally(good=93, bad=11), Tally(good=95, bad=9), Tally(good=95, bad=12)):
        counters.watch(days((DAY, tally)))

    assert counters.evaluations["ece", "bad"] == 2
    assert counters.evaluations["ece", "good"] == 5


def test_a_day_that_begins_counts_from_zero_and_one_that_is_over_is_forgotten() -> None:
    counters = Counters()
    counters.watch(days((DAY, Tally(good=90))))
    counters.watch(days((DAY, Tally(good=96)), (NEXT, Tally(good=2))))
    counters.watch(days((NEXT, Tally(good=3))))

    assert counters.evaluations["ece", "good"] == 9


def test_breaches_and_messages_count_once_each() -> None:
    counters = Counters()
    old, new = Opened("b1", "ece"), Opened("b2", "ece")
    counters.watch(Totals(breaches=(old,), messages=(Sent(1, "slack", "sent"),)))
    for _ in range(2):
        counters.watch(Totals(breaches=(old, new), messages=(Sent(1, "slack", "sent"), Sent(2, "slack", "dead"))))

    assert dict(counters.breaches) == {("ece",): 1}
    assert dict(counters.messages) == {("slack", "sent"): 0, ("slack", "dead"): 1}
