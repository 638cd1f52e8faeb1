"""Incidents for the terminal: a list, a page, and the chain that explains one."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

import click
from rich.console import Console
from rich.text import Text

from calslo_dagster.alerting.message import compose
from calslo_dagster.alerting.model import Alert, Incident, Kind, Severity
from calslo_dagster.alerting.phrases import one_line
from calslo_dagster.alerting.readings import against, place
from calslo_dagster.cli.tables import console, is_roomy, narrow_wraps, table
from calslo_dagster.pipeline.describe_incident import SHOWN_RESOLVED, Description, Line, Record
from calslo_dagster.pipeline.explain_alerts import Explanation
from calslo_dagster.reporting.tables import NOTHING, moment
from calslo_dagster.store.deliveries import Delivery

STYLES: Final = {
    Severity.EMERGENCY: "bold magenta",
    Severity.CRITICAL: "bold red",
    Severity.WARNING: "yellow",
    Severity.INFO: "cyan",
}
# Slices that are hurt less than so many others are in the JSON of the list and in the store.
SHOWN_MEMBERS: Final = 40
_LONGEST: Final = 400


def print_incidents(lines: Sequence[Line], form: str) -> None:
    """Print the list, as `table` or `json`."""
    if form == "json":
        click.echo(json.dumps([_json(line) for line in lines], indent=2, ensure_ascii=False))
        return
    if not any(line.incident.is_open for line in lines):
        click.echo("No incident is open." + ("" if lines else " The last ones: calslo alerts list --all"))
    if lines:
        out = console()
        header = ("id", "severity", "state", "SLO", "model", "slices", "since (UTC)", "acked by", "next")
        out.print(table("Incidents", header, map(_row, lines), wraps=narrow_wraps(out, header)))
    if len([line for line in lines if not line.incident.is_open]) >= SHOWN_RESOLVED:
        click.echo(f"Older ones are left out; the last {SHOWN_RESOLVED} that were opened are looked at.")


def _row(line: Line) -> tuple[str | Text, ...]:
    one = line.incident
    return (
        one.id,
        Text(one.severity, STYLES[one.severity]),
        str(one.state),
        _name(one),
        _plain(one.labels.get("model", "")) or NOTHING,
        f"{line.slices:,}",
        moment(line.since),
        _plain(one.acked_by or NOTHING),
        _plain(line.next_step if one.is_open else f"over since {moment(one.resolved_at)}: {one.reason}") or NOTHING,
    )


def _json(line: Line) -> dict[str, Any]:
    one = line.incident
    times = ("opened_at", "acked_at", "ack_expires_at", "resolved_at", "next_repeat_at")
    return {
        "id": one.id,
        "severity": str(one.severity),
        "peak_severity": str(one.peak_severity),
        "state": str(one.state),
        **{name: one.labels.get(name, "") for name in ("kind", "slo", "model", "environment")},
        "episode": one.episode,
        "slices": line.slices,
        "since": line.since.isoformat(),
        **{name: at.isoformat() if (at := getattr(one, name)) else None for name in times},
        "acked_by": one.acked_by,
        "suppressed_by": one.suppressed_by,
        "flaps": one.flaps,
        "reason": one.reason,
        "next": line.next_step,
    }


def _name(one: Incident) -> str:
    kind = one.labels.get("kind", "")
    return _plain(one.labels["slo"] + ("" if kind == Kind.BREACH else f" ({kind})"))


def print_incident(found: Description) -> None:
    """Print the page of an incident."""
    out, record = console(), found.record
    words = compose(found.facts, found.action)
    out.print(Text(words.title, STYLES[record.incident.severity]), soft_wrap=True)
    out.print(Text(words.text), soft_wrap=True)
    out.print()
    _print_state(out, record)
    _print_members(out, record.members, found.facts.unit)
    _print_timeline(out, record)
    _print_deliveries(out, record)


def _print_state(out: Console, record: Record) -> None:
    one, course = record.incident, record.escalation
    rows = [("state", f"{one.state}, {one.severity}, at worst {one.peak_severity}")]
    if one.acked_by:
        rows.append(("acknowledged", f"by {_plain(one.acked_by)} until {moment(one.ack_expires_at)} UTC"))
    if course is not None:
        steps = f"step {min(course.step + 1, len(course.policy.steps))} of {len(course.policy.steps)}"
        rows.append(("escalation", f"policy {course.policy.name}, round {course.round}, {steps}, {course.state}"))
    rows.append(("next", record.next_step or "nothing"))
    out.print(table("Where it stands", ("", ""), rows, wraps=("",)))
    out.print()


def _print_members(out: Console, members: Sequence[Alert], unit: str) -> None:
    header = ("slice", "state", "since (UTC)", "value and limit", "events", "ended")
    rows = (
        (
            _plain(place(one.subject.slice)),
            str(one.state),
            moment(one.since),
            against(one.finding, unit) or _plain(one.finding.reason),
            f"{one.finding.events:,}",
            f"{moment(one.resolved_at)}: {_plain(one.reason)}" if one.resolved_at else "",
        )
        for one in members[:SHOWN_MEMBERS]
    )
    rest = len(members) - SHOWN_MEMBERS
    title = "Slices by harm" + (f" ({rest:,} more, none worse)" if rest > 0 else "")
    out.print(table(title, header, rows, wraps=narrow_wraps(out, header)))
    out.print()


def _print_timeline(out: Console, record: Record) -> None:
    header = ("at (UTC)", "what", "by", "why")
    rows = (
        (
            _second(one.event.at),
            one.event.kind,
            f"{_plain(one.event.actor)} ({one.event.source})",
            _plain(one.event.reason),
        )
        for one in record.events
    )
    out.print(table("Timeline, from the audit log", header, rows, wraps=narrow_wraps(out, header)))
    out.print()


def _print_deliveries(out: Console, record: Record) -> None:
    if not record.deliveries:
        out.print("No message has been ordered about it.")
        return
    header = ("ordered (UTC)", "message", "channel", "status", "attempts", "ended", "outcome")
    rows = [row for one in record.deliveries for row in _delivery(record, one)]
    out.print(table("Messages", header, rows, wraps=narrow_wraps(out, header)))


def _delivery(record: Record, one: Delivery) -> Iterator[tuple[str, ...]]:
    """Yield a row for the message, and one for each attempt that failed."""
    ended = _second(one.ended_at) if one.ended_at else NOTHING
    outcome = " ".join(filter(None, [one.failure, one.outcome])) or one.reason
    row = (_second(one.ordered_at), str(one.action), one.channel, str(one.status), str(one.attempts), ended)
    yield (*row, _plain(outcome))
    for attempt in record.attempts.get(one.id, ()):
        if attempt.result != "ok":
            wait = f", asked for {attempt.retry_after}" if attempt.retry_after else ""
            told = f"attempt {attempt.n}: {attempt.result} {attempt.detail}{wait}"
            yield ("", "", "", "", "", _second(attempt.ended_at), _plain(told))


def print_explanation(found: Explanation) -> None:
    """Print the answer, and below it the chain that it rests on."""
    out = console()
    out.print(Text(f"{_plain(found.subject)} at {_second(found.at)} UTC", "dim"), soft_wrap=True)
    out.print(Text(_plain(found.conclusion), "bold"), soft_wrap=True)
    out.print()
    header = ("", "when (UTC)", "what")
    rows = ((str(one.topic), _second(one.at) if one.at else NOTHING, _plain(one.words)) for one in found.reasons)
    out.print(table("", header, rows, wraps=() if is_roomy(out) else ("what",)))
    if found.incident_id:
        click.echo(f"\nMore: calslo alerts show {found.incident_id}")


def _second(instant: Any) -> str:
    return f"{instant:%Y-%m-%d %H:%M:%S}"


def _plain(text: str) -> str:
    """Return the text as one line that holds nothing a terminal would obey."""
    return one_line(text, _LONGEST)
