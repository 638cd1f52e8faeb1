"""Rules come true when RFC 5545 says so, at a bounded cost; local times become the right instants."""

from datetime import UTC, datetime, timedelta
from itertools import islice
from time import perf_counter
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given, settings
from hypothesis import strategies as st

from calslo_dagster.alerting.recurrence import instant, recurrence, wall

BEGIN = datetime(2026, 1, 1, 1, 30)  # noqa: DTZ001 - a local time
FAR = datetime(2031, 1, 1)  # noqa: DTZ001 - a local time
WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")

Drawn = dict[str, str]


def some(values: st.SearchStrategy[object], *, most: int = 4) -> st.SearchStrategy[str]:
    lists = st.lists(values, min_size=1, max_size=most, unique=True)
    return lists.map(lambda items: ",".join(map(str, items)))


HOURS, MINUTES = some(st.integers(0, 23)), some(st.integers(0, 59))
MONTHS = some(st.integers(1, 12))
MONTH_DAYS = some(st.integers(1, 28) | st.integers(-28, -1))
PLAIN = some(st.sampled_from(WEEKDAYS))


def numbered(most: int) -> st.SearchStrategy[str]:
    numbers = st.integers(1, most) | st.integers(-most, -1)
    return some(st.tuples(numbers, st.sampled_from(WEEKDAYS)).map(lambda pair: f"{pair[0]}{pair[1]}"))


def parts(required: dict[str, st.SearchStrategy[str]], **optional: st.SearchStrategy[str]) -> st.SearchStrategy[Drawn]:
    common = {"INTERVAL": st.integers(1, 6).map(str), "COUNT": st.integers(1, 60).map(str), "BYMINUTE": MINUTES}
    return st.fixed_dictionaries(required, optional={**common, "BYHOUR": HOURS, **optional})


def freq(name: str) -> dict[str, st.SearchStrategy[str]]:
    return {"FREQ": st.just(name)}


POSITIONS = some(st.sampled_from([1, 2, 3, -1, -2, -3]))
RULES = st.one_of(
    parts(freq("YEARLY"), BYMONTH=MONTHS, BYMONTHDAY=MONTH_DAYS),
    parts(freq("YEARLY"), BYDAY=numbered(52)),
    parts({**freq("YEARLY"), "BYMONTH": MONTHS}, BYDAY=numbered(4) | PLAIN),
    parts(freq("MONTHLY"), BYMONTHDAY=MONTH_DAYS, BYMONTH=MONTHS),
    parts(freq("MONTHLY"), BYDAY=numbered(4) | PLAIN, BYMONTH=MONTHS),
    parts({**freq("MONTHLY"), "BYDAY": PLAIN, "BYSETPOS": POSITIONS}, BYMONTH=MONTHS),
    parts(freq("WEEKLY"), BYDAY=PLAIN, BYMONTH=MONTHS, WKST=st.sampled_from(WEEKDAYS)),
    parts(freq("DAILY"), BYDAY=PLAIN, BYMONTH=MONTHS),
    parts(freq("DAILY"), BYMONTHDAY=MONTH_DAYS),
    parts(freq("HOURLY"), BYDAY=PLAIN, BYMONTHDAY=MONTH_DAYS),
    parts(freq("MINUTELY"), BYDAY=PLAIN),
)


def starts(text: str, low: datetime = BEGIN, high: datetime = FAR, most: int = 50) -> list[datetime]:
    return list(islice(recurrence(text).starts(BEGIN, low, high), most))


@given(RULES, st.integers(0, 40_000), st.integers(0, 200))
@settings(max_examples=1_000, deadline=None)
def test_rules_come_true_as_dateutil_says(rule: Drawn, hours: int, span_hours: int) -> None:
    """Both see the same; dateutil walks from the beginning, ours looks only at the stretch."""
    # Intervals that never meet the other parts would keep dateutil busy up to the year 9999; 7 never leaves a weekday.
    if rule["FREQ"] in ("MONTHLY", "YEARLY", "DAILY"):
        rule["INTERVAL"] = "1"
    hours %= {"HOURLY": 2_000, "MINUTELY": 100}.get(rule["FREQ"], 40_000)
    text = ";".join(f"{name}={value}" for name, value in rule.items())
    low = BEGIN + timedelta(hours=hours)
    high = low + timedelta(hours=span_hours)
    try:
        expected = rrulestr(text, dtstart=BEGIN).between(low, high, inc=True)
    except ValueError:
        # So it says where hours and minutes never fall together with the interval.
        expected = []

    assert list(recurrence(text).starts(BEGIN, low, high)) == expected


@pytest.mark.parametrize("interval", [2, 3, 5, 12])
@pytest.mark.parametrize("rule", ["DAILY", "WEEKLY;BYDAY=MO,SU;WKST=SU", "MONTHLY;BYDAY=-1SU", "YEARLY;BYDAY=20MO"])
def test_an_interval_counts_from_the_beginning(rule: str, interval: int) -> None:
    text = f"FREQ={rule};INTERVAL={interval}"
    later, far = datetime(2029, 5, 5), datetime(2055, 1, 1)  # noqa: DTZ001 - local times
    found = list(recurrence(text).starts(BEGIN, later, far))

    assert found == rrulestr(text, dtstart=BEGIN).between(later, far, inc=True)
    assert found


def test_the_beginning_is_an_occurrence_only_if_the_rule_says_so() -> None:
    """2026-01-01 is a Thursday."""
    assert starts("FREQ=WEEKLY;BYDAY=SU", most=1) == [datetime(2026, 1, 4, 1, 30)]  # noqa: DTZ001
    assert starts("FREQ=WEEKLY", most=1) == [BEGIN]
    assert starts("FREQ=DAILY;BYHOUR=1;BYMINUTE=0", most=1) == [datetime(2026, 1, 2, 1, 0)]  # noqa: DTZ001


