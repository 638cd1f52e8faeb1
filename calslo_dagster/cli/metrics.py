"""`calslo metrics`: what Prometheus is told, and the rules that it alerts by."""

from pathlib import Path

import click

from calslo_dagster.cli.opening import config_option, opened, utc_now


@click.command()
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "openmetrics", "rules"]),
    default="text",
    show_default=True,
    help="Metrics as Prometheus text or OpenMetrics, or the alerting rules for your SLOs.",
)
@config_option
def metrics(form: str, config: Path | None) -> None:
    """Print how every SLO stands as metrics for Prometheus, or the rules that it alerts by.

    What is not known has no value, only a status. Counters are told by `calslo serve` alone, which sees them grow.

    \b
    Examples:
      calslo metrics > /var/lib/node_exporter/calslo.prom
      calslo metrics --format rules > calslo.rules.yaml
    """
    from calslo_dagster.exports.prometheus import OPENMETRICS, PLAIN  # noqa: PLC0415 - keeps --help fast
    from calslo_dagster.pipeline.expose_metrics import alerting_rules, expose_metrics  # noqa: PLC0415 - fast --help

    with opened(config) as project:
        if form == "rules":
            told = alerting_rules(project)
        else:
            accept = OPENMETRICS if form == "openmetrics" else PLAIN
            told = expose_metrics(project, accept, now=utc_now())[0].decode()
    click.echo(told, nl=False)
