"""How time is cut for Dagster: UTC days for the log and minute SLOs, ISO weeks for weekly ones."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Final

import dagster as dg

# A snapshot of a day also serves windows that reach back into the day before.
DAYS_BACK: Final = 1


def daily(history_start: date) -> dg.DailyPartitionsDefinition:
    """Return UTC days; today's partition exists from its first minute on, because it is filled while it lasts."""
    return dg.DailyPartitionsDefinition(start_date=history_start.isoformat(), timezone="UTC", end_offset=1)


def weekly(history_start: date) -> dg.WeeklyPartitionsDefinition:
    """Return ISO weeks, Monday to Monday; a week exists once it is over."""
    monday = history_start - timedelta(days=history_start.weekday())
    return dg.WeeklyPartitionsDefinition(start_date=monday.isoformat(), timezone="UTC", day_offset=1, end_offset=0)


def monthly(history_start: date) -> dg.MonthlyPartitionsDefinition:
    """Return calendar months; a month exists once it is over."""
    return dg.MonthlyPartitionsDefinition(start_date=history_start.replace(day=1).isoformat(), timezone="UTC")


def days_of(context: dg.AssetExecutionContext) -> Iterator[date]:
    """Yield the days of the run, oldest first."""
    window = context.partition_time_window
    day = window.start.date()
    while day < window.end.date():
        yield day
        day += timedelta(days=1)


def weeks_of(context: dg.AssetExecutionContext) -> Iterator[datetime]:
    """Yield the Mondays on which the weeks of the run begin, oldest first."""
    window = context.partition_time_window
    monday = datetime.combine(window.start.date(), datetime.min.time(), UTC)
    while monday < window.end:
        yield monday
        monday += timedelta(days=7)
