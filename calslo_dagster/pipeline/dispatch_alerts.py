"""One round of alerting outside Dagster: see whether we stand still, decide, empty the outbox, give a sign of life."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from calslo_dagster.pipeline.advance_alerts import advance_alerts
from calslo_dagster.pipeline.deliver_outbox import Clock, Tally, deliver_outbox, never, utc_now
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.report_silences import report_silences
from calslo_dagster.pipeline.send_heartbeat import send_heartbeat
from calslo_dagster.pipeline.watch_ourselves import WATCHDOG, watch_freshness, watch_outbox
from calslo_dagster.store import heartbeats

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


def dispatch_alerts(project: Project, *, clock: Clock = utc_now, stop: Callable[[], bool] = never) -> Round:
    """Bring alerts up to date and send what is due; safe beside the sensor of Dagster and others of its kind.

    `stop` ends it early: what is being sent is still finished.
    """
    _watch(project, clock())
    late = watch_outbox(project, now=clock())
    tally = Tally()
    try:
        ordered = advance_alerts(project, now=clock()) + report_silences(project, now=clock())
    finally:
        # What was decided earlier goes out even when nothing can be decided now.
        tally = deliver_outbox(project, clock=clock, stop=stop)
    send_heartbeat(project, now=clock())
    return Round(ordered, tally, late)


def _watch(project: Project, now: datetime) -> None:
    with project.store.read() as session:
        last = next((one.last_at for one in heartbeats.every(session) if one.component == WATCHDOG), None)
    if last is None or now - last >= WATCHED_EVERY:
        watch_freshness(project, now=now)
