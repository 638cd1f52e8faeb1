"""`calslo runbook`: what to do first when an alert comes."""

from pathlib import Path

import click

from calslo_dagster.cli.opening import config_option


@click.command()
@click.argument("name", metavar="[NAME]", required=False)
@click.option("--path", "is_path", is_flag=True, help="Print where it lies instead.")
@config_option
def runbook(name: str | None, *, is_path: bool, config: Path | None) -> None:
    """Print the runbook of an SLO or of a kind of alert (blind, burn, pipeline); without NAME, list them.

    For an SLO of your own it is what its `runbook` says. Those that ship with calslo need neither settings nor a store.

    \b
    Example: calslo runbook ece_bound
    """
    from calslo_dagster.pipeline.find_runbook import runbook_names, runbook_path  # noqa: PLC0415 - keeps --help fast

    if name is None:
        click.echo("\n".join(runbook_names()))
    elif name in runbook_names() or is_path:
        click.echo(runbook_path(name) if is_path else runbook_path(name).read_text(encoding="utf-8"), nl=is_path)
    else:
        click.echo(_own_words(name, config))


def _own_words(name: str, config: Path | None) -> str:
    """Return what an SLO of the settings says about itself; CalsloError with the nearest name if none is called so."""
    from calslo_dagster.errors import CalsloError  # noqa: PLC0415 - keeps --help fast
    from calslo_dagster.pipeline.find_runbook import runbook_names  # noqa: PLC0415 - keeps --help fast
    from calslo_dagster.plugins import load_registry  # noqa: PLC0415 - keeps --help fast
    from calslo_dagster.settings import load_settings  # noqa: PLC0415 - keeps --help fast
    from calslo_dagster.slo.parameters import unknown_name  # noqa: PLC0415 - keeps --help fast

    slos = load_registry(load_settings(config))
    if name not in slos:
        raise CalsloError(unknown_name("runbook", name, dict.fromkeys([*runbook_names(), *slos.names])))
    words = slos.find(name).runbook
    if not words:
        raise CalsloError(f"{name} has no runbook; write one in the settings, under `runbook` of the SLO")
    return words
