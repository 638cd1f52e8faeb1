"""How a database keeps times: the expressions that group rows into hours and bound them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from calslo_dagster.slo.windows import EPOCH
from calslo_dagster.sources.base import FeedSpec, TimeUnit

Element = sa.ColumnElement[Any]

# The last microsecond that a datetime can name.
LATEST_US: Final = (datetime.max.replace(tzinfo=EPOCH.tzinfo) - EPOCH) // timedelta(microseconds=1)
_QUARTER: Final = 900
_UNITS: Final = {TimeUnit.S: 1, TimeUnit.MS: 10**3, TimeUnit.US: 10**6, TimeUnit.NS: 10**9}
_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
_ISO: Final = 'YYYY-MM-DD"T"HH24:MI:SS.US'


class Storage(StrEnum):
    """How a database keeps a time."""

    INSTANT = "instant"
    LOCAL = "local"
    NUMBER = "number"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Clock:
    """The time column by which a table falls into hours."""

    column: Element
    storage: Storage
    spec: FeedSpec
    is_sqlite: bool

    def groups(self) -> list[Element]:
        """Return what the rows of a quarter of an hour have in common, for text those of a minute and zone."""
        if self.storage is Storage.TEXT:
            return [sa.func.substr(self.column, 1, 16), zone_suffix(self.column)]
        if self.storage is not Storage.NUMBER:
            return [sa.func.floor(sa.extract("epoch", self.column) / _QUARTER)]
        size = _QUARTER * self._unit
        if self.is_sqlite:
            return [sa.cast(self.column, sa.BigInteger).op("/")(size)]
        return [sa.func.floor(self.column.op("/")(size))]

    def text(self) -> Element:
        """Return the time in the form in which it is extracted."""
        return as_text(self.column, self.storage)

    def between(self, start_us: int, end_us: int) -> Element:
        """Return a condition that holds for all rows of the span; for text and local times also for some around it."""
        if self.storage is Storage.NUMBER:
            low, high = (us * self._unit // 1_000_000 for us in (start_us, end_us))
            return sa.and_(self.column >= low, self.column < high)
        start, end = (EPOCH + timedelta(microseconds=us) for us in (start_us, end_us))
        if self.storage is Storage.INSTANT:
            return sa.and_(self.column >= start, self.column < end)
        if self.storage is Storage.LOCAL:
            # An hour more on both sides, because the clock may be set forward or back inside the span.
            return sa.and_(self.column >= self._local(start) - _HOUR, self.column < self._local(end) + _HOUR)
        # A day more, because a local date differs from the UTC date by one at most.
        days = [f"{day:%Y-%m-%d}" for day in (start - _DAY, end + 2 * _DAY)]
        return sa.and_(self._bytewise() >= days[0], self._bytewise() < days[1])

    def beginning(self, keys: Sequence[str]) -> Element:
        """Return a condition for text times whose hour is written as one of the keys."""
        # What follows the hour is a colon, and the semicolon comes next after it.
        ranges = (sa.and_(self._bytewise() >= key, self._bytewise() < f"{key};") for key in keys)
        return sa.or_(sa.false(), *ranges)

    def outside(self, start_us: int, end_us: int) -> Element:
        """Return a condition for rows without a time in the span; for text and local times also for some inside it."""
        missing = self.column.is_(None)
        if self.storage is Storage.TEXT:
            first, last = (EPOCH + timedelta(microseconds=us) for us in (start_us, end_us))
            # A day more on both sides, as a local date differs; words and nothing at all come before or after digits.
            days = [day.date().isoformat() for day in (first + 2 * _DAY, last - _DAY)]
            return sa.or_(missing, self._bytewise() < days[0], self._bytewise() >= days[1])
        low: datetime | int
        high: datetime | int
        if self.storage is Storage.NUMBER:
            low, high = (us * self._unit // 1_000_000 for us in (start_us, end_us))
        else:
            low, high = (EPOCH + timedelta(microseconds=us) for us in (start_us, end_us))
            if self.storage is Storage.LOCAL:
                # A day earlier first, because the end of the calendar has no local time.
                low, high = self._local(low) + _HOUR, self._local(high - _DAY) + _DAY - _HOUR
        return sa.or_(missing, self.column < low, self.column >= high)

    def undated(self, start_us: int, end_us: int, keys: Sequence[str]) -> Element:
        """Return a condition for rows outside, and for text times that begin with one of the keys."""
        beginnings = sa.func.substr(self.column, 1, 16).in_(keys) if keys else sa.false()
        return sa.or_(self.outside(start_us, end_us), beginnings)

    @property
    def _unit(self) -> int:
        return _UNITS[self.spec.time_unit or TimeUnit.S]

    def _local(self, instant: datetime) -> datetime:
        return instant.astimezone(ZoneInfo(self.spec.time_zone or "UTC")).replace(tzinfo=None)

    def _bytewise(self) -> Element:
        """Return the text in byte order, which the language of a database need not keep."""
        return self.column if self.is_sqlite else sa.collate(sa.type_coerce(self.column, sa.Text), "C")


def storage_of(kind: sa.types.TypeEngine[Any]) -> Storage | None:
    """Return how a column of this PostgreSQL type keeps times; None if it does not."""
    if isinstance(kind, sa.DateTime):
        return Storage.INSTANT if kind.timezone else Storage.LOCAL
    if isinstance(kind, sa.Date):
        return Storage.LOCAL
    if isinstance(kind, sa.Numeric | sa.Float | sa.Integer):
        return Storage.NUMBER
    return Storage.TEXT if isinstance(kind, sa.String) else None


def as_text(column: Element, storage: Storage | None) -> Element:
    """Return a time so that it comes as text with its zone, or as the driver reads it where it is no time type.

    `to_char` minds no setting of the session, and makes text of the infinite times that Python has no value for.
    """
    if storage is Storage.INSTANT:
        return sa.func.to_char(sa.func.timezone("UTC", column), _ISO + '"Z"')
    return sa.func.to_char(column, _ISO) if storage is Storage.LOCAL else column


def zone_suffix(column: Element) -> Element:
    """Return the zone that a text time ends in: `Z`, an offset, or nothing."""

    def last(count: int) -> Element:
        return sa.func.substr(column, sa.func.length(column) - (count - 1), count)

    def is_sign(count: int) -> Element:
        sign = sa.func.substr(column, sa.func.length(column) - (count - 1), 1)
        # A date ends in a sign and two digits, too.
        return sa.and_(sign.in_(["+", "-"]), sa.func.length(column) > 13)

    return sa.case(
        (is_sign(6), last(6)),
        (is_sign(5), last(5)),
        (is_sign(3), last(3)),
        (last(1).in_(["Z", "z"]), "Z"),
        else_="",
    )
