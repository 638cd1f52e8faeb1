"""`calslo alerts`: what is open, why somebody was told or not, and the answers that people give."""

import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import click

from calslo_dagster.cli.opening import Length, Moment, author_option, config_option, format_option, opened, utc_now

NOT_ARRIVED: Final = 1
_incident = click.argument("incident_id", metavar="ID")
_note = click.option("--note", default="", help="Words for the others; they are on record and in the message.")


@click.group()
def alerts() -> None:
    """See what is open, explain it, and answer: acknowledge, take back, resolve.

    An ID may be cut to its first letters, as long as they are those of one incident only. Times are in UTC.

    \b
    Example: calslo alerts list
    """


@alerts.command("list")
@click.option("--all", "is_complete", is_flag=True, help="Show the last incidents that are over, too.")
@format_option
@config_option
def list_(*, is_complete: bool, form: str, config: Path | None) -> None:
    """List the open incidents, the worst first, with what happens next.

    \b
    Example: calslo alerts list --all --format json
    """
    from calslo_dagster.cli.incident_pages import print_incidents  # noqa: PLC0415 - keeps --help fast
    from calslo_dagster.pipeline.describe_incident import list_incidents  # noqa: PLC0415 - keeps --help fast

    with opened(config) as project:
        print_incidents(list_incidents(project, is_complete=is_complete), form)


@alerts.command()
@_incident
@config_option
def show(incident_id: str, config: Path | None) -> None:
    """Show an incident: its facts, slices by harm, timeline, messages with their attempts, and what happens next.

    \b
    Example: calslo alerts show 3f9a
    """
    from calslo_dagster.cli.incident_pages import print_incident  # noqa: PLC0415 - keeps --help fast
    from calslo_dagster.pipeline.describe_incident import describe_incident  # noqa: PLC0415 - keeps --help fast

    with opened(config) as project:
        print_incident(describe_incident(project, incident_id, now=utc_now()))


@alerts.command()
@_incident
@click.option(
    "--for", "length", type=Length(), help="How long it holds, such as 2h; `alerting.ack_expires` unless told."
)
@_note
@author_option
@config_option
def ack(incident_id: str, length: timedelta | None, **options: Any) -> None:
    """Say that you have it: nobody else is told until you take it back, time is over, or it gets worse.

    \b
    Example: calslo alerts ack 3f9a --for 2h --note "rolling back"
    """
    now = utc_now()
    _answer("ack", incident_id, now=now, until=now + length if length else None, **options)


@alerts.command()
@_incident
@_note
@author_option
@config_option
def unack(incident_id: str, **options: Any) -> None:
    """Take an acknowledgement back: the escalation starts over at once.

    \b
    Example: calslo alerts unack 3f9a --note "needs the on-call of search"
    """
    _answer("unack", incident_id, now=utc_now(), **options)


@alerts.command()
@_incident
@click.option("--note", required=True, help="Why it is over, for the others.")
@author_option
@config_option
def resolve(incident_id: str, **options: Any) -> None:
    """End an incident by hand; the same trouble does not open it again, a new one does.

    \b
    Example: calslo alerts resolve 3f9a --note "labels of the test traffic"
    """
    _answer("resolve", incident_id, now=utc_now(), **options)


def _answer(answer: str, incident_id: str, *, now: datetime, until: datetime | None = None, **options: Any) -> None:
    from calslo_dagster.pipeline.respond_to_alerts import Answer, Response, respond  # noqa: PLC0415 - keeps --help fast

    response = Response(Answer(answer), incident_id, options["author"], "cli", options["note"], until)
    with opened(options["config"]) as project:
        click.echo(f"{respond(project, response, now=now)}.")


@alerts.command()
@click.argument("incident_id", metavar="[ID]", required=False)
@click.option("--slo", metavar="NAME", help="The SLO, or a component of ours such as `evaluation`, instead of an ID.")
@click.option("--slice", "slice_name", metavar="SLICE", default="*", show_default=True, help="The slice of that SLO.")
@click.option("--at", type=Moment(), help="The instant to explain, such as 2026-03-01T12:00:00Z; now unless told.")
@config_option
def why(incident_id: str | None, slo: str | None, **options: Any) -> None:
    """Explain why somebody was told, or why nobody was: one chain from what was measured to what was sent.

    \b
    Examples:
      calslo alerts why 3f9a
      calslo alerts why --slo ece_bound --slice intent=refund --at 2026-03-01T12:00:00Z
    """
    from calslo_dagster.cli.incident_pages import print_explanation  # noqa: PLC0415 - keeps --help fast
    from calslo_dagster.pipeline.explain_alerts import explain_incident, explain_slice  # noqa: PLC0415 - keeps --help fast

    if (incident_id is None) == (slo is None):
        raise click.UsageError("name an incident by its ID, or an SLO with --slo, and not both")
    with opened(options["config"]) as project:
        if incident_id is not None:
            found = explain_incident(project, incident_id, at=options["at"], now=utc_now())
        else:
            found = explain_slice(project, slo or "", options["slice_name"], at=options["at"], now=utc_now())
        print_explanation(found)


@alerts.command()
@click.option("--channel", required=True, metavar="NAME", help="The channel to try, as the settings call it.")
@author_option
@config_option
def test(channel: str, author: str, config: Path | None) -> None:
    """Send a test through the outbox, as a page would go, and tell how the channel took it.

    A channel that rests after failures is tried at once. Exit code: 0 arrived, 1 not, 2 bad usage or settings.

    \b
    Example: calslo alerts test --channel oncall
    """
    from calslo_dagster.pipeline.send_test import send_test  # noqa: PLC0415 - keeps --help fast

    with opened(config) as project:
        trial = send_test(project, channel, by=author)
    seconds = f"{trial.took.total_seconds():.1f} s"
    if trial.has_arrived:
        click.echo(f"{channel}: arrived in {seconds} ({trial.said or 'ok'}).")
        return
    maybe = "; it may have arrived all the same" if trial.maybe else ""
    click.echo(
        f"{channel}: did not arrive within {seconds}: {trial.failure or 'not sent'}: {trial.said}{maybe}", err=True
    )
    sys.exit(NOT_ARRIVED)
