"""The incidents of the demo's history, each with its timeline."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final

from rich.console import Console
from rich.text import Text

from calslo_dagster.alerting.model import DeliveryStatus, Event, Incident
from calslo_dagster.channels.pagerduty import UNSENT
from calslo_dagster.cli.incident_pages import STYLES
from calslo_dagster.cli.tables import is_roomy, table
from calslo_dagster.pipeline.describe_incident import Record, record_of
from calslo_dagster.pipeline.project import Project
from calslo_dagster.reporting.tables import moment
from calslo_dagster.slo.windows import spoken
from calslo_dagster.store import incidents
from calslo_dagster.store.deliveries import Delivery

# What says nothing that the other columns do not.
_LEFT_OUT: Final = frozenset({"opened", "escalation began", "joined", "left", "not notified", "delivered"})
_TIMES: Final = {1: "once", 2: "twice"}


def tell_incidents(out: Console, project: Project, *, since: datetime) -> None:
    """Print every incident that was open at `since` or later, oldest first, with what happened to it."""
    with project.store.read() as session:
        latest = incidents.recent(session, 1)
        end = latest[0].opened_at + timedelta.resolution if latest else since
        found = incidents.between(session, start=since, end=max(end, since + timedelta.resolution))
        records = [record_of(session, one) for one in found]
    rows = [_columns(record) for record in records]
    header = [name for name in _HEADER if is_roomy(out) or name not in _NEEDS_ROOM]
    cells = ([row[name] for name in header] for row in rows)
    out.print(table(f"Incidents ({len(rows)})", header, cells))
    sent = Counter(one.channel for record in records for one in record.deliveries if _is_sent(one))
    told = ", ".join(f"{count} to {channel}" for channel, count in sorted(sent.items())) or "none"
    out.print(f"\nMessages: {told}; the log is {project.settings.alert_log}", style="bold", soft_wrap=True)


_HEADER: Final = ("incident", "SLO", "model", "worst", "opened (UTC)", "slices", "messages", "timeline")
_NEEDS_ROOM: Final = frozenset({"model", "worst", "slices", "messages"})


def _columns(record: Record) -> dict[str, str | Text]:
    one = record.incident
    return {
        "incident": one.id,
        "SLO": one.labels["slo"],
        "model": one.labels.get("model", ""),
        "worst": Text(one.peak_severity, STYLES[one.peak_severity]),
        "opened (UTC)": moment(one.opened_at),
        "slices": f"{len(record.members):,}",
        # Each went to every channel of its step.
        "messages": str(len({(sent.action, sent.cause) for sent in record.deliveries if _is_sent(sent)}) or "none"),
        "timeline": ", ".join(_timeline(one, record)),
    }


def _is_sent(one: Delivery) -> bool:
    return one.status is DeliveryStatus.SENT and one.outcome != UNSENT


def _timeline(one: Incident, record: Record) -> Iterator[str]:
    """Yield what happened, in order, with the time since it opened."""
    events = [logged.event for logged in record.events if logged.event.kind not in _LEFT_OUT]
    for word, found in groupby(events, _word):
        if word == "repeated":
            count = len(list(found))
            yield f"repeated {_TIMES.get(count, f'{count} times')}"
        else:
            yield from (f"{word} {_after(event.at - one.opened_at)}" for event in found)
    if one.is_open:
        yield "goes on"


def _word(event: Event) -> str:
    """Return what is called so on the timeline: a step after the first one is an escalation."""
    if event.kind == "muted":
        return f"muted ({event.payload['by'].partition(':')[0]})"
    return "escalated" if event.kind == "notified" and event.payload.get("step") else event.kind


def _after(passed: timedelta) -> str:
    return f"after {spoken(passed)}" if passed else "at once"
