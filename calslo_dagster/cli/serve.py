"""`calslo serve`: take the answers to alerts that come in over the web."""

from pathlib import Path

import click


@click.command()
@click.option("--config", type=click.Path(path_type=Path), help="Settings file.  [default: calslo.yaml]")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(1, 65_535), default=8080, show_default=True, help="Port to listen on.")
def serve(config: Path | None, host: str, port: int) -> None:
    """Take acknowledgements from signed links, PagerDuty's webhooks and Slack's buttons.

    Every address checks a signature; put it behind a proxy that speaks TLS.

    \b
    Example: calslo serve --host 0.0.0.0 --port 8080
    """
    import uvicorn  # noqa: PLC0415 - keeps --help fast

    from calslo_dagster.defs.resources import LazyProject  # noqa: PLC0415 - keeps --help fast
    from calslo_dagster.settings import load_settings  # noqa: PLC0415 - keeps --help fast
    from calslo_dagster.web.answers import answers_app  # noqa: PLC0415 - keeps --help fast
    from calslo_dagster.web.socket_mode import listening  # noqa: PLC0415 - keeps --help fast

    project = LazyProject(load_settings(config))
    project.open()
    with listening(project.open(), project.now):
        click.echo(f"calslo: answering on http://{host}:{port}, end with Ctrl-C", err=True)
        uvicorn.run(answers_app(project.open, project.now), host=host, port=port, log_level="warning")
