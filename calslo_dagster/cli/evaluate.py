"""`calslo evaluate`: measure files directly."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click

from calslo_dagster.cli.options import WINDOWS, Options

FORMATS: Final = ("table", "json", "csv")
_EPILOG: Final = """\b
Examples:
  calslo evaluate logs/*.parquet --slice country --window 24h
  calslo evaluate scores.csv --time-zone UTC --score-column p --column weight=w --slo ece_bound --format json
"""


@click.command(epilog=_EPILOG)
@click.argument("paths", nargs=-1, required=True)
@click.option("--time-column", metavar="COL", help="Column of the event's time.  [default: event_time]")
@click.option("--time-zone", metavar="ZONE", help="IANA zone of times that are written without one, such as UTC.")
@click.option("--time-unit", type=click.Choice(["s", "ms", "us", "ns"]), help="Unit of times that are numbers.")
@click.option("--score-column", metavar="COL", help="Column of the calibrated probability.  [default: score]")
@click.option("--label-column", metavar="COL", help="Column of the outcome, 0 or 1.  [default: label]")
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="NAME=COL",
    help="Column of another input, such as weight=w; one that has its canonical name is found without. Repeat it.",
)
@click.option("--slice", "slices", multiple=True, metavar="COL", help="Measure each value of it apart. Repeat it.")
@click.option(
    "--window", type=click.Choice(list(WINDOWS)), default="all", show_default=True, help="Cut it into windows."
)
@click.option("--slo", "names", multiple=True, metavar="NAME", help="Measure this SLO only. Repeat it.")
@click.option("--format", "form", type=click.Choice(FORMATS), default="table", show_default=True, help="What to print.")
@click.option("--source", metavar="NAME", help="Read the files as this source of the settings is read.")
@click.option(
    "--input-format",
    type=click.Choice(["parquet", "csv", "jsonl"]),
    help="How the files are written, if their names do not tell.",
)
@click.option("--config", type=click.Path(path_type=Path), help="Settings of the SLOs; ./calslo.yaml unless told.")
def evaluate(form: str, config: Path | None, **options: Any) -> None:
    """Measure the SLOs of prediction logs (Parquet, CSV, JSONL; files, folders or globs).

    Reads the columns event_time, score and label, and if they are there prediction_id, weight, latency_us, clamped,
    clamp_alpha, calibrator_version and mask_id. Folders named col=value are columns too. Writes nothing.

    Exit code: 0 all met, 1 a breach, 2 bad usage or input, 3 undetermined (something is unknown, nothing is breached).
    """
    from calslo_dagster.cli.progress import progress  # noqa: PLC0415 - keeps --help fast
    from calslo_dagster.cli.request import doubts, request_of  # noqa: PLC0415 - keeps --help fast
    from calslo_dagster.cli.results import notes, print_results  # noqa: PLC0415 - keeps --help fast
    from calslo_dagster.pipeline.evaluate_files import evaluate_files, exit_code  # noqa: PLC0415 - keeps --help fast
    from calslo_dagster.settings import load_settings  # noqa: PLC0415 - keeps --help fast

    settings = load_settings(config)
    request = request_of(Options(**options), settings)
    evaluation = evaluate_files(request, now=datetime.now(UTC), progress=progress)
    print_results(evaluation, request, form)
    for note in (*doubts(request, settings), *notes(evaluation)):
        click.echo(f"calslo: {note}", err=True)
    sys.exit(exit_code(evaluation))
