"""The incidents of the demo's history, each with its timeline."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Final

from rich.console import Console
from rich.text import Text
from sqlalchemy.orm import Session

from calslo_dagster.alerting.model import DeliveryStatus, Incident
from calslo_dagster.cli.incident_pages import STYLES
from calslo_dagster.cli.tables import narrow_wraps, table
from calslo_dagster.pipeline.describe_incident import Record, record_of
from calslo_dagster.pipeline.project import Project
from calslo_dagster.reporting.tables import moment
from calslo_dagster.slo.windows import spoken
from calslo_dagster.store import incidents
from calslo_dagster.store.deliveries import Delivery

# What says nothing that the other columns do not.
_LEFT_OUT: Final = frozenset({"opened", "escalation began", "joined", "left", "not notified", "repeated"})


def tell_incidents(out: Console, project: Project, *, since: datetime) -> None:
    """Print every incident that was open at `since` or later, oldest first, with what happened to it."""
    with project.store.read() as session:
        latest = incidents.recent(session, 1)
        end = latest[0].opened_at + timedelta.resolution if latest else since
        found = incidents.between(session, start=since, end=max(end, since + timedelta.resolution))
        rows = [_row(session, one) for one in found]
        sent = Counter(d.channel for one in found for d in record_of(session, one).deliveries if _is_sent(d))
    header = ("incident", "SLO", "worst", "opened (UTC)", "lasted", "slices", "messages", "timeline")
    title = f"Incidents ({len(rows)})"
    out.print(table(title, header, rows, wraps=narrow_wraps(out, header)))
    told = ", ".join(f"{count} to {channel}" for channel, count in sorted(sent.items())) or "none"
    out.print(f"\nmessages: {told}; the log is {project.settings.alert_log}", style="bold")
    out.print("calslo alerts show ID has all of one, calslo alerts why ID explains it.\n", style="dim")


def _is_sent(one: Delivery) -> bool:
    return one.status is DeliveryStatus.SENT


def _row(session: Session, one: Incident) -> tuple[str | Text, ...]:
    record = record_of(session, one)
    sent = Counter(d.action for d in record.deliveries if _is_sent(d))
    return (
        one.id,
        one.labels["slo"],
        Text(one.peak_severity, STYLES[one.peak_severity]),
        moment(one.opened_at),
        spoken(one.resolved_at - one.opened_at) if one.resolved_at else "goes on",
        f"{len(record.members):,}",
        ", ".join(f"{count} {action}" for action, count in sent.items()) or "none",
        _timeline(one, record),
    )


def _timeline(one: Incident, record: Record) -> str:
    """Return what happened, in order, with the time since it opened."""
    parts = []
    for event in (logged.event for logged in record.events if logged.event.kind not in _LEFT_OUT):
        after = event.at - one.opened_at
        parts.append(f"{event.kind} after {spoken(after)}" if after else f"{event.kind} at once")
    return ", ".join(parts)
