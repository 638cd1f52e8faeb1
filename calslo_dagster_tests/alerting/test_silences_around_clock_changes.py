"""Silences follow the clock on the wall through every change of it, in zones of every kind."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from calslo_dagster.alerting.silences import Silence, Span, active_span, spans

# With daylight saving of an hour, of half an hour, in winter instead of summer, in Ramadan instead of always, given up
# of late, and without; east and west of the date line; offsets of quarters of an hour.
ZONES = """
Africa/Abidjan Africa/Cairo Africa/Casablanca Africa/El_Aaiun Africa/Johannesburg Africa/Lagos Africa/Nairobi
America/Adak America/Anchorage America/Argentina/Buenos_Aires America/Asuncion America/Bogota America/Chicago
America/Denver America/Halifax America/Havana America/Los_Angeles America/Mexico_City America/Miquelon
America/New_York America/Nuuk America/Phoenix America/Port-au-Prince America/Santiago America/Sao_Paulo
America/Scoresbysund America/St_Johns America/Tijuana Antarctica/Macquarie Antarctica/Troll Asia/Almaty
Asia/Beirut Asia/Dhaka Asia/Gaza Asia/Jerusalem Asia/Kathmandu Asia/Kolkata Asia/Nicosia Asia/Shanghai
Asia/Tehran Asia/Tokyo Atlantic/Azores Atlantic/Bermuda Australia/Adelaide Australia/Brisbane Australia/Eucla
Australia/Lord_Howe Australia/Sydney Europe/Berlin Europe/Chisinau Europe/Dublin Europe/Istanbul Europe/Lisbon
Europe/London Europe/Moscow Pacific/Apia Pacific/Auckland Pacific/Chatham Pacific/Easter Pacific/Honolulu
Pacific/Kiritimati Pacific/Marquesas Pacific/Norfolk UTC
""".split()  # noqa: SIM905 - ten lines instead of sixty
FIRST, LAST = datetime(2024, 1, 1, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC)
TICK, HOUR, DAY = timedelta(minutes=5), timedelta(hours=1), timedelta(days=1)
# Without any change a zone is looked at around this instant.
QUIET = datetime(2026, 3, 29, 1, tzinfo=UTC)


def changes(zone: ZoneInfo) -> list[datetime]:
    """Return the instants at which the zone's offset changes, found by looking at it only."""

    def offset(moment: datetime) -> timedelta | None:
        return moment.astimezone(zone).utcoffset()

    found, step = [], timedelta(hours=12)
    moment = FIRST
    while moment < LAST:
        before = offset(moment)
        if offset(moment + step) != before:
            seconds = range(int(step.total_seconds()))
            passed = bisect_left(seconds, x=True, key=lambda s: offset(moment + timedelta(seconds=s)) != before)
            found.append(moment + timedelta(seconds=passed))
        moment += step
    return found


def windows(change: datetime, zone: ZoneInfo) -> Iterator[tuple[datetime, timedelta]]:
    """Yield starts and lengths that lie across, beside and inside what the clock skips or repeats."""
    minute = timedelta(minutes=1)
    shown = [(change - minute).astimezone(zone).replace(tzinfo=None) + minute, local(change, zone)]
    low, high = min(shown), max(shown)
    yield low.replace(hour=1, minute=0), 4 * HOUR
    yield low.replace(hour=22, minute=0), 8 * HOUR
    yield low - 2 * HOUR, high - low + 4 * HOUR
    yield low, high - low or HOUR
    yield low - HOUR, HOUR
    yield high, HOUR
    yield low - HOUR, HOUR + 15 * minute
    yield low + 15 * minute, high - low + HOUR
    yield low + 5 * minute, 20 * minute
    yield low + 10 * minute, DAY - 5 * minute
    yield low, DAY


def local(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)


def expected(walls: list[datetime], start: datetime, length: timedelta) -> set[int]:
    """Return the ticks inside, told by walking and looking at the clock alone.

    An occurrence opens at the first tick at which the clock shows its start or later, and closes at the first at which
    it shows its end or later.
    """
    silent, day = set[int](), start
    while day <= walls[-1] + DAY:
        opened = next((i for i, shown in enumerate(walls) if shown >= day), len(walls))
        closed = next((i for i, shown in enumerate(walls) if shown >= day + length), len(walls))
        silent |= set(range(opened, closed))
        day += DAY
    return silent


