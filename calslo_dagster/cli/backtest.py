"""`calslo backtest`: what changed settings would have made of the days that are over."""

import json
import sys
from contextlib import nullcontext
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from calslo_dagster.cli.opening import format_option, opened, utc_now

if TYPE_CHECKING:
    from calslo_dagster.pipeline.backtest_slos import Wanted
    from calslo_dagster.pipeline.compare_courses import Comparison

DIFFERS: Final = 1
_day = click.DateTime(["%Y-%m-%d"])


@click.command()
@click.option("--config", "new", type=click.Path(path_type=Path), required=True, help="The settings to try.")
@click.option("--from", "first", type=_day, required=True, help="First day, UTC.")
@click.option("--to", "last", type=_day, required=True, help="Last day, UTC, included.")
@click.option("--slo", "slos", multiple=True, metavar="NAME", help="Only this SLO; may be given several times.")
@click.option(
    "--slice",
    "slices",
    multiple=True,
    metavar="PATTERN",
    help="Only slices like this, such as 'country=*'; may be given several times.",
)
@click.option("--against", type=click.Path(path_type=Path), help="The settings in force; ./calslo.yaml unless told.")
@format_option
def backtest(new: Path, first: datetime, last: datetime, **options: Any) -> None:
    """Replay the stored snapshots under changed SLOs, and print which verdicts, breaches and pages would differ.

    Both sides are judged anew from the snapshots that are there: the settings in force as they are now, whatever was
    stored in those days, and the settings to try. Nothing is stored and nobody is told. What says how the log is read,
    such as sources, slice columns and latency_limit_us, stays as it is in force.
    Exit code: 0 nothing differs, 1 something does, 2 bad usage, settings or snapshots.

    \b
    Example: calslo backtest --config new.yaml --from 2026-03-01 --to 2026-03-14
    """
    from calslo_dagster.pipeline.backtest_slos import Wanted  # noqa: PLC0415 - keeps --help fast

    wanted = Wanted(first.date(), last.date(), tuple(options["slos"]), tuple(options["slices"]))
    _check(wanted.first, wanted.last)
    found = _compared(new, options["against"], wanted)
    name = new.name
    if options["form"] == "json":
        from calslo_dagster.cli.backtest_json import body  # noqa: PLC0415 - keeps --help fast

        click.echo(json.dumps(body(found, name), indent=2, allow_nan=False))
    else:
        from calslo_dagster.cli.backtest_tables import show  # noqa: PLC0415 - keeps --help fast

        show(found, name)
    sys.exit(DIFFERS if found.differs else 0)


def _check(first: date, last: date) -> None:
    if last < first:
        raise click.UsageError(f"--to {last} is before --from {first}")
    if last > datetime.now(UTC).date():
        raise click.UsageError(f"--to {last} lies in the future")


def _compared(new: Path, against: Path | None, wanted: "Wanted") -> "Comparison":
    from calslo_dagster.cli.progress import bar  # noqa: PLC0415 - keeps --help fast
    from calslo_dagster.pipeline.backtest_slos import backtest_slos  # noqa: PLC0415 - keeps --help fast
    from calslo_dagster.settings import load_settings  # noqa: PLC0415 - keeps --help fast
    from calslo_dagster.slo.windows import DAY  # noqa: PLC0415 - keeps --help fast

    settings, days = load_settings(new), wanted.span.length // DAY
    with opened(against) as project, bar() if days > 1 else nullcontext() as drawn:
        return backtest_slos(
            project,
            settings,
            wanted,
            now=utc_now(),
            told=lambda stretch: drawn.show((stretch.end - wanted.span.start) // DAY, days, "") if drawn else None,
        )
