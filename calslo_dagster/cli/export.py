"""`calslo export` and `calslo report`: any view as a file, the same bytes as the pages and the REST API give."""

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from calslo_dagster.cli.opening import Moment, config_option, opened, utc_now

if TYPE_CHECKING:
    from calslo_dagster.pipeline.views.wanted import Wanted

VIEWS: Final = ("overview", "slo", "calibration", "drift", "alerts", "audit", "settings", "report")
FORMATS: Final = ("json", "csv", "md", "html", "pdf", "png", "svg")
STATES: Final = ("breached", "error", "stale", "warning", "unknown", "never", "excluded", "meeting")
_TEXTS: Final = ("json", "csv", "md", "html", "svg", "prometheus")
_out = click.option(
    "--out", type=click.Path(path_type=Path), help="File to write; - for standard output.  [default: named by the view]"
)


@click.command()
@click.argument("view", type=click.Choice(VIEWS))
@click.option("--format", "form", type=click.Choice(FORMATS), default="json", show_default=True, help="What to write.")
@click.option("--slo", default="", help="Name or shell pattern of SLOs; view slo takes one name.")
@click.option("--slice", "slice_name", default="", help="Name or shell pattern of slices.")
@click.option("--model", default="", help="Name or shell pattern of models.")
@click.option("--severity", default="", help="Alerts of this severity only.")
@click.option("--state", type=click.Choice(STATES), multiple=True, help="Promises that stand so only; may be repeated.")
@click.option("--days", type=click.IntRange(1, 400), default=14, show_default=True, help="How far back.")
@click.option(
    "--until", type=Moment(), help="Until when, such as 2026-03-01T12:00:00Z.  [default: the newest there is]"
)
@click.option("--period", default="", help="Of view report: a week such as 2026-W10, or a month such as 2026-03.")
@click.option("--table", default="", help="Which table a CSV file holds; the main one unless told.")
@_out
@config_option
def export(view: str, form: str, out: Path | None, config: Path | None, table: str, **filters: object) -> None:  # noqa: PLR0917 - options
    """Write a view as a file: JSON, CSV, Markdown, one offline page of HTML, PDF, PNG or SVG.

    The same data give the same bytes, here, from the REST API and from the buttons of the pages.

    \b
    Example: calslo export slo --slo ece_bound --slice language=en --format pdf --out ece.pdf
    """
    from calslo_dagster.pipeline.views.wanted import View, Wanted  # noqa: PLC0415 - keeps --help fast
    from calslo_dagster.reporting.states import State  # noqa: PLC0415 - keeps --help fast

    until = filters["until"]
    states = filters["state"]
    assert isinstance(states, tuple)  # noqa: S101 - as the option is declared
    wanted = Wanted(
        View(view),
        slo=str(filters["slo"]),
        slice=str(filters["slice_name"]),
        model=str(filters["model"]),
        severity=str(filters["severity"]),
        states=frozenset(State(one) for one in states),
        days=int(str(filters["days"])),
        until=until if isinstance(until, datetime) else None,
        period=str(filters["period"]),
    )
    _write(wanted, form, out, config, table=table)


@click.command()
@click.option("--week", help="ISO week, such as 2026-W10.  [default: the last one that is over]")
@click.option("--month", help="Month, such as 2026-03.")
@click.option(
    "--format",
    "form",
    type=click.Choice((*FORMATS, "prometheus")),
    default="md",
    show_default=True,
    help="What to write; prometheus: how all stands now, as Prometheus reads it.",
)
@click.option("--slo", default="", help="Name or shell pattern of SLOs.")
@click.option("--slice", "slice_name", default="", help="Name or shell pattern of slices.")
@_out
@config_option
def report(  # noqa: PLR0917 - options
    week: str | None,
    month: str | None,
    form: str,
    slo: str,
    slice_name: str,
    out: Path | None,
    config: Path | None,
) -> None:
    """Write the report of a week or a month: summary, what to do, each SLO, budgets, breaches and drift.

    \b
    Example: calslo report --month 2026-03 --format pdf --out march.pdf
    """
    from calslo_dagster.pipeline.views.wanted import View, Wanted  # noqa: PLC0415 - keeps --help fast

    if week and month:
        raise click.UsageError("--week and --month are two periods; write one of them")
    wanted = Wanted(View.REPORT, slo=slo, slice=slice_name, period=week or month or "")
    _write(wanted, form, out or (Path("-") if form in _TEXTS else None), config)


def _write(wanted: "Wanted", form: str, out: Path | None, config: Path | None, *, table: str = "") -> None:
    from calslo_dagster.pipeline.views.wanted import file_name  # noqa: PLC0415 - keeps --help fast

    content = _content(wanted, form, config, table)
    if out == Path("-"):
        sys.stdout.buffer.write(content)
        return
    path = out or Path(file_name(wanted, form))
    try:
        path.write_bytes(content)
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror}") from error
    click.echo(f"wrote {path}, {len(content):,} bytes", err=True)


def _content(wanted: "Wanted", form: str, config: Path | None, table: str) -> bytes:
    with opened(config) as project:
        if form == "prometheus":
            from calslo_dagster.pipeline.expose_metrics import expose_metrics  # noqa: PLC0415 - keeps --help fast

            return expose_metrics(project, now=utc_now())[0]
        from calslo_dagster.exports.render import Format  # noqa: PLC0415 - keeps --help fast
        from calslo_dagster.pipeline.views.compose import export as exported  # noqa: PLC0415 - keeps --help fast

        return exported(project, wanted, Format(form), now=utc_now(), table=table)
