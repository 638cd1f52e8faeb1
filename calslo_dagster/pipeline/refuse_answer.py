"""Put on record that an answer was refused because it was not signed by who it claims to be from."""

from datetime import datetime, timedelta
from typing import Final

from calslo_dagster.alerting.model import Event
from calslo_dagster.pipeline.project import Project
from calslo_dagster.store import alert_events
from calslo_dagster.store.session import Lock

# Anybody can send wrong signatures, as many as they like, and what is on record stays there for ever.
APART: Final = timedelta(minutes=1)
# What stands in place of an incident: such an answer is about none that we could believe.
ABOUT: Final = "answers:"
_LONGEST: Final = 64


def refuse_answer(project: Project, way: str, reason: str, *, channel: str = "", now: datetime) -> bool:
    """Record the refusal, at most one a minute for each way in; return whether it was recorded."""
    place = f"{ABOUT}{channel or way}"[:_LONGEST]
    with project.store.read() as session:
        last = alert_events.last_at(session, place)
    if last is not None and now - last < APART:
        return False
    with project.store.write(Lock.ALERTS) as session:
        alert_events.append(session, [Event(place, "refused", now, reason, actor="unknown", source=way)])
    return True
