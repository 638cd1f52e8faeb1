"""Notice when we ourselves fail: evaluation stands still, runs break, messages do not go out."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from calslo_dagster.alerting.model import Action, DeliveryStatus
from calslo_dagster.alerting.rules import DELIVERY
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.redirect_pages import redirect_pages
from calslo_dagster.pipeline.renew_pages import NEWS as REFUSED
from calslo_dagster.pipeline.renew_pages import renew_pages
from calslo_dagster.slo.model import Severity
from calslo_dagster.store import deliveries, evaluations, heartbeats, troubles
from calslo_dagster.store.deliveries import Delivery
from calslo_dagster.store.session import Lock
from calslo_dagster.store.troubles import Trouble

# Ten missed minutes are no hiccup of the scheduler any more.
STALE_AFTER: Final = timedelta(minutes=10)
# Schedules that begin to run after a pause get so long to catch up before their standstill is one.
GRACE: Final = timedelta(minutes=5)
# A page that is so late has missed a look of whoever sends it, and is told elsewhere at the second.
LATE: Final = timedelta(seconds=15)
# A page that was given up is told elsewhere at the next look; what is older was before anybody looked.
NEWS: Final = timedelta(hours=1)
EVALUATION: Final = "evaluation"
WATCHDOG: Final = "watchdog"
EVERY: Final = timedelta(minutes=5)
_MATTERS: Final = frozenset({Action.TRIGGER, Action.RESOLVE})


def watch_freshness(project: Project, *, now: datetime) -> str:
    """Raise or clear the alert about a standstill of the evaluation; return what was seen, as a sentence.

    One that began while nobody watched is given some minutes to end: schedules that were off have to catch up first.
    """
    with project.store.write(Lock.ALERTS) as session:
        last = evaluations.last_at(session)
        watched = next((one for one in heartbeats.every(session) if one.component == WATCHDOG), None)
        since = _watched_since(session, watched, now)
        if last is None:
            return "nothing has been evaluated yet"
        age = now - last
        if age <= STALE_AFTER:
            troubles.clear(session, [EVALUATION])
            return f"last evaluation {int(age.total_seconds())} s ago"
        told = f"No SLO has been evaluated since {last:%Y-%m-%d %H:%M} UTC; look at the runs of minute_job in Dagster"
        if now - since < GRACE:
            return f"{told}; it has {int(GRACE.total_seconds() // 60)} minutes to catch up"
        troubles.put(session, Trouble(EVALUATION, Severity.EMERGENCY, last, told, source_id=last.isoformat()))
        return told


def _watched_since(session: Session, watched: heartbeats.Heartbeat | None, now: datetime) -> datetime:
    """Return since when somebody has been watching without a pause, and note that somebody is."""
    began = next((one for one in heartbeats.every(session) if one.component == f"{WATCHDOG}:began"), None)
    if watched is None or began is None or watched.is_late(now):
        heartbeats.beat(session, f"{WATCHDOG}:began", now=now, every=timedelta(days=36_500))
        since = now
    else:
        since = began.last_at
    heartbeats.beat(session, WATCHDOG, now=now, every=EVERY)
    return since


def note_failed_run(project: Project, *, run_id: str, job: str, reason: str, now: datetime) -> None:
    """Raise an alert about a failed run of one of our jobs; it ends when a later run of the job succeeds."""
    told = f"Run {run_id} of {job} failed: {reason}"
    with project.store.write(Lock.ALERTS) as session:
        troubles.put(session, Trouble(job_component(job), Severity.CRITICAL, now, told, source_id=run_id))


def failed_jobs(project: Project) -> dict[str, datetime]:
    """Return the jobs whose last run we know of failed, with when that was noticed."""
    with project.store.read() as session:
        found = troubles.open_ones(session)
    return {one.component.removeprefix("job:"): one.since for one in found if one.component.startswith("job:")}


def note_jobs_that_work(project: Project, jobs: Iterable[str]) -> None:
    """Clear the alerts about these jobs, since later runs of them succeeded."""
    with project.store.write(Lock.ALERTS) as session:
        troubles.clear(session, [job_component(job) for job in jobs])


def job_component(job: str) -> str:
    """Return the component that a job is."""
    return f"job:{job}"


def watch_outbox(project: Project, *, now: datetime) -> tuple[str, ...]:
    """Raise an alert for each channel that is late with a page or its end; return those channels.

    It goes to the fall-back channels and ends with the next message that the channel takes, or when none is late any
    more. The pages that are late or were given up go there as well. A channel that works again is paged about what it
    refused and still goes on.
    """
    with project.store.read() as session:
        late, over = _late(session, now), _over(session)
        given_up = [one for one in deliveries.dead_since(session, now - NEWS) if one.action is Action.TRIGGER]
        refused = deliveries.refused_before_mended(session, now - REFUSED)
    if not (late or given_up or over or refused):
        return ()
    with project.store.write(Lock.ALERTS) as session:
        troubles.clear(session, over)
        for channel in sorted({one.channel for one in late}):
            troubles.put(session, _lateness(channel, [one for one in late if one.channel == channel]))
        redirect_pages(session, project, [*late, *given_up], now)
        renew_pages(session, project, refused, now)
    return tuple(sorted({one.channel for one in late}))


def _late(session: Session, now: datetime) -> list[Delivery]:
    return [one for one in deliveries.overdue(session, now=now, older_than=LATE) if one.action in _MATTERS]


def _lateness(channel: str, waiting: Sequence[Delivery]) -> Trouble:
    first = waiting[0]
    why = f": {first.outcome}" if first.outcome else ""
    told = (
        f"{channel} is late with {len(waiting)} messages, first with the {first.action} of incident "
        f"{first.incident_id} ({first.facts.slo}), due {first.due_at:%H:%M:%S} UTC{why}"
    )
    return Trouble(troubles.delivery_to(channel), Severity.CRITICAL, first.due_at, told, source_id=str(first.id))


def _over(session: Session) -> list[str]:
    """Return the troubles of channels that have nothing to send and were late with something that is not wanted now."""
    busy, found = {troubles.delivery_to(one.channel) for one in deliveries.backlog(session)}, []
    for trouble in troubles.open_ones(session):
        if trouble.component.startswith(DELIVERY) and trouble.component not in busy and trouble.source_id.isdecimal():
            message = deliveries.by_id(session, int(trouble.source_id))
            if message is not None and message.status in (DeliveryStatus.SENT, DeliveryStatus.SUPERSEDED):
                found.append(trouble.component)
    return found
