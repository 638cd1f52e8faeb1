"""Prove that the audit log is whole."""

from calslo_dagster.pipeline.project import Project
from calslo_dagster.store import alert_events
from calslo_dagster.store.alert_events import Verification


def audit_alerts(project: Project, *, expected: str | None = None) -> Verification:
    """Read the whole audit log and return whether it is sound; `expected` is a hash that it once ended with."""
    with project.store.read() as session:
        return alert_events.verify(session, expected=expected)
