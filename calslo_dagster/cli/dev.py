"""`calslo dev`: put everything in place that Dagster needs for these settings, and start it."""

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from calslo_dagster.settings import Settings


@click.command()
@click.option("--config", type=click.Path(path_type=Path), help="Settings file; ./calslo.yaml unless told.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address of the UI, which has no login.")
@click.option("--port", type=click.IntRange(1, 65_535), default=3000, show_default=True, help="Port of the UI.")
@click.option("--prepare", is_flag=True, help="Put everything in place and say how to start it, no more.")
def dev(config: Path | None, host: str, port: int, *, prepare: bool) -> None:
    """Start the Dagster UI with daemon, schedules and sensors for the settings; Ctrl-C ends it.

    What is not there yet is made first: the tables of the state store, the folder of the Dagster instance, its
    configuration and its tables. The instance is that of DAGSTER_HOME if it is set, else `dagster` below home.

    \b
    Example: calslo dev --port 3001
    """
    from calslo_dagster.settings import load_settings  # noqa: PLC0415 - keeps --help fast

    settings = load_settings(config)
    folder, workspace = put_in_place(settings)
    environ = _environ(settings, folder)
    command = ["dagster", "dev", "-h", host, "-p", str(port), "-w", str(workspace)]
    if prepare:
        assignments = [f"{name}={shlex.quote(text)}" for name, text in environ.items()]
        click.echo(f"Everything is in place. Start it with\n  {' '.join([*assignments, shlex.join(command)])}")
        return
    click.echo(f"The Dagster UI opens on http://{host}:{port}, its instance is {folder}; Ctrl-C ends it.")
    sys.stdout.flush()
    os.environ |= environ
    os.execv(Path(sys.executable).with_name("dagster"), command)  # noqa: S606 - our own venv


def put_in_place(settings: "Settings") -> tuple[Path, Path]:
    """Make what is missing of the state store and the Dagster instance; return the instance's folder and workspace."""
    from calslo_dagster.cli.orchestrator import prepare  # noqa: PLC0415 - keeps --help fast
    from calslo_dagster.pipeline.project import open_project  # noqa: PLC0415 - keeps --help fast

    open_project(settings, migrate=True).store.close()
    return prepare(settings.home)


def _environ(settings: "Settings", folder: Path) -> dict[str, str]:
    """Return how the processes of Dagster find the same settings and the same instance."""
    named = {"CALSLO_CONFIG": str(settings.file)} if settings.file else {}
    return {**named, "DAGSTER_HOME": str(folder)}
