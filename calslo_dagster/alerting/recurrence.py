"""Rules for what happens again and again (RFC 5545), on the clock on the wall.

A rule is worked out in local times without offset, as people mean it: 01:00 to 05:00 stays that on the days when the
clock changes. Only then is a local time turned into an instant:

- one that the clock skips moves to the first instant after the gap;
- one that comes twice is the first of the two, for starts and ends alike.
So a window opens when the clock first reaches or passes its start, and closes when it first reaches or passes its end.

The common libraries walk from the beginning of a rule, and for one that never comes true to the year 9999. Whoever
decides whether to page has no such time: here any stretch is worked out by itself, at a cost that its days bound.
"""

import re
from bisect import bisect_left
from calendar import isleap, monthrange
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import IntEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, NamedTuple

# Further than this no rule is followed. 29 February on a Monday, about the rarest thing to ask for, comes in 28 years.
_FURTHEST: Final = timedelta(days=40 * 366)
_FURTHEST_BY_HOUR: Final = timedelta(days=8 * 366)
# Larger than any change of a clock; Samoa skipped a whole day.
SLACK: Final = timedelta(hours=26)
_LONGEST: Final = 400
_MINUTES: Final = 24 * 60
_DAYS: Final = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


class Frequency(IntEnum):
    """What a rule steps by, shortest first."""

    MINUTELY = 0
    HOURLY = 1
    DAILY = 2
    WEEKLY = 3
    MONTHLY = 4
    YEARLY = 5


class Weekday(NamedTuple):
    """A day of the week, 0 for Monday; number: which one of the month or year, negative from its end, 0 for each."""

    day: int
    number: int = 0


