"""`calslo audit`: prove that the record of all decisions is whole."""

import sys
from pathlib import Path
from typing import Final

import click

from calslo_dagster.cli.opening import config_option, opened

BROKEN: Final = 1


@click.group()
def audit() -> None:
    """Look after the audit log, which holds every decision about alerts, also those not to tell anybody.

    \b
    Example: calslo audit verify
    """


@audit.command()
@click.option(
    "--head", metavar="HASH", help="A hash that an earlier run printed, kept elsewhere: the log must still hold it."
)
@config_option
def verify(head: str | None, config: Path | None) -> None:
    """Read the whole log and check that each line has its hash and follows the one before; prints the last hash.

    Lines that were changed, removed or put in are found. Lines cut off at the end are found with --head. Exit code: 0
    sound, 1 broken, with the number of the first broken line.

    \b
    Example: calslo audit verify --head 4f0c51d2
    """
    from calslo_dagster.pipeline.audit_alerts import audit_alerts  # noqa: PLC0415 - keeps --help fast

    with opened(config) as project:
        found = audit_alerts(project, expected=head)
    if found.broken_id is not None:
        click.echo(
            f"broken at line {found.broken_id}: {found.reason}; {found.events:,} lines before it are sound", err=True
        )
        sys.exit(BROKEN)
    click.echo(f"{found.events:,} lines are sound; head {found.head}")
