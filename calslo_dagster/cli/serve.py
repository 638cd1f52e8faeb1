"""`calslo serve`: the dashboard, the REST API, and the addresses that answers to alerts come in by."""

import ctypes
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from calslo_dagster.pipeline.project import Project

# Beyond so many connections at once the next ones are told to come later, which is better than to serve nobody.
MOST_CONNECTIONS: Final = 2_000
# Pages that listen for news would otherwise keep the process from ending.
GRACE_SECONDS: Final = 3
# The number of the setting in glibc's malloc.h; other C libraries have no such setting, and need none.
_M_ARENA_MAX: Final = -8


@click.command()
@click.option("--config", type=click.Path(path_type=Path), help="Settings file.  [default: calslo.yaml]")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(1, 65_535), default=8080, show_default=True, help="Port to listen on.")
def serve(config: Path | None, host: str, port: int) -> None:
    """Serve the dashboard and the REST API, and take answers to alerts.

    Everybody who reaches the pages may read them, unless `web.pages` in the settings says otherwise; the REST API and
    all that changes something take a token of `calslo tokens create`. Signed links, PagerDuty's webhooks and Slack's
    buttons acknowledge alerts. Put it behind a proxy that speaks TLS.

    \b
    Example: calslo serve --host 0.0.0.0 --port 8080
    """
    import uvicorn  # noqa: PLC0415 - keeps --help fast

    from calslo_dagster.defs.resources import LazyProject  # noqa: PLC0415 - keeps --help fast
    from calslo_dagster.settings import load_settings  # noqa: PLC0415 - keeps --help fast
    from calslo_dagster.web.app import app  # noqa: PLC0415 - keeps --help fast

    _share_memory()
    project = LazyProject(load_settings(config))
    project.open()
    with _buttons(project.open(), project.now):
        click.echo(f"calslo: answering on http://{host}:{port}, end with Ctrl-C", err=True)
        uvicorn.run(
            app(project.open, project.now),
            host=host,
            port=port,
            log_level="warning",
            server_header=False,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )


def _buttons(project: "Project", now: "Callable[[], datetime]") -> AbstractContextManager[object]:
    """Answer Slack's buttons over a socket where a channel has it; elsewhere its library stays out of memory."""
    if not project.settings.channels.has_app_token:
        return nullcontext()
    from calslo_dagster.web.socket_mode import listening  # noqa: PLC0415 - as said above

    return listening(project, now)


def _share_memory() -> None:
    """Let threads share what the C library has taken from the system; of its own each would keep some 5 MB unused."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)