@dataclass(frozen=True, slots=True)
class Recurrence:
    """A rule that has been read; empty parts let everything pass. `until` is UTC or a naive local time."""

    text: str
    frequency: Frequency
    interval: int = 1
    count: int | None = None
    until: datetime | None = None
    months: tuple[int, ...] = ()
    days: tuple[int, ...] = ()
    weekdays: tuple[Weekday, ...] = ()
    hours: tuple[int, ...] = ()
    minutes: tuple[int, ...] = ()
    positions: tuple[int, ...] = ()
    week_start: int = 0

    @property
    def furthest(self) -> timedelta:
        """How far the rule is followed before it counts as never coming true again."""
        return _FURTHEST if self.frequency > Frequency.HOURLY else _FURTHEST_BY_HOUR

    def starts(self, begin: datetime, low: datetime, high: datetime) -> Iterator[datetime]:
        """Yield the local times from `low` to `high`, both included, at which the rule comes true.

        begin: the local time from which the rule counts. It is an occurrence itself only if the rule says so, and it
        gives the time of day, and the weekday or the day of the year or month where the rule names none. All are naive.
        """
        begin = begin.replace(microsecond=0)
        rule, first, count = self._filled(begin), max(low, begin), self.count
        # Where occurrences are counted there is no way around walking from the beginning.
        for start in rule._from(begin, begin if count is not None else first, high):
            if count is not None and (count := count - 1) < 0:
                return
            if start >= first:
                yield start

    def _filled(self, begin: datetime) -> "Recurrence":
        """Return the rule with what the beginning says where the rule says nothing."""
        changes: dict[str, Any] = {"hours": self.hours or (begin.hour,), "minutes": self.minutes or (begin.minute,)}
        if self.frequency <= Frequency.HOURLY:
            changes["hours"] = self.hours or tuple(range(24))
        if self.frequency is Frequency.MINUTELY:
            changes["minutes"] = self.minutes or tuple(range(60))
        if not self.days and not self.weekdays:
            if self.frequency is Frequency.WEEKLY:
                changes["weekdays"] = (Weekday(begin.weekday()),)
            if self.frequency >= Frequency.MONTHLY:
                changes["days"] = (begin.day,)
            if self.frequency is Frequency.YEARLY:
                changes["months"] = self.months or (begin.month,)
        return replace(self, **changes)

    def _from(self, begin: datetime, low: datetime, high: datetime) -> Iterator[datetime]:
        first, last = self._period(begin.date()), self._period(high.date())
        near = self._period(low.date())
        step = self.interval if self.frequency >= Frequency.DAILY else 1
        for period in range(near + (first - near) % step, last + 1, step):
            for start in self._picked(self._times(period, begin)):
                if start > high:
                    return
                if start >= low:
                    yield start

    def _times(self, period: int, begin: datetime) -> Iterator[datetime]:
        for ordinal in self._ordinals(period):
            day = date.fromordinal(ordinal)
            if self._suits(day):
                for minute in self._minutes(ordinal, begin):
                    yield datetime.combine(day, time(minute // 60, minute % 60, begin.second))

    def _picked(self, times: Iterator[datetime]) -> Iterator[datetime]:
        if not self.positions:
            return times
        found = list(times)
        places = {position - 1 if position > 0 else len(found) + position for position in self.positions}
        return (found[place] for place in sorted(places) if 0 <= place < len(found))

    def _period(self, day: date) -> int:
        """Return the number of the period that the day lies in."""
        if self.frequency is Frequency.YEARLY:
            return day.year
        if self.frequency is Frequency.MONTHLY:
            return day.year * 12 + day.month - 1
        if self.frequency is Frequency.WEEKLY:
            return (day.toordinal() - 1 - self.week_start) // 7
        return day.toordinal()

    def _ordinals(self, period: int) -> range:
        """Return the days of a period."""
        if self.frequency is Frequency.YEARLY:
            first = date(period, 1, 1).toordinal()
            return range(first, first + 365 + isleap(period))
        if self.frequency is Frequency.MONTHLY:
            year, month = divmod(period, 12)
            first = date(year, month + 1, 1).toordinal()
            return range(first, first + monthrange(year, month + 1)[1])
        if self.frequency is Frequency.WEEKLY:
            first = period * 7 + 1 + self.week_start
            return range(first, first + 7)
        return range(period, period + 1)

    def _suits(self, day: date) -> bool:
        if self.months and day.month not in self.months:
            return False
        length = monthrange(day.year, day.month)[1]
        if self.days and day.day not in self.days and day.day - length - 1 not in self.days:
            return False
        if not self.weekdays:
            return True
        if self.frequency is Frequency.YEARLY and not self.months:
            return self._is_weekday(day, day.timetuple().tm_yday, 365 + isleap(day.year))
        return self._is_weekday(day, day.day, length)

    def _is_weekday(self, day: date, place: int, length: int) -> bool:
        numbers = (0, (place - 1) // 7 + 1, -((length - place) // 7 + 1))
        return any(one.day == day.weekday() and one.number in numbers for one in self.weekdays)

    def _minutes(self, ordinal: int, begin: datetime) -> Iterator[int]:
        """Yield the minutes of the day, in order."""
        step = self.interval if self.frequency <= Frequency.HOURLY else 1
        passed = (ordinal - begin.toordinal()) * _MINUTES - begin.hour * 60 - begin.minute
        if self.frequency is Frequency.MINUTELY:
            for minute in range(-passed % step, _MINUTES, step):
                if minute // 60 in self.hours and minute % 60 in self.minutes:
                    yield minute
            return
        hours = (ordinal - begin.toordinal()) * 24 - begin.hour
        for hour in self.hours:
            if (hours + hour) % step == 0:
                yield from (hour * 60 + minute for minute in self.minutes)


def wall(moment: datetime, zone: tzinfo) -> datetime:
    """Return what the clock on the wall of the zone shows at an instant, without offset."""
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


def instant(local: datetime, zone: tzinfo) -> datetime:
    """Return the first instant at which the clock of the zone shows this naive local time, or passes it in a gap."""
    first = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if wall(first, zone) == local:
        return first
    # In a gap the two readings of the local time enclose the change of the clock.
    before = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    seconds = range(int((first - before).total_seconds()) + 1)
    passed = bisect_left(seconds, x=True, key=lambda s: wall(before + timedelta(seconds=s), zone) >= local)
    return (before + timedelta(seconds=passed)).replace(microsecond=0)


@lru_cache(maxsize=256)
def recurrence(text: str) -> Recurrence:
    """Read an RRULE, with or without `RRULE:` in front; raises ValueError that says what to write instead."""
    if len(text) > _LONGEST:
        raise ValueError(f"the rule {text[:40]}... has {len(text)} characters; {_LONGEST} are allowed")
    parts = _parts(text)
    name = parts.pop("FREQ", "")
    if name not in Frequency.__members__:
        known = ", ".join(Frequency.__members__)
        raise ValueError(f"{text!r} repeats {name or 'without FREQ'}; write FREQ= one of {known}")
    read = {part: _read(part, value, text) for part, value in parts.items()}
    _check_together(text, Frequency[name], read)
    values = {_READERS[part].field: value for part, value in read.items()}
    return Recurrence(text, Frequency[name], **values)


def _parts(text: str) -> dict[str, str]:
    found = dict[str, str]()
    for pair in text.strip().upper().removeprefix("RRULE:").strip(";").split(";"):
        name, equals, value = (side.strip() for side in pair.partition("="))
        if not equals or not value:
            raise ValueError(f"{text!r}: {pair!r} is not NAME=VALUE; write a rule such as FREQ=WEEKLY;BYDAY=SU")
        if name in found:
            raise ValueError(f"{text!r} names {name} twice; keep one")
        found[name] = value
    return found


def _read(name: str, value: str, text: str) -> Any:
    if name not in _READERS:
        raise ValueError(f"{text!r}: {name} is not known here; known are FREQ, {', '.join(_READERS)}")
    try:
        return _READERS[name].read(value)
    except ValueError as error:
        raise ValueError(f"{text!r}: {name}={value} is wrong: {error}") from None


def _check_together(text: str, frequency: Frequency, read: Mapping[str, Any]) -> None:
    """Refuse what RFC 5545 forbids."""
    if "COUNT" in read and "UNTIL" in read:
        raise ValueError(f"{text!r} has both COUNT and UNTIL; keep one")
    if "BYSETPOS" in read and (frequency < Frequency.DAILY or not any(part in read for part in _SETS)):
        raise ValueError(f"{text!r}: BYSETPOS picks from what another BY part gives per day or longer; leave it out")
    if frequency < Frequency.MONTHLY and any(day.number for day in read.get("BYDAY", ())):
        raise ValueError(
            f"{text!r}: a number before a weekday needs FREQ=MONTHLY or YEARLY; write BYDAY=MO without one"
        )
    if frequency is Frequency.WEEKLY and "BYMONTHDAY" in read:
        raise ValueError(f"{text!r}: a week has no BYMONTHDAY; write FREQ=MONTHLY")


def _number(low: int, high: int) -> Callable[[str], int]:
    def read(value: str) -> int:
        if not re.fullmatch(r"[+-]?[0-9]{1,6}", value) or not low <= int(value) <= high:
            raise ValueError(f"write a whole number from {low} to {high}")
        return int(value)

    return read


def _numbers(low: int, high: int) -> Callable[[str], tuple[int, ...]]:
    """Return the reader of a list of numbers; where negative ones are allowed there is no 0."""
    one = _number(low, high)

    def read(value: str) -> tuple[int, ...]:
        numbers = tuple(sorted({one(item) for item in value.split(",")}))
        if low < 0 and 0 in numbers:
            raise ValueError("there is no number 0; the first is 1, the last is -1")
        return numbers

    return read


def _weekdays(value: str) -> tuple[Weekday, ...]:
    found = [re.fullmatch(r"([+-]?[0-9]{1,2})?(MO|TU|WE|TH|FR|SA|SU)", item) for item in value.split(",")]
    if not all(found) or any(one and one[1] and not 1 <= abs(int(one[1])) <= 53 for one in found):
        raise ValueError("write weekdays as MO, TU, WE, TH, FR, SA, SU, such as BYDAY=SA,SU or BYDAY=-1SU")
    return tuple(Weekday(_DAYS.index(one[2]), int(one[1] or 0)) for one in found if one)


def _weekday(value: str) -> int:
    if value not in _DAYS:
        raise ValueError(f"write one of {', '.join(_DAYS)}")
    return _DAYS.index(value)


def _until(value: str) -> datetime:
    """Read a time of the form 20260331T235959Z, or without Z for the local time of the zone."""
    if not re.fullmatch(r"[0-9]{8}T[0-9]{6}Z?", value):
        raise ValueError("write a date and a time such as 20260331T235959, with Z at the end if it is UTC")
    moment = datetime.strptime(value.removesuffix("Z"), "%Y%m%dT%H%M%S")  # noqa: DTZ007 - local times are naive here
    return moment.replace(tzinfo=UTC) if value.endswith("Z") else moment


class _Reader(NamedTuple):
    field: str
    read: Callable[[str], Any]


_READERS: Final[Mapping[str, _Reader]] = MappingProxyType(
    {
        "INTERVAL": _Reader("interval", _number(1, 1_000)),
        "COUNT": _Reader("count", _number(1, 10_000)),
        "UNTIL": _Reader("until", _until),
        "BYMONTH": _Reader("months", _numbers(1, 12)),
        "BYMONTHDAY": _Reader("days", _numbers(-31, 31)),
        "BYDAY": _Reader("weekdays", _weekdays),
        "BYHOUR": _Reader("hours", _numbers(0, 23)),
        "BYMINUTE": _Reader("minutes", _numbers(0, 59)),
        "BYSETPOS": _Reader("positions", _numbers(-366, 366)),
        "WKST": _Reader("week_start", _weekday),
    }
)
_SETS: Final = ("BYMONTH", "BYMONTHDAY", "BYDAY", "BYHOUR", "BYMINUTE")
