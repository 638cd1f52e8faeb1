"""One round of alerting: see whether we stand still, decide, empty the outbox, give a sign of life."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from calslo_dagster.pipeline.advance_alerts import advance_alerts
from calslo_dagster.pipeline.deliver_outbox import Clock, Tally, deliver_outbox, never, utc_now
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.report_silences import report_silences
from calslo_dagster.pipeline.send_heartbeat import send_heartbeat
from calslo_dagster.pipeline.watch_ourselves import WATCHDOG, watch_freshness
from calslo_dagster.pipeline.watch_outbox import watch_outbox
from calslo_dagster.store import heartbeats

logger = logging.getLogger("calslo_dagster.alerts")

# Whoever else watches does so each minute, and each look is a write.
WATCHED_EVERY: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Round:
    """What one round did: messages ordered, what became of those that were due, and which channels are late."""

    ordered: int = 0
    tally: Tally = field(default_factory=Tally)
    late: tuple[str, ...] = ()

    @property
    def is_quiet(self) -> bool:
        """Whether there is nothing to tell."""
        return not (self.ordered or any(vars(self.tally).values()) or self.late)

    def __str__(self) -> str:
        """Return what was done, in words."""
        late = f"; late: {', '.join(self.late)}" if self.late else ""
        return f"{self.ordered} messages ordered; {self.tally}{late}"


@dataclass
class _Stages:
    """What went wrong in the stages of a round, none of which keeps another from its turn."""

    faults: list[tuple[str, Exception]] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Keep what goes wrong in the block for the end of the round."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - it is raised at the end of the round
            self.faults.append((name, error))

    def end(self) -> None:
        """Raise the first thing that went wrong, and log the others."""
        for name, error in self.faults[1:]:
            logger.error("%s failed too: %s", name, error, exc_info=error)
        if self.faults:
            raise self.faults[0][1]


def dispatch_alerts(project: Project, *, clock: Clock = utc_now, stop: Callable[[], bool] = never) -> Round:
    """Bring alerts up to date and send what is due; safe beside others that do so at the same time.

    What was decided earlier goes out even when nothing can be decided now: what fails is raised at the end. `stop` ends
    it early: what is being sent is still finished.
    """
    stages, ordered, tally, late = _Stages(), 0, Tally(), tuple[str, ...]()
    with stages.stage("watching the evaluation"):
        _watch(project, clock())
    with stages.stage("watching the outbox"):
        late = watch_outbox(project, now=clock())
    with stages.stage("deciding"):
        ordered += advance_alerts(project, now=clock())
    with stages.stage("reporting silences"):
        ordered += report_silences(project, now=clock())
    with stages.stage("sending"):
        tally = deliver_outbox(project, clock=clock, stop=stop)
    with stages.stage("giving a sign of life"):
        # Whoever fails is not well, and says so by saying nothing.
        if not stages.faults:
            send_heartbeat(project, now=clock())
    stages.end()
    return Round(ordered, tally, late)


def _watch(project: Project, now: datetime) -> None:
    with project.store.read() as session:
        last = next((one.last_at for one in heartbeats.every(session) if one.component == WATCHDOG), None)
    if last is None or now - last >= WATCHED_EVERY:
        watch_freshness(project, now=now)
