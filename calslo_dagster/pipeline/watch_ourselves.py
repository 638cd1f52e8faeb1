"""Notice when we ourselves fail: evaluation stands still, runs break."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from calslo_dagster.pipeline.project import Project
from calslo_dagster.slo.model import Cadence, Severity
from calslo_dagster.slo.windows import week_of
from calslo_dagster.store import evaluations, heartbeats, troubles
from calslo_dagster.store.session import Lock
from calslo_dagster.store.troubles import Trouble

# Ten missed minutes are no hiccup of the scheduler any more.
STALE_AFTER: Final = timedelta(minutes=10)
# Schedules that begin to run after a pause get so long to catch up before their standstill is one.
GRACE: Final = timedelta(minutes=5)
# Labels that are late, or a run that is tried again, may take a week's comparison so far past its time.
WEEK_STALE_AFTER: Final = timedelta(days=2)
EVALUATION: Final = "evaluation"
WEEKLY_EVALUATION: Final = "evaluation:weekly"
_EVALUATIONS: Final = frozenset({EVALUATION, WEEKLY_EVALUATION})
WATCHDOG: Final = "watchdog"
EVERY: Final = timedelta(minutes=5)
# What is noted once is not expected again.
FOREVER: Final = timedelta(days=36_500)


def watch_freshness(project: Project, *, now: datetime) -> str:
    """Raise or clear the alerts about a standstill of the evaluation; return what was seen, as a sentence.

    One that began while nobody watched is given some minutes to end: schedules that were off have to catch up first.
    """
    with project.store.write(Lock.ALERTS) as session:
        watched = next((one for one in heartbeats.every(session) if one.component == WATCHDOG), None)
        since = _watched_since(session, watched, now)
        found = list(standstills(session, project, now, since=since))
        troubles.clear(session, _EVALUATIONS - {one.component for one in found})
        told = "; ".join(one.reason for one in found)
        if found and now - since < GRACE:
            return f"{told}; it has {int(GRACE.total_seconds() // 60)} minutes to catch up"
        for one in found:
            troubles.put(session, one)
        return told or _freshness(session, project, now)


def standstills(session: Session, project: Project, now: datetime, *, since: datetime | None) -> Iterator[Trouble]:
    """Yield what is not evaluated that should have been: the present, and the week that ended.

    since: since when somebody has been watching, from which on what was never evaluated is late; None if nobody has, so
    that what was never evaluated is late already.
    """
    yield from _minutes_missed(session, project, now, since)
    yield from _weeks_missed(session, project, now, since)


def _minutes_missed(session: Session, project: Project, now: datetime, since: datetime | None) -> Iterator[Trouble]:
    names, last = _names(project, Cadence.MINUTE), _last_live(session, project)
    began = last or since
    if not names or (began is not None and now - began <= STALE_AFTER):
        return
    what = f"No SLO has been evaluated since {last:%Y-%m-%d %H:%M} UTC" if last else "No SLO has ever been evaluated"
    told = f"{what}; look at the runs of minute_job in Dagster"
    yield Trouble(EVALUATION, Severity.EMERGENCY, began or now, told, source_id=last.isoformat() if last else "never")


def _weeks_missed(session: Session, project: Project, now: datetime, since: datetime | None) -> Iterator[Trouble]:
    """Yield that the last week that should have been compared was not."""
    names = _names(project, Cadence.WEEKLY)
    ended = [end for name in names if (end := evaluations.last_closed(session, name))]
    wait = _first_look(project.settings.weekly_cron) + WEEK_STALE_AFTER
    wanted = week_of(now - wait).start
    began = max(ended, default=since)
    if not names or began is None or began >= wanted:
        return
    told = f"The week that ended on {wanted:%Y-%m-%d} has not been compared; look at the runs of weekly_job in Dagster"
    yield Trouble(WEEKLY_EVALUATION, Severity.CRITICAL, wanted + wait, told, source_id=wanted.isoformat())


def _names(project: Project, cadence: Cadence) -> list[str]:
    return [slo.name for slo in project.registry if slo.cadence is cadence]


def _last_live(session: Session, project: Project) -> datetime | None:
    found = (evaluations.last_live(session, name) for name in _names(project, Cadence.MINUTE))
    return max(filter(None, found), default=None)


def _freshness(session: Session, project: Project, now: datetime) -> str:
    last = _last_live(session, project)
    return f"last evaluation {int((now - last).total_seconds())} s ago" if last else "nothing has been evaluated yet"


def _first_look(cron: str) -> timedelta:
    """Return how long after a week has ended the schedule looks at it; the settings accept one look a week only."""
    minute, hour, _, _, weekday = cron.split()
    return timedelta(days=(int(weekday) - 1) % 7, hours=int(hour), minutes=int(minute))


def _watched_since(session: Session, watched: heartbeats.Heartbeat | None, now: datetime) -> datetime:
    """Return since when somebody has been watching without a pause, and note that somebody is."""
    began = next((one for one in heartbeats.every(session) if one.component == f"{WATCHDOG}:began"), None)
    if watched is None or began is None or watched.is_late(now):
        heartbeats.beat(session, f"{WATCHDOG}:began", now=now, every=FOREVER)
        since = now
    else:
        since = began.last_at
    heartbeats.beat(session, WATCHDOG, now=now, every=EVERY)
    return since


def note_failed_run(project: Project, *, run_id: str, job: str, reason: str, now: datetime) -> None:
    """Raise an alert about a failed run of one of our jobs; it ends when a later run of the job succeeds."""
    with project.store.read() as session:
        if any(one.source_id == run_id for one in troubles.open_ones(session)):
            return
    told = f"Run {run_id} of {job} failed: {reason}"
    with project.store.write(Lock.ALERTS) as session:
        troubles.put(session, Trouble(job_component(job), Severity.CRITICAL, now, told, source_id=run_id))


def failed_jobs(project: Project) -> dict[str, datetime]:
    """Return the jobs whose last run we know of failed, with since when they do."""
    with project.store.read() as session:
        found = troubles.open_ones(session)
    return {one.component.removeprefix("job:"): one.since for one in found if one.component.startswith("job:")}


def note_jobs_that_work(project: Project, jobs: Iterable[str]) -> None:
    """Clear the alerts about these jobs, since later runs of them succeeded."""
    broken = failed_jobs(project)
    jobs = [job for job in jobs if job in broken]
    if not jobs:
        return
    with project.store.write(Lock.ALERTS) as session:
        troubles.clear(session, [job_component(job) for job in jobs])


def job_component(job: str) -> str:
    """Return the component that a job is."""
    return f"job:{job}"
