"""Agree on maintenance that no verdict may rest on, and take that back; both are on record."""

from datetime import datetime

from calslo_dagster.alerting.model import Event
from calslo_dagster.errors import ExclusionError
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.respond_to_alerts import require_fit
from calslo_dagster.slo.exclusions import Exclusion
from calslo_dagster.store import alert_events, exclusions
from calslo_dagster.store.exclusions import StoredExclusion
from calslo_dagster.store.session import Lock

# The audit log speaks of an exclusion under this, where it speaks of an incident under its id.
ABOUT = "exclusion:"


def agree_exclusion(project: Project, exclusion: Exclusion, *, now: datetime, source: str) -> StoredExclusion:
    """Record the exclusion; windows that it touches are judged anew at the next evaluation of their day."""
    named = {name: getattr(exclusion, name) for name in ("slos", "slices", "models", "reason")}
    require_fit(**named, author=exclusion.approved_by)
    span = exclusion.span
    shown = {**named, "start": span.start.isoformat(), "end": span.end.isoformat()}
    with project.store.write(Lock.ALERTS) as session:
        number = exclusions.add(session, exclusion, created_at=now)
        by = exclusion.approved_by
        event = Event(f"{ABOUT}{number}", "exclusion added", now, exclusion.reason, by, source, shown)
        alert_events.append(session, [event])
    return StoredExclusion(number, exclusion, now)


def withdraw_exclusion(project: Project, exclusion_id: int, *, by: str, now: datetime, source: str) -> None:
    """Take an exclusion back; ExclusionError if there is none of this number."""
    require_fit(author=by)
    with project.store.write(Lock.ALERTS) as session:
        if exclusion_id not in {one.id for one in exclusions.all_of(session)}:
            raise ExclusionError(f"there is no exclusion {exclusion_id}")
        exclusions.remove(session, exclusion_id)
        event = Event(f"{ABOUT}{exclusion_id}", "exclusion removed", now, f"by {by}", by, source, {})
        alert_events.append(session, [event])
