"""Silence what an incident is about, as a button in chat or on a page does."""

from datetime import datetime, timedelta

from calslo_dagster.alerting.matchers import shared
from calslo_dagster.alerting.model import Severity
from calslo_dagster.alerting.silences import Silence
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.respond_to_alerts import find
from calslo_dagster.pipeline.silence_alerts import add_silence


def silence_incident(
    project: Project, incident_id: str, *, by: str, lasts: timedelta, now: datetime, source: str = "slack"
) -> str:
    """Silence every slice of the incident for so long; return in a sentence what was done."""
    with project.store.read() as session:
        incident = find(session, incident_id)
    matchers = [str(matcher) for matcher in shared(incident.labels)]
    draft = Silence(
        id="",
        matchers=(),
        starts_at=now,
        ends_at=now + lasts,
        reason=f"silenced from {'chat' if source == 'slack' else 'the dashboard'}, incident {incident.id}",
        author=by,
        created_at=now,
        # Whoever presses the button means this incident, and a silence lets emergencies pass unless told.
        covers_emergency=incident.severity is Severity.EMERGENCY,
    )
    # What an incident has is not mistyped, even if the settings no longer know it.
    added, _ = add_silence(project, draft, matchers, now=now, source=source, is_forced=True)
    return f"silence {added.id} holds until {added.ends_at:%Y-%m-%d %H:%M} UTC"
