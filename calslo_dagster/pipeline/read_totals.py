"""Read what happened within the last days, for counters."""

from datetime import datetime, timedelta
from typing import Final

from calslo_dagster.exports.prometheus import Promised
from calslo_dagster.pipeline.context import step_of
from calslo_dagster.pipeline.project import Project
from calslo_dagster.reporting.totals import JudgedDay, Opened, Sent, Totals
from calslo_dagster.store import breaches, deliveries, slo_days

# A weekly comparison may come two days late.
LOOKED_BACK: Final = timedelta(days=4)


def read_totals(project: Project, *, now: datetime) -> Totals:
    """Return what was judged, opened and sent within the last days."""
    since = now - LOOKED_BACK
    with project.store.read() as session:
        days = slo_days.tallies(session, project.registry.names, first=since.date(), last=now.date())
        opened = breaches.opened_since(session, since)
        sent = deliveries.ended_since(session, since)
    return Totals(
        days=tuple(JudgedDay(slo, day, tally) for (slo, day), tally in days.items()),
        breaches=tuple(Opened(breach_id, slo) for breach_id, slo in opened),
        messages=tuple(Sent(number, channel, outcome) for number, channel, outcome in sent),
    )


def promised_of(project: Project) -> tuple[Promised, ...]:
    """Return target and cadence of every SLO."""
    return tuple(Promised(slo.name, slo.target, step_of(project, slo)) for slo in project.registry)