def daily(zone: str, begin: datetime, length: timedelta) -> Silence:
    """Return a silence every day on the clock of the zone."""
    return Silence(
        id="nightly", matchers=(), starts_at=begin.replace(tzinfo=ZoneInfo(zone)), ends_at=None, zone=zone,
        rrule="FREQ=DAILY", duration=length, reason="maintenance", author="ana", created_at=FIRST - 10 * DAY,
    )  # fmt: skip


@pytest.mark.parametrize("name", ZONES)
def test_what_the_clock_shows_decides_whether_it_is_silent(name: str) -> None:
    zone = ZoneInfo(name)
    for number, change in enumerate(changes(zone) or [QUIET]):
        ticks = [change + TICK * i for i in range(-26 * 12, 26 * 12)]
        walls = [local(tick, zone) for tick in ticks]
        shown_times = Counter(walls)
        only_once = [i for i, shown in enumerate(walls) if shown_times[shown] == 1]
        for kind, (start, length) in enumerate(windows(change, zone)):
            begin = start - 4 * DAY
            silence = daily(name, begin, length)
            found = spans(silence, ticks[0], ticks[-1] + TICK)
            inside = {i for span in found for i in range(bisect_left(ticks, span.start), bisect_left(ticks, span.end))}

            assert inside == expected(walls, begin, length), (name, change, start, length)
            # Where the clock shows a time only once, it is silent if and only if that time is in the window.
            for i in only_once:
                assert (i in inside) is ((walls[i] - begin) % DAY < length), (name, ticks[i], start, length)
            if kind == number % 11:
                near = range(22 * 12, 30 * 12)
                assert [active_span(silence, ticks[i]) is not None for i in near] == [i in inside for i in near]


def test_there_are_changes_of_every_kind_to_look_at() -> None:
    by_zone = {name: changes(ZoneInfo(name)) for name in ZONES}

    assert len(ZONES) >= 60
    assert sum(map(len, by_zone.values())) > 450
    assert all(by_zone[name] for name in ("Australia/Lord_Howe", "Africa/Casablanca", "Europe/Dublin"))
    assert by_zone["Asia/Tehran"] == by_zone["Pacific/Kiritimati"] == []


@pytest.mark.parametrize(
    ("day", "start", "end"),
    [
        ("2026-03-28", "2026-03-28T00:00", "2026-03-28T04:00"),
        ("2026-03-29", "2026-03-29T00:00", "2026-03-29T03:00"),
        ("2026-10-24", "2026-10-23T23:00", "2026-10-24T03:00"),
        ("2026-10-25", "2026-10-24T23:00", "2026-10-25T04:00"),
    ],
)
def test_one_to_five_in_berlin_lasts_three_four_or_five_hours(day: str, start: str, end: str) -> None:
    noon = datetime.fromisoformat(f"{day}T12:00").replace(tzinfo=UTC)
    silence = daily("Europe/Berlin", datetime(2026, 1, 1, 1), timedelta(hours=4))  # noqa: DTZ001 - the zone is added

    assert spans(silence, noon - DAY / 2, noon) == [
        Span(*(datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (start, end)))
    ]


def test_a_window_within_the_skipped_hour_does_not_happen_that_day() -> None:
    silence = daily("Europe/Berlin", datetime(2026, 3, 20, 2, 15), timedelta(minutes=30))  # noqa: DTZ001
    days = [span.start.day for span in spans(silence, QUIET - 2 * DAY, QUIET + 2 * DAY)]

    assert days == [27, 28, 30, 31]


def test_a_window_within_the_repeated_hour_happens_once() -> None:
    """A silence that is too short pages; one that is too long hides."""
    silence = daily("Europe/Berlin", datetime(2026, 10, 20, 2, 15), timedelta(minutes=30))  # noqa: DTZ001
    change = datetime(2026, 10, 25, 1, tzinfo=UTC)

    assert spans(silence, change - HOUR, change + HOUR) == [
        Span(change - timedelta(minutes=45), change - timedelta(minutes=15))
    ]


def test_a_day_that_the_calendar_skips_has_no_window() -> None:
    """Samoa went from Thursday to Saturday at the end of 2011."""
    silence = daily("Pacific/Apia", datetime(2011, 12, 20, 1), timedelta(hours=4))  # noqa: DTZ001
    apia = ZoneInfo("Pacific/Apia")
    found = spans(silence, datetime(2011, 12, 28, 12, tzinfo=UTC), datetime(2012, 1, 1, 12, tzinfo=UTC))

    assert [local(span.start, apia).day for span in found] == [28, 29, 31, 1, 2]
    assert {span.end - span.start for span in found} == {timedelta(hours=4)}
