"""Merge the hours of closed days, and roll old snapshots up to coarser buckets."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

from calslo_dagster.engine.facts import DAY_US, HOUR_US, LEDGER, PANE_US, PENDING
from calslo_dagster.engine.merge import merge_facts
from calslo_dagster.pipeline.plan_partials import Day, added_counts, listed_partials, swap_partials
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.refresh_units import NO_UNITS, Look, refresh_units
from calslo_dagster.pipeline.spans import day_us, is_closed, together
from calslo_dagster.slo.windows import EPOCH
from calslo_dagster.store import partials
from calslo_dagster.store.partial_files import new_folder, publish
from calslo_dagster.store.partials import Kind, Partial
from calslo_dagster.store.source_units import Role


def compact_snapshots(project: Project, *, now: datetime) -> dict[str, int]:
    """Merge what can be merged; return how many days were compacted and how many were rolled up.

    Merging adds integers, so nothing that is measured later can tell.
    """
    compacted = rolled = 0
    with project.engine() as connection:
        for log in project.logs(now):
            labels = NO_UNITS
            if log.labels:
                labels = refresh_units(project, connection, log.labels, Look(Role.LABELS, now))
            for day in _days(project, log.name):
                current = listed_partials(project, log.name, day)
                plan = Day(project, connection, log, day, now, NO_UNITS, labels, current=current, recompute=False)
                width = _resolution(project, day, now)
                if width > min(p.totals_us for p in current):
                    swap_partials(plan, [_rolled_up(plan, width)])
                    rolled += 1
                elif is_closed(day, now) and len({p.span_start_us for p in current if p.kind is Kind.EVENT}) > 1:
                    swap_partials(plan, _compacted(plan))
                    compacted += 1
    return {"days_compacted": compacted, "days_rolled_up": rolled}


def _days(project: Project, source: str) -> list[date]:
    with project.store.read() as session:
        starts = {p.span_start_us // DAY_US * DAY_US for p in partials.of_source(session, source)}
    return [(EPOCH + timedelta(microseconds=start)).date() for start in sorted(starts)]


def _resolution(project: Project, day: date, now: datetime) -> int:
    """Return how wide the buckets of a day of this age are at least; 1 for as they were made."""
    keep, age = project.settings.retention, timedelta(days=(now.date() - day).days)
    ladder = ((keep.hours, DAY_US), (keep.panes, HOUR_US), (keep.totals, PANE_US))
    waits = age <= project.settings.label_horizon
    return 1 if waits else next((width for kept, width in ladder if age > kept), 1)


def _compacted(plan: Day) -> list[Partial]:
    """Return one event partial in the place of the day's hours, and one of what is kept, with their label partials."""
    events = [p for p in plan.current if p.kind is Kind.EVENT]
    batches = sorted({p.batch for p in events})
    merged = [_merged(plan, [p for p in events if p.batch == batch], None, batch) for batch in batches]
    return [*merged, *plan.label_partials(merged)]


def _rolled_up(plan: Day, width: int) -> Partial:
    """Return one partial of coarser buckets in the place of all the day's; its events no longer wait for labels.

    Where a part of them is kept because it cannot be read again, all of it is from now on.
    """
    parts = [p for p in plan.current if p.path]
    batch = max(p.batch for p in parts if p.kind is Kind.EVENT)
    return _merged(plan, parts, width, batch)


def _merged(plan: Day, parts: Sequence[Partial], width: int | None, batch: str) -> Partial:
    """Return the sum of the parts, events first, as the event partial of the day."""
    root, span = plan.project.partials, day_us(plan.day)
    folder = new_folder(root)
    merge_facts(plan.connection, [root / p.path for p in parts], folder, width)
    if width is not None:
        for waiting in (f"{PENDING}.parquet", f"{LEDGER}.parquet"):
            (folder / waiting).unlink(missing_ok=True)
    path, content = publish(root, folder, f"{plan.log.name}/{Kind.EVENT}/{span[0]}-{span[1]}")
    events = [p for p in parts if p.kind is Kind.EVENT]
    return replace(
        events[0],
        batch=batch,
        span_start_us=span[0],
        span_end_us=span[1],
        totals_us=max(events[0].totals_us, width or 1),
        cells_us=max(events[0].cells_us, width or 1),
        inputs_digest=together([p.inputs_digest for p in events]),
        content_digest=content,
        path=path,
        rows=added_counts(p.rows for p in parts),
        first_us=min((p.first_us for p in events if p.first_us is not None), default=None),
        last_us=max((p.last_us for p in events if p.last_us is not None), default=None),
    )
