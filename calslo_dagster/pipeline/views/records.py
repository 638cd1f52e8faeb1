"""What is on record, as documents: alerts, the audit log, and the settings in force."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from calslo_dagster.alerting.model import Incident
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.views.overview import alerts_table
from calslo_dagster.pipeline.views.told import told_alerts
from calslo_dagster.pipeline.views.wanted import Wanted
from calslo_dagster.reporting.board import Board
from calslo_dagster.reporting.document import (
    Column,
    Document,
    Section,
    Table,
    count,
    hidden,
    moment,
    numbers,
    rows_of,
    text,
)
from calslo_dagster.settings.show import settings_yaml
from calslo_dagster.slo.windows import spoken
from calslo_dagster.store import alert_events
from calslo_dagster.store.alert_events import LoggedEvent

MOST_EVENTS: Final = 500


def alerts_view(project: Project, board: Board, wanted: Wanted) -> Document:
    """Return the alerts that go on, and those that are over, newest first."""
    with project.store.read() as session:
        found = told_alerts(session, board, wanted)
    active, until = found.active, found.until
    firing = sum(one.state == "firing" for one in active)
    told = f"{len(active):,} alerts go on, {firing:,} of them with nobody." if active else "No alert goes on."
    return Document(
        wanted.view,
        "Alerts",
        (told,),
        "breached" if firing else "warning" if active else "",
        until,
        wanted.stated,
        (
            Section("alerts", "Active alerts", tables=(alerts_table(active),)),
            Section("over", "Over", tables=(_over(found.over),)),
        ),
    )


def _over(found: Sequence[Incident]) -> Table:
    columns = (
        Column("slo", "About"),
        Column("model", "Model"),
        Column("severity", "At worst"),
        Column("opened_at", "Began (UTC)"),
        Column("resolved_at", "Ended (UTC)"),
        Column("resolved_by", "By"),
        Column("reason", "Why"),
        *hidden("id", "kind"),
    )
    rows = [
        [
            text(one.labels.get("slo") or one.labels.get("kind"), path=f"/alerts/{one.id}"),
            text(one.labels.get("model")),
            text(one.peak_severity),
            moment(one.opened_at),
            moment(one.resolved_at),
            text(one.resolved_by or "itself"),
            text(one.reason),
            text(one.id),
            text(one.labels.get("kind")),
        ]
        for one in found
    ]
    return Table("over", "Over", columns, rows_of(rows), empty="None in these days.")


def audit(project: Project, wanted: Wanted) -> Document:
    """Return the newest events of the audit log, and whether nobody has changed it."""
    with project.store.read() as session:
        newest = alert_events.newest_at(session)
        until = wanted.until or newest
        start = until - timedelta(days=wanted.days) if until else None
        found = alert_events.between(session, start=start, end=until + timedelta.resolution) if until and start else ()
        checked = alert_events.verify(session)
    shown = list(reversed(found))[:MOST_EVENTS]
    told = (
        f"The chain of {checked.events:,} events is whole."
        if not checked.reason
        else f"The log was changed: {checked.reason}"
    )
    rest = f" The newest {len(shown):,} of {len(found):,} events of these days." if len(found) > len(shown) else ""
    return Document(
        wanted.view,
        "Audit log",
        (told + rest,),
        "breached" if checked.reason else "",
        until,
        wanted.stated,
        (Section("events", "Events, newest first", tables=(_events(shown),)),),
    )


def _events(found: list[LoggedEvent]) -> Table:
    columns = (
        numbers("number", "No."),
        Column("at", "At (UTC)"),
        Column("kind", "What"),
        Column("actor", "Who"),
        Column("source", "How"),
        Column("reason", "Why"),
        Column("incident_id", "Alert"),
        *hidden("hash"),
    )
    rows = [
        [
            count(one.id),
            moment(one.event.at),
            text(one.event.kind),
            text(one.event.actor),
            text(one.event.source),
            text(one.event.reason),
            text(one.event.incident_id[:8] if one.event.incident_id else "", path=_alert(one.event.incident_id)),
            text(one.hash),
        ]
        for one in found
    ]
    return Table("events", "Events, newest first", columns, rows_of(rows), empty="Nothing has happened in these days.")


def _alert(incident_id: str | None) -> str:
    return f"/alerts/{incident_id}" if incident_id else ""


def settings_view(project: Project, board: Board, wanted: Wanted) -> Document:
    """Return the settings in force, as the file would say them; of a secret only the place that holds it."""
    lines = settings_yaml(project.settings).splitlines()
    slos = Table(
        "slos",
        "SLOs",
        (
            Column("slo", "SLO"),
            Column("title", "Title"),
            Column("window", "Window"),
            numbers("target", "Target"),
            Column("mode", "Mode"),
            Column("severity", "Severity"),
            Column("owner", "Owner"),
            Column("definition_hash", "Definition"),
        ),
        rows_of(
            [
                text(slo.name, path=f"/slos/{slo.name}"),
                text(slo.title),
                text(spoken(slo.window)),
                text(f"{slo.target:.4g}"),
                text(slo.mode),
                text(slo.severity),
                text(slo.owner),
                text(project.registry.hash_of(slo.name)[:12]),
            ]
            for slo in project.registry
        ),
    )
    whole = Table("lines", "The file", (Column("line", "calslo.yaml"),), rows_of([text(line)] for line in lines))
    return Document(
        wanted.view,
        "Settings",
        ("What is in force. Change it in calslo.yaml and check it with `calslo config check`.",),
        "",
        board.evaluated_at,
        wanted.stated,
        (Section("slos", "SLOs", tables=(slos,)), Section("lines", "The file", tables=(whole,))),
    )
