"""Periods that reports are of: ISO weeks and calendar months, in UTC."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from calslo_dagster.slo.windows import DAY, WEEK, Window

_WEEK: Final = re.compile(r"(\d{4})-W(\d{2})", re.ASCII)
_MONTH: Final = re.compile(r"(\d{4})-(\d{2})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Period:
    """A week or a month: its name, such as 2026-W10 or 2026-03, and its span."""

    name: str
    span: Window

    @property
    def is_week(self) -> bool:
        """Whether it is a week."""
        return "W" in self.name

    @property
    def spoken(self) -> str:
        """The period in words, with its first and last day."""
        last = (self.span.end - DAY).date()
        return f"{'Week' if self.is_week else 'Month'} {self.name}, {self.span.start.date()} to {last}"

    @property
    def days(self) -> tuple[date, date]:
        """The first and the last day."""
        return self.span.start.date(), (self.span.end - DAY).date()


def period_of(name: str) -> Period:
    """Return the period of that name; ValueError for one that is neither a week nor a month."""
    try:
        if found := _WEEK.fullmatch(name):
            start = _midnight(date.fromisocalendar(int(found[1]), int(found[2]), 1))
            return Period(name, Window(start, start + WEEK))
        if found := _MONTH.fullmatch(name):
            start = _midnight(date(int(found[1]), int(found[2]), 1))
            return Period(name, Window(start, _midnight((start + 32 * DAY).date().replace(day=1))))
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{name!r} does not exist: {error}") from error
    raise ValueError(f"{name!r} is no period; write a week such as 2026-W10, or a month such as 2026-03")


def week_before(at: datetime) -> Period:
    """Return the last ISO week that was over at the instant."""
    monday = _midnight(at.date() - timedelta(days=at.weekday())) - WEEK
    return period_of(f"{monday:%G-W%V}")


def month_before(at: datetime) -> Period:
    """Return the last month that was over at the instant."""
    return period_of(f"{_midnight(at.date().replace(day=1)) - DAY:%Y-%m}")


def _midnight(day: date) -> datetime:
    return datetime.combine(day, datetime.min.time(), UTC)
