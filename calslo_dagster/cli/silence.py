"""`calslo silence`: agree that alerts are not told for a while."""

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from calslo_dagster.cli.opening import Length, author_option, config_option, format_option, opened, utc_now

if TYPE_CHECKING:
    from calslo_dagster.pipeline.silence_alerts import Covered, Listed

_EPILOG = """\b
Examples:
  calslo silence add slo=ece_bound 'intent=~refund|buy' --for 2h --reason "known, fix at 14:00"
  calslo silence add slo=p99_latency --from 2026-03-01T22:00 --to 2026-03-02T06:00 --zone Asia/Tokyo --reason move
  calslo silence add kind=breach --rrule 'FREQ=WEEKLY;BYDAY=SU' --start 01:00 --duration 4h --reason "weekly refit"
"""


@click.group()
def silence() -> None:
    """Agree that some alerts are not told for a while: add, list, expire.

    Silenced incidents are still opened, on record and in the list; their ends are always told, and emergencies pass
    unless the silence says otherwise. What is still wrong when the silence ends is told then.

    \b
    Example: calslo silence list
    """


@silence.command(epilog=_EPILOG)
@click.argument("matchers", nargs=-1, metavar="MATCHER...")
@click.option("--for", "length", type=Length(), help="How long from its start, such as 2h.")
@click.option("--from", "start", metavar="TIME", help="When it starts, such as 2026-03-01T22:00; now unless told.")
@click.option("--to", "end", metavar="TIME", help="When it ends; a recurring one has no end unless told.")
@click.option("--rrule", metavar="RULE", help="RFC 5545 rule by which it recurs, such as FREQ=WEEKLY;BYDAY=SU.")
@click.option("--zone", metavar="ZONE", help="IANA zone of the times, such as Europe/Berlin.  [default: UTC]")
@click.option("--start", "clock", metavar="HH:MM", help="When each occurrence starts, on the clock of the zone.")
@click.option("--duration", type=Length(), help="How long each occurrence lasts, on the clock of the zone.")
@click.option("--reason", required=True, help="Why, for whoever wonders at night.")
@click.option("--ticket", default="", help="Where more is written.")
@click.option("--covers-emergency", "covers_emergency", is_flag=True, help="Hold emergencies back too.")
@click.option("--maintenance", "is_maintenance", is_flag=True, help="Call it planned work instead of a known alert.")
@click.option("--force", "is_forced", is_flag=True, help="Take values that nobody has seen yet, and any length.")
@author_option
@config_option
def add(matchers: tuple[str, ...], config: Path | None, *, is_forced: bool, **options: Any) -> None:
    """Hold back what matches all MATCHERs; it is on disk when this returns.

    A MATCHER is label=value, label!=value, label=~regex or label!~regex, of the labels kind, slo, slice, model,
    environment, severity and the slice columns; a regex is for the whole value. The word `all` is for everything. Times
    are written with their zone, or without one as the clock of --zone shows them. A label, kind or severity that does
    not exist is refused; so are an SLO, model, environment or slice that nobody has seen yet, and more than 30 days
    without a break, unless there is --force.
    """
    from calslo_dagster.cli.silence_request import SilenceOptions, draft_of  # noqa: PLC0415 - keeps --help fast
    from calslo_dagster.pipeline.silence_alerts import add_silence  # noqa: PLC0415 - keeps --help fast

    now = utc_now()
    draft = draft_of(SilenceOptions(**options), now)
    with opened(config) as project:
        added, covered = add_silence(project, draft, matchers, now=now, is_forced=is_forced)
    from calslo_dagster.alerting.silences import described  # noqa: PLC0415 - keeps --help fast

    click.echo(described(added, now))
    _tell_covered(covered)


def _tell_covered(covered: "tuple[Covered, ...]") -> None:
    """Print which open incidents it is about, and whether they are held back."""
    from calslo_dagster.alerting.labels import named as about  # noqa: PLC0415 - keeps --help fast

    if not covered:
        click.echo("It covers no open incident now.")
    for one in covered:
        named = f"{one.incident.id} ({about(one.incident.labels)}, {one.incident.severity})"
        if one.is_held:
            click.echo(f"Held back from now on: {named}")
        elif one.passes:
            click.echo(f"Still told: {named} is an emergency; --covers-emergency holds it back")
        else:
            click.echo(f"Still told: {named}, of which it covers {one.slices:,} of {one.of:,} slices")


@silence.command("list")
@click.option("--all", "is_complete", is_flag=True, help="Show those that are over, too.")
@format_option
@config_option
def list_(*, is_complete: bool, form: str, config: Path | None) -> None:
    """List the silences that hold or will, with how many incidents each has held back.

    \b
    Example: calslo silence list --all
    """
    from calslo_dagster.pipeline.silence_alerts import list_silences  # noqa: PLC0415 - keeps --help fast

    now = utc_now()
    with opened(config) as project:
        found = list_silences(project, now=now, is_complete=is_complete)
    if form == "json":
        click.echo(json.dumps([_json(one) for one in found], indent=2, ensure_ascii=False))
    elif found:
        _print_table(found, now)
    else:
        click.echo("No silence holds." if is_complete else "No silence holds. Past ones: calslo silence list --all")


@silence.command()
@click.argument("silence_id", metavar="ID")
@author_option
@config_option
def expire(silence_id: str, author: str, config: Path | None) -> None:
    """End a silence now; what is still wrong is told at once. Prints what it has held back.

    \b
    Example: calslo silence expire 3
    """
    from calslo_dagster.pipeline.silence_alerts import expire_silence  # noqa: PLC0415 - keeps --help fast

    with opened(config) as project:
        found, is_new = expire_silence(project, silence_id, by=author, now=utc_now())
    click.echo(f"silence {silence_id} {'is expired' if is_new else 'was over already'}.")
    for one in found.held:
        click.echo(f"It held back {one.incident_id} ({one.slo}) at {one.at:%Y-%m-%d %H:%M} UTC.")
    if not found.held:
        click.echo("It has held nothing back.")


def _json(one: "Listed") -> dict[str, Any]:
    span = {"start": one.span.start.isoformat(), "end": one.span.end.isoformat()} if one.span else None
    held = [{"incident": h.incident_id, "slo": h.slo, "at": h.at.isoformat()} for h in one.held]
    return {**one.silence.to_json(), "stage": str(one.stage), "span": span, "held_back": held}


def _print_table(found: "tuple[Listed, ...]", now: datetime) -> None:
    from calslo_dagster.alerting.silences import described  # noqa: PLC0415 - keeps --help fast
    from calslo_dagster.cli.tables import console, table  # noqa: PLC0415 - keeps --help fast

    rows = (
        (one.silence.id, str(one.stage), f"{len(one.held):,}", described(one.silence, _seen(one, now))) for one in found
    )
    console().print(table("Silences", ("id", "stage", "held back", "what"), rows))


def _seen(one: "Listed", now: datetime) -> datetime:
    """Return the instant from which on the next span is the one that holds now, if one does."""
    return one.span.start if one.span else now
