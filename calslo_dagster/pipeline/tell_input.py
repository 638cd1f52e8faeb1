"""Tell what of the input is not counted as it lies there, though all of it can be read, and what to do about it."""

from collections.abc import Sequence
from datetime import date

from sqlalchemy.orm import Session

from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.spans import day_us
from calslo_dagster.sources.complaints import copied
from calslo_dagster.sources.contents import repeated
from calslo_dagster.store import partials, source_units
from calslo_dagster.store.partials import UNCOUNTED
from calslo_dagster.store.source_units import Role


def tell_copies(project: Project) -> list[str]:
    """Return a sentence for each file that holds the same events as another one."""
    with project.store.read() as session:
        found = [(source, pair) for source in project.source_names for pair in _copies(session, source)]
    return [copied(f"{source}, {copy}", original) for source, (copy, original) in found]


def tell_uncounted(project: Project, days: Sequence[date]) -> list[str]:
    """Return a sentence for each of the days with rows that could not be counted."""
    found = []
    with project.store.read() as session:
        for source in project.source_names:
            for day in days:
                start, end = day_us(day)
                listed = partials.overlapping(session, source, start_us=start, end_us=end)
                rows = sum(partial.rows.get(UNCOUNTED, 0) for partial in listed)
                found += [_uncounted(source, day, rows)] if rows else []
    return found


def _copies(session: Session, source: str) -> list[tuple[str, str]]:
    records = source_units.records(session, source, Role.EVENTS)
    return list(repeated((r.unit, r.content) for r in records if r.rows and not r.error).items())


def _uncounted(source: str, day: date, rows: int) -> str:
    return (
        f"{source}: {rows:,} rows of {day} are not counted, because their files changed after others, which they were "
        f'counted together with, were removed; put those back and run "calslo backfill --from {day} --to {day}"'
    )
