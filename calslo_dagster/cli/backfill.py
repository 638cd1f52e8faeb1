"""`calslo backfill`: recompute a range of days from the log, through Dagster."""

import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from calslo_dagster.errors import CalsloError, SettingsError

if TYPE_CHECKING:
    from calslo_dagster.defs.resources import LazyProject

BAD_INPUT: Final = 2
# The shell's 128 + signal.
INTERRUPTED: Final = 130


@click.command()
@click.option("--from", "first", type=click.DateTime(["%Y-%m-%d"]), required=True, help="First day, UTC.")
@click.option("--to", "last", type=click.DateTime(["%Y-%m-%d"]), required=True, help="Last day, UTC, included.")
@click.option("--days-per-run", type=click.IntRange(1), default=28, show_default=True, help="Days in one Dagster run.")
@click.option("--backwards", is_flag=True, help="Run the newest days first; the result is the same.")
@click.option("--config", type=click.Path(path_type=Path), help="Settings file; ./calslo.yaml unless told.")
def backfill(first: datetime, last: datetime, **options: Any) -> None:
    """Recompute snapshots and measurements of a range of days from the log, then its weeks and all summaries.

    Safe to run again and to interrupt: a run replaces whole partitions, and running it again gives the same tables.
    Exit code: 0 done, 2 bad usage, settings or input; files that can be read are counted even then. 130 interrupted.

    \b
    Example: calslo backfill --from 2026-03-01 --to 2026-03-31
    """
    from calslo_dagster.settings import load_settings  # noqa: PLC0415 - keeps --help fast

    settings = load_settings(options["config"])
    start, end = first.date(), last.date()
    _check(start, end, settings.history_start)
    from calslo_dagster.cli.orchestrator import Days, History, LazyProject, play  # noqa: PLC0415 - keeps --help fast

    project = LazyProject(settings)
    try:
        runs = play(project, History(Days(start, end), options["days_per_run"], options["backwards"]))
    except KeyboardInterrupt:
        click.echo("calslo: interrupted; what was stored stays, and the same command may be run again", err=True)
        sys.exit(INTERRUPTED)
    except CalsloError:
        # The run says that a check failed; which files are behind it is what helps.
        _tell_unreadable(project)
        raise
    click.echo(f"{_days(start, end)} recomputed in {len(runs)} runs.")
    sys.exit(BAD_INPUT if _tell_unreadable(project) + _tell_uncounted(project, start, end) else 0)


def _check(start: date, end: date, history_start: date) -> None:
    if end < start:
        raise click.UsageError(f"--to {end} is before --from {start}")
    if start < history_start:
        raise SettingsError(f"--from {start} is before history_start {history_start}; set history_start: {start}")
    if end > datetime.now(UTC).date():
        raise click.UsageError(f"--to {end} lies in the future")


def _days(start: date, end: date) -> str:
    count = (end - start).days + 1
    return f"{count} days from {start} to {end}" if count > 1 else f"{start}"


def _tell_unreadable(project: "LazyProject") -> int:
    """Say why files, or hours of a table, are in none of the numbers; return how many those are."""
    from calslo_dagster.store import source_units  # noqa: PLC0415 - keeps --help fast

    opened = project.open()
    with opened.store.read() as session:
        units = [
            unit
            for source in opened.source_names
            for role in source_units.Role
            for unit in source_units.records(session, source, role)
        ]
    broken = [unit.error for unit in units if unit.error]
    for error in broken:
        click.echo(f"calslo: {error}", err=True)
    return len(broken)


def _tell_uncounted(project: "LazyProject", first: date, last: date) -> int:
    """Say which files are copies of others, and which rows could not be counted; return on how many days there are."""
    from calslo_dagster.pipeline.tell_input import tell_copies, tell_uncounted  # noqa: PLC0415 - keeps --help fast

    opened = project.open()
    uncounted = tell_uncounted(opened, [first + timedelta(days=n) for n in range((last - first).days + 1)])
    for sentence in [*tell_copies(opened), *uncounted]:
        click.echo(f"calslo: {sentence}", err=True)
    return len(uncounted)
