"""`calslo dispatch`: decide and send in a process of its own."""

import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final

import click

from calslo_dagster.cli.opening import Length, config_option, opened, utc_now
from calslo_dagster.errors import CalsloError

if TYPE_CHECKING:
    from calslo_dagster.pipeline.project import Project

# How long it may take to notice that somebody wants us to stop while nothing is sent.
_NAP_SECONDS: Final = 0.1


@dataclass
class Stop:
    """Whether somebody wants the process to end; the second time it ends at once."""

    is_wanted: bool = False

    def __call__(self) -> bool:
        """Return whether it was asked for."""
        return self.is_wanted

    def ask(self, number: int, _frame: FrameType | None) -> None:
        """Note the signal, and leave the next one to the system."""
        self.is_wanted = True
        signal.signal(number, signal.SIG_DFL)

    def sleep(self, length: timedelta) -> None:
        """Wait for so long, or until somebody asks to stop."""
        until = time.monotonic() + length.total_seconds()
        while not self.is_wanted and (left := until - time.monotonic()) > 0:
            time.sleep(min(_NAP_SECONDS, left))


@click.command()
@click.option("--forever", is_flag=True, help="Go on until SIGINT or SIGTERM; without it, one round.")
@click.option("--every", type=Length(), default="5s", show_default=True, help="How long to wait between two rounds.")
@config_option
def dispatch(*, forever: bool, every: timedelta, config: Path | None) -> None:
    """Bring alerts up to date and send what is due, without Dagster. Safe beside its sensor, and several at once.

    SIGINT and SIGTERM end it cleanly, after the message that is being sent, which takes 8 seconds at most. With
    --forever a round that fails is told on standard error, and the next one goes on.

    \b
    Example: calslo dispatch --forever --every 5s
    """
    stop = Stop()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop.ask)
    with opened(config) as project:
        _rounds(project, stop, every) if forever else _round(project, stop)


def _rounds(project: "Project", stop: Stop, every: timedelta) -> None:
    click.echo(f"calslo: dispatching every {every.total_seconds():g} s, end with Ctrl-C", err=True)
    while not stop():
        try:
            _round(project, stop)
        except Exception as error:  # noqa: BLE001 - whoever dies over one round pages nobody about anything
            _tell(error)
        stop.sleep(every)
    click.echo("calslo: stopped", err=True)


def _round(project: "Project", stop: Callable[[], bool]) -> None:
    from calslo_dagster.pipeline.dispatch_alerts import dispatch_alerts  # noqa: PLC0415 - keeps --help fast

    done = dispatch_alerts(project, stop=stop)
    if not done.is_quiet:
        click.echo(f"{utc_now():%Y-%m-%dT%H:%M:%SZ} {done}")
        sys.stdout.flush()


def _tell(error: Exception) -> None:
    from calslo_dagster.channels.redact import scrub  # noqa: PLC0415 - keeps --help fast

    if not isinstance(error, (CalsloError, OSError)):
        click.echo(scrub(traceback.format_exc()), err=True)
    click.echo(scrub(f"{utc_now():%Y-%m-%dT%H:%M:%SZ} this round failed: {error}"), err=True)
