"""A project with one open incident, which people answer."""

from datetime import datetime
from pathlib import Path
from typing import Final

from calslo_dagster.alerting.model import Event, Incident
from calslo_dagster.pipeline.advance_alerts import advance_alerts
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.track_breaches import track_breaches
from calslo_dagster.slo.windows import DAY
from calslo_dagster.store import alert_events, incidents
from calslo_dagster_tests.logs import START, project_at
from calslo_dagster_tests.pipeline.courses import hours

NOW: Final = START + DAY
FOREVER: Final = datetime.max.replace(tzinfo=NOW.tzinfo)


def with_incident(folder: Path, settings: str, secrets: dict[str, str]) -> Project:
    """Return a project in the folder, with these settings and files of secrets, whose one incident fires."""
    for name, value in secrets.items():
        (folder / name).write_text(value)
    project = project_at(folder, extra=settings)
    hours(project, "mb")
    track_breaches(project)
    advance_alerts(project, now=NOW)
    return project


def incident_of(project: Project) -> Incident:
    """Return the incident."""
    with project.store.read() as session:
        return incidents.recent(session)[0]


def record_of(project: Project, kind: str) -> list[Event]:
    """Return the events of this kind that are on record, about whatever."""
    with project.store.read() as session:
        logged = alert_events.between(session, start=START, end=FOREVER)
    return [one.event for one in logged if one.event.kind == kind]
