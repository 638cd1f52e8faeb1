"""Notice when we ourselves fail: measurements gone stale, runs that broke."""

from datetime import datetime, timedelta
from typing import Final

from calslo_dagster.pipeline.project import Project
from calslo_dagster.store import evaluations, outbox
from calslo_dagster.store.outbox import NewMessage

# Ten missed minutes are no hiccup of the scheduler any more.
STALE_AFTER: Final = timedelta(minutes=10)
LONGEST_REASON: Final = 500


def watch_freshness(project: Project, *, now: datetime) -> str:
    """Queue one alert per standstill of the evaluation; return what was seen, as a sentence."""
    with project.store.read() as session:
        last = evaluations.last_at(session)
    if last is None:
        return "nothing has been evaluated yet"
    age = now - last
    if age <= STALE_AFTER:
        return f"last evaluation {int(age.total_seconds())} s ago"
    told = f"No SLO has been evaluated since {last:%Y-%m-%d %H:%M} UTC; look at the runs of minute_job in Dagster"
    _queue(project, NewMessage(f"stale:{last.isoformat()}", "stale", {"text": told}, now))
    return told


def note_failed_run(project: Project, *, run_id: str, job: str, reason: str, now: datetime) -> None:
    """Queue an alert for a failed run."""
    told = f"Run {run_id} of {job} failed: {reason[:LONGEST_REASON]}"
    _queue(project, NewMessage(f"run:{run_id}:failed", "run_failed", {"text": told}, now))


def _queue(project: Project, message: NewMessage) -> None:
    with project.store.write() as session:
        outbox.add(session, [message])
