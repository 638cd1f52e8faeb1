"""Bring the snapshots of some days up to date with the log and with the labels that came for it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from duckdb import DuckDBPyConnection

from calslo_dagster.pipeline.feed_demo import feed_demo
from calslo_dagster.pipeline.load_manifests import load_manifests
from calslo_dagster.pipeline.plan_partials import Day, added_counts, listed_partials, swap_partials
from calslo_dagster.pipeline.project import Log, Project
from calslo_dagster.pipeline.refresh_units import NO_UNITS, Look, Units, refresh_units
from calslo_dagster.pipeline.spans import day_us
from calslo_dagster.pipeline.tell_input import tell_copies, tell_uncounted
from calslo_dagster.pipeline.watermark import advance_watermark, current_watermark
from calslo_dagster.slo.windows import EPOCH
from calslo_dagster.store.source_units import Role, UnitRecord


@dataclass(frozen=True, slots=True)
class DaySnapshot:
    """What the partials of one day hold, over all sources; `hours` begin those that hold events."""

    day: date
    rows: Mapping[str, int]
    hours: frozenset[datetime] = frozenset()

    def count(self, name: str) -> int:
        """Return one count: rows, events, labeled, pending, labels, duplicates, conflicts or a reason."""
        return self.rows.get(name, 0)


@dataclass(frozen=True, slots=True)
class SnapshotReport:
    """What one aggregation did and found.

    `written` partials are new; `errors` and `gone` name input that cannot be read, `rejected` counts rows without a
    usable time in all units that are there; `copies` and `uncounted` say in sentences which files are repeated, and
    which rows cannot be counted; `days` are the days asked for; `lateness` is how late events may come.
    """

    days: tuple[DaySnapshot, ...]
    written: int
    rejected: Mapping[str, int]
    errors: tuple[str, ...]
    gone: tuple[str, ...]
    units: int
    watermark: datetime | None
    now: datetime
    lateness: timedelta = timedelta(0)
    copies: tuple[str, ...] = ()
    uncounted: tuple[str, ...] = ()


def aggregate_days(
    project: Project,
    days: Sequence[date],
    *,
    now: datetime,
    recompute: bool,
    on_day: Callable[[date], None] | None = None,
) -> SnapshotReport:
    """Bring the snapshots of these days up to date.

    `recompute` reads the days from the log again even if nothing changed. The days that their windows reach back into
    are brought up to date as well, so that what is measured later does not depend on the order in which days are run.
    `on_day` is called for each of the days that is done, once for each log.
    """
    feed_demo(project, now=now)
    load_manifests(project)
    before = [days[0] - timedelta(days=n) for n in range(project.days_back, 0, -1)]
    looks: list[tuple[Units, Units]] = []
    written = 0
    with project.engine() as connection:
        for log in project.logs(now):
            events, labels = _look(project, connection, log, (*before, *days), now=now)
            looks.append((events, labels))
            for day in (*before, *days):
                current = listed_partials(project, log.name, day)
                again = recompute and day not in before
                plan = Day(project, connection, log, day, now, events, labels, current=current, recompute=again)
                written += swap_partials(plan, plan.wanted())
                if on_day and day not in before:
                    on_day(day)
            advance_watermark(project, log, events, now)
    return _report(project, days, looks, written=written, now=now)


def _look(
    project: Project, connection: DuckDBPyConnection, log: Log, days: Sequence[date], *, now: datetime
) -> tuple[Units, Units]:
    window = day_us(days[0])[0], day_us(days[-1])[1]
    events = refresh_units(project, connection, log.events, Look(Role.EVENTS, now, window))
    if log.labels is None:
        return events, NO_UNITS
    return events, refresh_units(project, connection, log.labels, Look(Role.LABELS, now))


def _report(
    project: Project, days: Sequence[date], looks: Sequence[tuple[Units, Units]], *, written: int, now: datetime
) -> SnapshotReport:
    logs, inputs = [events for events, _ in looks], [units for look in looks for units in look]
    return SnapshotReport(
        days=tuple(_snapshot_of(project, day, logs) for day in days),
        written=written,
        rejected=added_counts(units.rejected for units in inputs),
        errors=tuple(error for units in inputs for error in units.errors),
        gone=tuple(_told(record) for units in inputs for record in units.gone),
        units=sum(len(units.present) for units in inputs),
        watermark=current_watermark(project, now),
        now=now,
        lateness=project.settings.lateness,
        copies=tuple(tell_copies(project)),
        uncounted=tuple(tell_uncounted(project, days)),
    )


def _told(record: UnitRecord) -> str:
    """Return the unit's name, and until when its content was under it, should there be another one now."""
    if record.unit == record.name or record.last_us is None:
        return record.name
    return f"{record.name} with events until {EPOCH + timedelta(microseconds=record.last_us):%Y-%m-%d %H:%M:%S}"


def _snapshot_of(project: Project, day: date, logs: Sequence[Units]) -> DaySnapshot:
    listed = [partial for source in project.source_names for partial in listed_partials(project, source, day)]
    start, end = day_us(day)
    counted = [record for units in logs for record in (*units.lost, *(record for _, record in units.readable))]
    held = {hour for record in counted for hour in record.hours if start <= hour < end}
    hours = frozenset(EPOCH + timedelta(microseconds=hour) for hour in held)
    return DaySnapshot(day, added_counts(partial.rows for partial in listed), hours)
