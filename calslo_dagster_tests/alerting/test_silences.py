"""Silences hold when and for what somebody said, never longer, and say so in words."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from calslo_dagster.alerting.matchers import Matcher
from calslo_dagster.alerting.model import Severity
from calslo_dagster.alerting.silences import (
    Silence,
    SilenceError,
    SilenceKind,
    Span,
    active_span,
    checked,
    covering,
    described,
    flaw,
    next_span,
    spans,
)

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)
LABELS = {"slo": "ece_bound", "slice": "*"}


def silence(**changes: Any) -> Silence:
    """Return a silence of `ece_bound` from now on for two hours, unless told otherwise."""
    given: dict[str, Any] = {
        "id": "s1",
        "matchers": (Matcher.parse("slo=ece_bound"),),
        "starts_at": NOW,
        "ends_at": NOW + 2 * HOUR,
        "reason": "relabelling",
        "author": "ana",
        "created_at": NOW,
    }
    return Silence(**{**given, **changes})


def weekly(**changes: Any) -> Silence:
    """Return a window on Sundays from 01:00 to 05:00 in Berlin without end; NOW is a Monday."""
    given: dict[str, Any] = {
        "kind": SilenceKind.MAINTENANCE,
        "starts_at": datetime(2026, 3, 2, 1, tzinfo=ZoneInfo("Europe/Berlin")),
        "ends_at": None,
        "zone": "Europe/Berlin",
        "rrule": "FREQ=WEEKLY;BYDAY=SU",
        "duration": 4 * HOUR,
    }
    return silence(**{**given, **changes})


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_a_silence_holds_from_its_start_up_to_its_end() -> None:
    one = silence()
    whole = Span(NOW, NOW + 2 * HOUR)

    assert active_span(one, NOW - timedelta.resolution) is None
    assert active_span(one, NOW) == whole
    assert active_span(one, whole.end - timedelta.resolution) == whole
    assert active_span(one, whole.end) is None


def test_an_expired_silence_holds_no_longer() -> None:
    one = silence(expired_at=NOW + HOUR, expired_by="ben")

    assert active_span(one, NOW) == Span(NOW, NOW + HOUR)
    assert active_span(one, NOW + HOUR) is None
    assert next_span(replace(weekly(), expired_at=NOW), NOW) is None
    assert spans(silence(expired_at=NOW), NOW - DAY, NOW + DAY) == []


def test_the_next_span_begins_then_or_later() -> None:
    assert next_span(silence(), NOW - 9 * DAY) == Span(NOW, NOW + 2 * HOUR)
    assert next_span(silence(), NOW) == Span(NOW, NOW + 2 * HOUR)
    assert next_span(silence(), NOW + timedelta.resolution) is None
    assert next_span(weekly(), NOW) == Span(utc("2026-03-08T00:00"), utc("2026-03-08T04:00"))
    assert next_span(weekly(), utc("2026-03-08T00:01")) == Span(utc("2026-03-15T00:00"), utc("2026-03-15T04:00"))


def test_the_spans_of_a_stretch_are_those_that_touch_it_whole_and_in_order() -> None:
    month = spans(weekly(), NOW, NOW + 30 * DAY)

    assert [span.start for span in month] == [
        utc("2026-03-08T00:00"),
        utc("2026-03-15T00:00"),
        utc("2026-03-22T00:00"),
        utc("2026-03-29T00:00"),
    ]
    assert [span.end - span.start for span in month] == [4 * HOUR, 4 * HOUR, 4 * HOUR, 3 * HOUR]
    assert spans(weekly(), utc("2026-03-08T03:59"), utc("2026-03-08T04:00")) == month[:1]
    assert spans(weekly(), utc("2026-03-08T04:00"), utc("2026-03-09T04:00")) == []
    assert spans(weekly(), utc("2026-03-01T00:00"), utc("2026-03-08T00:00")) == []


def test_nothing_holds_before_the_start_or_after_the_end_of_a_recurring_window() -> None:
    short = weekly(starts_at=utc("2026-03-08T02:00"), ends_at=utc("2026-03-15T01:30"), rrule="FREQ=DAILY;BYHOUR=1")

    first, *_, last = spans(short, NOW, NOW + 30 * DAY)
    assert first == Span(utc("2026-03-09T00:00"), utc("2026-03-09T04:00"))
    assert last == Span(utc("2026-03-15T00:00"), utc("2026-03-15T01:30"))


@pytest.mark.parametrize(
    ("rule", "days"),
    [
        ("FREQ=WEEKLY;BYDAY=SU;COUNT=2", [8, 15]),
        ("FREQ=WEEKLY;BYDAY=SU;UNTIL=20260315T000000Z", [8, 15]),
        ("FREQ=WEEKLY;BYDAY=SU;UNTIL=20260314T235959Z", [8]),
        ("FREQ=WEEKLY;BYDAY=SU;UNTIL=20260315T010000", [8, 15]),
        ("FREQ=WEEKLY;BYDAY=SU;UNTIL=20260315T005959", [8]),
    ],
)
def test_a_rule_ends_by_its_count_or_its_time_in_utc_or_on_the_wall(rule: str, days: list[int]) -> None:
    found = spans(weekly(rrule=rule), NOW, NOW + 30 * DAY)

    assert [span.start.day for span in found] == days
    assert next_span(weekly(rrule=rule), NOW + 30 * DAY) is None


def test_an_end_in_utc_tells_the_two_passes_of_a_repeated_hour_apart() -> None:
    """02:45 in Berlin comes first at 00:45 UTC, before 01:30 UTC when the clock shows 02:30 for the second time."""
    nightly = {"starts_at": utc("2026-10-20T00:45"), "created_at": utc("2026-10-20T00:00"), "duration": HOUR}
    one = weekly(**nightly, rrule="FREQ=DAILY;UNTIL=20261025T013000Z")

    assert spans(one, utc("2026-10-24T12:00"), utc("2026-10-26T12:00"))[-1].start == utc("2026-10-25T00:45")


def test_a_rule_that_never_comes_true_is_no_endless_search() -> None:
    never = weekly(rrule="FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30")

    assert active_span(never, NOW) is None
    assert next_span(never, NOW) is None
    assert spans(never, NOW, NOW + 365 * DAY) == []


def test_of_the_silences_that_cover_an_alert_the_one_that_ends_last_is_named() -> None:
    short, long = silence(id="short"), silence(id="long", ends_at=NOW + DAY)
    other = silence(id="other", matchers=(Matcher.parse("slo=drift"),), ends_at=NOW + 9 * DAY)
    past = silence(id="past", starts_at=NOW - DAY, ends_at=NOW)
    early = silence(id="early", ends_at=NOW + 9 * DAY, expired_at=NOW)

    assert covering(LABELS, Severity.CRITICAL, [short, long, other, past, early], NOW) == long
    assert covering(LABELS, Severity.CRITICAL, [other, past, early], NOW) is None
    assert covering(LABELS, Severity.CRITICAL, [], NOW) is None


def test_an_emergency_passes_unless_the_silence_names_it() -> None:
    deaf = silence(id="deaf", covers_emergency=True)

    assert covering(LABELS, Severity.EMERGENCY, [silence()], NOW) is None
    assert covering(LABELS, Severity.EMERGENCY, [silence(), deaf], NOW) == deaf
    assert covering(LABELS, Severity.CRITICAL, [silence()], NOW) == silence()


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (weekly(rrule="FREQ=DAILY", zone="Mars/Olympus", duration=DAY), "'Mars/Olympus' is not a time zone"),
        (weekly(rrule="FREQ=DAILY;BYMOON=1", duration=DAY), "BYMOON is not known here"),
    ],
)
def test_a_silence_that_cannot_be_worked_out_hides_nothing_and_stops_no_other(broken: Silence, said: str) -> None:
    assert said in flaw(broken)
    assert covering(LABELS, Severity.CRITICAL, [broken], NOW) is None
    assert covering(LABELS, Severity.CRITICAL, [broken, silence()], NOW) == silence()
    assert "which cannot be worked out" in described(broken)
    assert said in described(broken)
    assert flaw(weekly()) == flaw(silence(zone="Mars/Olympus")) == ""


def test_an_instant_counts_whatever_zone_it_is_written_in() -> None:
    berlin = ZoneInfo("Europe/Berlin")

    assert active_span(silence(), NOW.astimezone(berlin)) == active_span(silence(), NOW)
    assert silence(starts_at=NOW.astimezone(berlin)) == silence()
    assert silence(starts_at=NOW.astimezone(berlin)).starts_at.tzinfo is UTC


@pytest.mark.parametrize("name", ["starts_at", "ends_at", "created_at", "expired_at"])
def test_a_time_without_zone_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=rf"{name} 2026-03-02T10:00:00 has no time zone; write 2026-03-02T10:00:00Z"):
        silence(**{name: NOW.replace(tzinfo=None)})


def test_a_question_without_zone_is_refused() -> None:
    naive = NOW.replace(tzinfo=None)
    for ask in (active_span, next_span):
        with pytest.raises(ValueError, match="has no time zone"):
            ask(silence(), naive)
    with pytest.raises(ValueError, match="end 2026-03-02T10:00:00 has no time zone"):
        spans(silence(), NOW, naive)


@pytest.mark.parametrize(
    "one", [silence(), weekly(ticket="OPS-1", covers_emergency=True, expired_at=NOW, expired_by="b")]
)
def test_a_silence_survives_json(one: Silence) -> None:
    data = json.loads(json.dumps(one.to_json()))

    assert Silence.from_json({**data, "of_a_newer_version": 1}) == one
    assert data["matchers"] == ['slo="ece_bound"']


def test_json_without_matchers_is_no_silence_of_everything() -> None:
    data = silence().to_json()
    del data["matchers"]

    with pytest.raises(KeyError):
        Silence.from_json(data)


def test_a_silence_is_described_in_utc_and_in_its_zone() -> None:
    one = silence(zone="Asia/Kathmandu", ticket="OPS-1", reason="new\nlabels", covers_emergency=True)

    assert described(one) == (
        'silence s1 of slo="ece_bound", emergencies too: 2026-03-02 10:00 to 2026-03-02 12:00 UTC '
        "(2026-03-02 15:45 to 2026-03-02 17:45 in Asia/Kathmandu); ana: new labels (OPS-1)"
    )
    assert described(silence(matchers=(), expired_at=NOW + HOUR / 120, expired_by="ben")) == (
        "silence s1 of all: 2026-03-02 10:00 to 2026-03-02 12:00 UTC; ana: relabelling; "
        "expired 2026-03-02 10:00:30 UTC by ben"
    )
    assert "UTC; ana" in described(silence(zone="Mars/Olympus"))


def test_a_recurring_window_is_described_with_its_rule_and_what_comes_next() -> None:
    assert described(weekly(), utc("2026-03-29T12:00")) == (
        'maintenance s1 of slo="ece_bound": FREQ=WEEKLY;BYDAY=SU for 4h, next 2026-04-04 23:00 to 2026-04-05 03:00 UTC '
        "(2026-04-05 01:00 to 2026-04-05 05:00 in Europe/Berlin); ana: relabelling"
    )
    assert "next 2026-03-08 00:00 to" in described(weekly())
    ending = weekly(duration=90 * HOUR / 60, ends_at=utc("2026-03-20T00:00"))
    assert "for 90m, until 2026-03-20 00:00 UTC, never again;" in described(ending, utc("2026-03-16T00:00"))


def mistakes(draft: Silence, *matchers: str) -> list[str]:
    with pytest.raises(SilenceError) as caught:
        checked(draft, matchers or ("slo=ece_bound",))
    return str(caught.value).splitlines()


def test_a_draft_without_mistakes_takes_its_matchers_from_text() -> None:
    draft = silence(matchers=())

    assert checked(draft, ["slo=ece_bound"]) == silence()
    assert checked(weekly(matchers=()), [" slo = ece_bound "]) == weekly()
    assert checked(weekly(rrule="FREQ=DAILY", duration=DAY), ["slo=ece_bound"]).duration == DAY


def test_everything_has_to_be_said() -> None:
    said = "leaves no alert out; name some, such as slo=ece_bound, or add all if you mean that"

    assert mistakes(silence(), "slo!=x") == [f'slo!="x" {said}']
    with pytest.raises(SilenceError, match="no matcher leaves no alert out"):
        checked(silence(), [])
    assert checked(silence(), ["all"]).matchers == ()
    assert checked(silence(), ["slo!=x", "all"]).matchers == (Matcher.parse("slo!=x"),)


@pytest.mark.parametrize(
    ("draft", "said"),
    [
        (
            silence(ends_at=NOW),
            "it ends at 2026-03-02T10:00:00+00:00, not after its start at 2026-03-02T10:00:00+00:00",
        ),
        (
            silence(starts_at=NOW - DAY, ends_at=NOW - HOUR),
            "it ended at 2026-03-02T09:00:00+00:00 already; give a later end",
        ),
        (silence(ends_at=None), "it has no end; give one, or a rule by which it recurs"),
        (
            silence(duration=HOUR),
            "a duration is that of one occurrence of a rule; without a rule give an end instead",
        ),
        (silence(reason=" \n"), "the reason is empty; say why, so that whoever wonders at night knows"),
        (silence(author=""), "the author is empty; say who answers for it"),
        (
            silence(zone="europe/berlin"),
            "'europe/berlin' is not a time zone; write an IANA name such as Europe/Berlin or Europe/Dublin",
        ),
        (silence(zone="kolkatta"), "'kolkatta' is not a time zone; write an IANA name such as Asia/Kolkata"),
        (
            silence(zone="/etc/passwd"),
            "'/etc/passwd' is not a time zone; write an IANA name such as UTC or Europe/Berlin",
        ),
        (
            weekly(duration=None),
            "each occurrence of 'FREQ=WEEKLY;BYDAY=SU' needs a duration above 0, such as 4h",
        ),
        (weekly(rrule="FREQ=SECONDLY"), "'FREQ=SECONDLY' repeats SECONDLY; write FREQ= one of MINUTELY, HOURLY"),
        (
            weekly(rrule="FREQ=DAILY", duration=25 * HOUR),
            "occurrences of 25h overlap, as 'FREQ=DAILY' comes again after 24h; shorten them to that",
        ),
        (
            weekly(rrule="FREQ=WEEKLY;BYDAY=FR,SA", duration=36 * HOUR),
            "occurrences of 36h overlap, as 'FREQ=WEEKLY;BYDAY=FR,SA' comes again after 24h",
        ),
        (
            weekly(rrule="FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"),
            "'FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30' never comes true after 2026-03-02T10:00:00+00:00; check its parts",
        ),
        (
            weekly(ends_at=NOW + DAY),
            "never comes true after 2026-03-02T10:00:00+00:00 and before 2026-03-03T10:00:00+00:00",
        ),
    ],
)
def test_each_mistake_is_one_clear_line(draft: Silence, said: str) -> None:
    (line,) = mistakes(draft)

    assert said in line


def test_all_mistakes_are_told_at_once() -> None:
    draft = weekly(zone="nowhere", reason="", author="", rrule="FREQ=X", duration=None)

    assert [line.split()[0:3] for line in mistakes(draft, "slo=~(", "slo")] == [
        ["'slo=~(':", "'('", "is"],
        ["'slo'", "is", "no"],
        ["the", "reason", "is"],
        ["the", "author", "is"],
        ["'nowhere'", "is", "not"],
        ["each", "occurrence", "of"],
        ["'FREQ=X'", "repeats", "X;"],
    ]
