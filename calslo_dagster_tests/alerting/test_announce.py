"""Each breach start and end is announced once, whatever order we learn of them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from calslo_dagster.alerting.announce import Breach, Occasion, due, key_of, retractions
from calslo_dagster.alerting.message import text

ONSET = datetime(2026, 3, 2, 10, tzinfo=UTC)
OPEN = Breach("b1", "ece_bound", "intent=buy", "ranker", ONSET, None, 0.05, 0.015, "0.05 is above 0.015 (n = 9,000)")
CLOSED = replace(OPEN, recovered_at=ONSET + timedelta(hours=3, minutes=15))


def test_an_open_breach_is_announced_once() -> None:
    [first] = due([OPEN], set())

    assert first.occasion is Occasion.STARTED
    assert due([OPEN], {first.key}) == []


def test_the_end_follows_the_start() -> None:
    started = key_of("b1", Occasion.STARTED)

    assert [a.occasion for a in due([CLOSED], {started})] == [Occasion.ENDED]


def test_a_breach_that_came_and_went_between_looks_is_announced_whole() -> None:
    assert [a.occasion for a in due([CLOSED], set())] == [Occasion.STARTED, Occasion.ENDED]


def test_older_breaches_are_announced_first() -> None:
    older = replace(OPEN, id="b0", onset=ONSET - timedelta(hours=1))

    assert [a.breach.id for a in due([OPEN, older], set())] == ["b0", "b1"]


def test_a_breach_taken_back_by_late_data_is_retracted_once() -> None:
    [retraction] = retractions([OPEN], existing=set(), announced={key_of("b1", Occasion.STARTED)})

    assert retraction.occasion is Occasion.RETRACTED
    assert retractions([OPEN], existing=set(), announced={retraction.key}) == []


def test_a_standing_or_already_ended_breach_is_not_retracted() -> None:
    assert retractions([OPEN], existing={"b1"}, announced=set()) == []
    assert retractions([OPEN], existing=set(), announced={key_of("b1", Occasion.ENDED)}) == []


def test_the_words_say_what_where_since_when_and_how_bad() -> None:
    [started] = due([OPEN], set())
    [ended] = due([CLOSED], {started.key})

    assert text(started) == (
        "Breach of ece_bound for intent=buy (ranker) since 2026-03-02 10:00 UTC: 0.05 is above 0.015 (n = 9,000)"
    )
    assert "ended 2026-03-02 13:15 UTC after 3 h 15 min; peak 0.05 against 0.015" in text(ended)
