"""Find days whose snapshots no longer match the log or the labels."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Final

from calslo_dagster.pipeline.feed_demo import feed_demo
from calslo_dagster.pipeline.plan_partials import Day, listed_partials
from calslo_dagster.pipeline.project import Log, Project
from calslo_dagster.pipeline.refresh_units import NO_UNITS, Look, Units, refresh_units
from calslo_dagster.pipeline.spans import Known, touched_days
from calslo_dagster.slo.windows import EPOCH
from calslo_dagster.store import partials
from calslo_dagster.store.source_units import Role, UnitRecord

# Days that were measured are kept up to date for ever; days that never were are caught up with only this far back.
CATCH_UP: Final = timedelta(days=7)
MOST_DAYS: Final = 5


class Late(StrEnum):
    """What may have arrived late."""

    EVENTS = "events"
    LABELS = "labels"


@dataclass(frozen=True, slots=True)
class StaleDay:
    """A day to bring up to date; `run_key` is the same until more arrives, so that it is requested once."""

    day: date
    run_key: str


def find_stale_days(project: Project, late: Late, *, now: datetime) -> list[StaleDay]:
    """Return the days before today that wait for late events or labels, oldest first, at most five.

    Windows reach into earlier days, so the days whose windows reach into a stale one are returned as well.
    """
    found: dict[date, str] = {}
    feed_demo(project, now=now)
    with project.engine() as connection:
        for log in project.logs(now):
            events = refresh_units(project, connection, log.events, Look(Role.EVENTS, now))
            labels = NO_UNITS
            if log.labels:
                labels = refresh_units(project, connection, log.labels, Look(Role.LABELS, now))
            by_day = _by_day(events)
            for day in _candidates(project, log, by_day, now):
                current, seen = listed_partials(project, log.name, day), by_day.get(day, NO_UNITS)
                plan = Day(project, connection, log, day, now, seen, labels, current=current, recompute=False)
                missing = plan.missing_events() if late is Late.EVENTS else plan.missing_labels()
                if missing:
                    found[day] = sha256("\n".join(missing).encode()).hexdigest()[:12]
    causes = _with_followers(sorted(found.items())[:MOST_DAYS], project.days_back)
    return [StaleDay(day, f"{late}:{day}:{cause}") for day, cause in sorted(causes.items()) if day < now.date()]


def stale_weeks(days: Iterable[StaleDay], today: date) -> list[StaleDay]:
    """Return the Mondays of the ended ISO weeks that rest on the days: their own, and the one compared with it."""
    keys: dict[date, str] = {}
    for one in days:
        monday = one.day - timedelta(days=one.day.weekday())
        for week in (monday, monday + timedelta(days=7)):
            if week + timedelta(days=7) <= today:
                keys[week] = keys.get(week, "") + one.run_key
    return [
        StaleDay(week, f"week:{week}:{sha256(key.encode()).hexdigest()[:12]}") for week, key in sorted(keys.items())
    ]


def _with_followers(stale: Iterable[tuple[date, str]], reach: int) -> dict[date, str]:
    """Return each stale day, and each later one whose windows reach back into it, with what made it stale."""
    causes = dict(stale)
    for day, cause in list(causes.items()):
        for n in range(1, reach + 1):
            causes.setdefault(day + timedelta(days=n), cause)
    return causes


def _by_day(units: Units) -> dict[date, Units]:
    """Return the units with rows on each day, so that a long log is not gone through once per day."""
    present: dict[int, list[Known]] = {}
    gone: dict[int, list[UnitRecord]] = {}
    for known in units.present:
        for day in touched_days(known[1].hours):
            present.setdefault(day, []).append(known)
    for record in units.gone:
        for day in touched_days(record.hours):
            gone.setdefault(day, []).append(record)
    return {
        _date(day): Units(tuple(present.get(day, ())), tuple(gone.get(day, ()))) for day in present.keys() | gone.keys()
    }


def _candidates(project: Project, log: Log, seen: Collection[date], now: datetime) -> list[date]:
    """Return the days to look at: those with snapshots, and those of the last week that the log tells of."""
    with project.store.read() as session:
        known = {_date(partial.span_start_us) for partial in partials.of_source(session, log.name)}
    recent, first = (now - CATCH_UP).date(), project.settings.history_start
    return [day for day in sorted(known.union(seen)) if first <= day < now.date() and (day in known or day >= recent)]


def _date(instant_us: int) -> date:
    return (EPOCH + timedelta(microseconds=instant_us)).date()
