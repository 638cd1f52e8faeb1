"""What the commands about alerts share: the open project, who answers for it, durations and times."""

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from calslo_dagster.pipeline.project import Project

config_option = click.option(
    "--config", type=click.Path(path_type=Path), help="Settings file; ./calslo.yaml unless told."
)
format_option = click.option(
    "--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True, help="What to print."
)


def _login() -> str:
    """Return the name of the login; empty where there is none, as in some containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return ""


def _named(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if not value.strip():
        raise click.UsageError("nobody knows who you are; write --author NAME, or set CALSLO_USER")
    return value.strip()


author_option = click.option(
    "--author",
    envvar="CALSLO_USER",
    default=_login,
    callback=_named,
    help="Who answers for it; CALSLO_USER unless told, else your login.",
)


class Length(click.ParamType[timedelta]):
    """A duration, such as 2h."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Return the duration; nothing at all is refused."""
        from calslo_dagster.settings.types import parse_duration  # noqa: PLC0415 - keeps --help fast

        try:
            length = parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if not length:
            self.fail("must be longer than nothing", param, ctx)
        return length


class Moment(click.ParamType[datetime]):
    """An instant with its zone, such as 2026-03-01T12:00:00Z."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return the instant in UTC."""
        from calslo_dagster.settings.types import parse_instant  # noqa: PLC0415 - keeps --help fast

        try:
            return parse_instant(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def utc_now() -> datetime:
    """Return the time of the machine."""
    return datetime.now(UTC)


@contextmanager
def opened(config: Path | None) -> "Iterator[Project]":
    """Yield the project that the settings describe, closed at the end."""
    from calslo_dagster.pipeline.project import open_project  # noqa: PLC0415 - keeps --help fast
    from calslo_dagster.settings import load_settings  # noqa: PLC0415 - keeps --help fast

    project = open_project(load_settings(config))
    with project.store:
        yield project
