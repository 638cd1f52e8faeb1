"""`calslo metrics`: what other monitoring is told, and the rules that Prometheus alerts by."""

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
@click.option("--send", is_flag=True, help="Send them to Datadog, where the settings say it is.")
@config_option
def metrics(form: str, *, send: bool, config: Path | None) -> None:
    """Print how every SLO stands as metrics for Prometheus, or the rules that it alerts by; or tell Datadog.

    What is not known has no value, only a status. Counters are told by `calslo serve` alone, which sees them grow.

    \b
    Examples:
      calslo metrics > /var/lib/node_exporter/calslo.prom
      calslo metrics --format rules > calslo.rules.yaml
      calslo metrics --send
    """
    from calslo_dagster.exports.prometheus import OPENMETRICS, PLAIN  # noqa: PLC0415 - keeps --help fast
    from calslo_dagster.pipeline.expose_metrics import alerting_rules, expose_metrics  # noqa: PLC0415 - fast --help
    from calslo_dagster.pipeline.push_datadog import push_datadog  # noqa: PLC0415 - keeps --help fast

    with opened(config) as project:
        if send:
            told = f"{push_datadog(project, now=utc_now())}\n"
        elif form == "rules":
            told = alerting_rules(project)
        else:
            accept = OPENMETRICS if form == "openmetrics" else PLAIN
            told = expose_metrics(project, accept, now=utc_now())[0].decode()
    click.echo(told, nl=False)
