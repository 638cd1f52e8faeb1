"""How far each source is complete, and hence how far measurements are final."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from calslo_dagster.pipeline.project import Log, Project
from calslo_dagster.slo.windows import EPOCH
from calslo_dagster.store import watermarks
from calslo_dagster.store.watermarks import Watermark

if TYPE_CHECKING:
    from calslo_dagster.pipeline.refresh_units import Units

# A source that says nothing for so long is taken as complete until then; otherwise a dead log would never be final.
SILENCE: Final = timedelta(hours=6)


def advance_watermark(project: Project, log: Log, units: "Units", now: datetime) -> None:
    """Move the source's watermark to its newest event less the allowed lateness; it never moves back.

    An event from the future counts as one of now: a clock that runs ahead must not make windows final too early.
    """
    newest = [record.last_us for _, record in units.readable if record.last_us is not None]
    if not newest:
        return
    with project.store.read() as session:
        known = watermarks.of_source(session, log.name)
    last = min(now, EPOCH + timedelta(microseconds=max(newest)))
    if known and known.last_event and known.last_event >= last:
        return
    with project.store.write() as session:
        watermarks.put(session, Watermark(log.name, last - project.settings.lateness, last))


def current_watermark(project: Project, now: datetime) -> datetime | None:
    """Return the instant up to which every source of the settings is complete; None if none has had an event."""
    with project.store.read() as session:
        found = [one for one in watermarks.every(session) if one.source in project.source_names]
    return slowest(found, now)


def slowest(found: Iterable[Watermark], now: datetime) -> datetime | None:
    """Return the watermark of the source that is furthest behind, silent ones taken as complete."""
    reached = [max(one.watermark, now - SILENCE) for one in found if one.watermark is not None]
    return min(reached, default=None)
