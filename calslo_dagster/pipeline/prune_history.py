"""Drop what retention no longer keeps: rows, and partial files that nothing names any more."""

from datetime import datetime, timedelta
from typing import Final

from calslo_dagster.pipeline.project import Project
from calslo_dagster.store import (
    anomalies,
    availability,
    breach_causes,
    deliveries,
    drift,
    drift_attributions,
    drift_distances,
    evaluations,
    health,
    measurements,
    partials,
    trends,
)
from calslo_dagster.store.partial_files import remove_unlisted

# A partial may be in place for a while before its row is committed.
UNLISTED_FOR: Final = timedelta(days=1)


def prune_history(project: Project, *, now: datetime) -> dict[str, int]:
    """Delete old rows and unlisted files; return how many of each."""
    keep, out = project.settings.retention, dict[str, int]()
    with project.store.write() as session:
        before = now - keep.measurements
        out["measurements_deleted"] = sum(measurements.prune(session, n, before) for n in project.registry.names)
        out["evaluations_deleted"] = sum(evaluations.prune(session, n, before) for n in project.registry.names)
        out["availability_deleted"] = availability.prune(session, before)
        out["health_deleted"] = health.prune(session, before)
        out["drift_deleted"] = sum(
            table.prune(session, before) for table in (drift, drift_attributions, drift_distances)
        )
        out["anomalies_deleted"] = anomalies.prune(session, before)
        out["causes_deleted"] = breach_causes.forget_withdrawn(session)
        out["trends_deleted"] = trends.prune(session, before.date())
        out["messages_deleted"] = deliveries.prune(session, now - keep.messages)
    with project.store.read() as session:
        listed = set(partials.paths(session))
    out["partials_deleted"] = remove_unlisted(project.partials, listed, (now - UNLISTED_FOR).timestamp())
    return out
