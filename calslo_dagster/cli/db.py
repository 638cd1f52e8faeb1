"""`calslo db`: the schema of the state store."""

from pathlib import Path

import click


@click.group()
def db() -> None:
    """Look after the state store.

    \b
    Example: calslo db upgrade
    """


@db.command()
@click.option("--config", type=click.Path(path_type=Path), help="Settings file; ./calslo.yaml unless told.")
def upgrade(config: Path | None) -> None:
    """Create the tables of the state store, or bring them up to this version. Safe to run again.

    \b
    Example: CALSLO_STORE_URL=postgresql://calslo@db/calslo calslo db upgrade
    """
    from calslo_dagster.settings import load_settings  # noqa: PLC0415 - keeps --help fast
    from calslo_dagster.store.migrations import current, upgrade  # noqa: PLC0415 - keeps --help fast

    settings = load_settings(config)
    settings.home.mkdir(parents=True, exist_ok=True)
    before = current(settings.store_url)
    upgrade(settings.store_url)
    after = current(settings.store_url)
    click.echo(f"schema {after}, up to date" if before == after else f"schema {before or 'empty'} -> {after}")