def test_positions_in_a_week_count_from_its_first_day() -> None:
    """A rule that begins in the middle of a week has no first of that week, where dateutil would take the next day."""
    found = starts("FREQ=WEEKLY;BYDAY=MO,TH,SA;BYSETPOS=1", most=2)

    assert found == [datetime(2026, 1, 5, 1, 30), datetime(2026, 1, 12, 1, 30)]  # noqa: DTZ001


@pytest.mark.parametrize(
    "text", ["rrule:freq=daily;count=2", "RRULE:FREQ=DAILY;COUNT=2;", " FREQ = DAILY ; COUNT = 2 "]
)
def test_letter_case_spaces_and_a_prefix_do_not_matter(text: str) -> None:
    assert starts(text) == [BEGIN, BEGIN + timedelta(days=1)]


@pytest.mark.parametrize(
    "text",
    [
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30;COUNT=3",
        "FREQ=MONTHLY;BYMONTHDAY=31;BYMONTH=2",
        "FREQ=YEARLY;BYDAY=53MO;BYMONTH=2",
        "FREQ=MINUTELY;INTERVAL=7;BYHOUR=23;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=MINUTELY;INTERVAL=2;BYMINUTE=31,33",
        "FREQ=HOURLY;INTERVAL=2;BYHOUR=2",
    ],
)
def test_a_rule_that_never_comes_true_ends(text: str) -> None:
    rule = recurrence(text)
    started = perf_counter()

    assert next(rule.starts(BEGIN, BEGIN, BEGIN + rule.furthest), None) is None
    assert perf_counter() - started < 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "'' is not NAME=VALUE; write a rule such as FREQ=WEEKLY;BYDAY=SU"),
        ("BYDAY=SU", "repeats without FREQ; write FREQ= one of MINUTELY"),
        ("FREQ=SECONDLY", "repeats SECONDLY; write FREQ= one of MINUTELY"),
        ("FREQ=DAILY;FREQ=WEEKLY", "names FREQ twice"),
        ("FREQ=DAILY;BYSECOND=3", "BYSECOND is not known here; known are FREQ, INTERVAL"),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL=0 is wrong: write a whole number from 1 to 1000"),
        ("FREQ=DAILY;COUNT=x", "COUNT=X is wrong: write a whole number from 1"),
        ("FREQ=DAILY;BYHOUR=24", "BYHOUR=24 is wrong: write a whole number from 0 to 23"),
        ("FREQ=MONTHLY;BYMONTHDAY=0", "there is no number 0"),
        ("FREQ=WEEKLY;BYDAY=SUN", "write weekdays as MO, TU"),
        ("FREQ=MONTHLY;BYDAY=54MO", "write weekdays as MO, TU"),
        ("FREQ=WEEKLY;WKST=X", "write one of MO, TU"),
        ("FREQ=WEEKLY;BYDAY=1SU", "a number before a weekday needs FREQ=MONTHLY or YEARLY"),
        ("FREQ=WEEKLY;BYMONTHDAY=1", "a week has no BYMONTHDAY"),
        ("FREQ=HOURLY;BYHOUR=1;BYSETPOS=1", "BYSETPOS picks from"),
        ("FREQ=DAILY;BYSETPOS=1", "BYSETPOS picks from"),
        ("FREQ=DAILY;UNTIL=20260401", "write a date and a time such as 20260331T235959"),
        ("FREQ=DAILY;UNTIL=20261301T000000", "UNTIL=20261301T000000 is wrong"),
        ("FREQ=DAILY;COUNT=1;UNTIL=20260401T000000Z", "both COUNT and UNTIL"),
        ("FREQ=DAILY;BYHOUR=" + "1," * 200 + "1", "characters; 400 are allowed"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_with_a_way_out(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        recurrence(text)


@pytest.mark.parametrize(
    ("zone", "local", "utc"),
    [
        ("Europe/Berlin", "2026-03-29T02:30:00", "2026-03-29T01:00:00"),
        ("Europe/Berlin", "2026-03-29T02:30:00.5", "2026-03-29T01:00:00"),
        ("Europe/Berlin", "2026-03-29T02:00:00", "2026-03-29T01:00:00"),
        ("Europe/Berlin", "2026-03-29T01:59:59", "2026-03-29T00:59:59"),
        ("Europe/Berlin", "2026-10-25T02:30:00", "2026-10-25T00:30:00"),
        ("Europe/Dublin", "2026-03-29T01:30:00", "2026-03-29T01:00:00"),
        ("Australia/Lord_Howe", "2026-10-04T02:10:00", "2026-10-03T15:30:00"),
        ("Pacific/Apia", "2011-12-30T12:00:00", "2011-12-30T10:00:00"),
        ("UTC", "2026-03-29T02:30:00", "2026-03-29T02:30:00"),
    ],
)
def test_a_skipped_time_is_the_first_after_the_gap_and_a_repeated_one_the_first_of_two(
    zone: str, local: str, utc: str
) -> None:
    expected = datetime.fromisoformat(utc).replace(tzinfo=UTC)

    assert instant(datetime.fromisoformat(local), ZoneInfo(zone)) == expected


def test_the_wall_shows_the_same_for_both_passes_of_a_repeated_hour() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)

    assert wall(first, berlin) == wall(first + timedelta(hours=1), berlin) == datetime(2026, 10, 25, 2, 30)  # noqa: DTZ001
    assert wall(first, berlin).fold == wall(first + timedelta(hours=1), berlin).fold == 0
