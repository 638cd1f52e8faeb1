"""The `calslo` command: finds its subcommands by name and turns expected errors into one message and exit code 2."""

import io
import os
import sys
import traceback
from difflib import get_close_matches
from importlib import import_module
from typing import Any, Final

import click

from calslo_dagster import __version__
from calslo_dagster.errors import CalsloError

BAD_USAGE: Final = 2
# 1 means a breach, so no failure may end with Python's own 1; these are sysexits.h and the shell's 128 + signal.
OUR_MISTAKE: Final = 70
INTERRUPTED: Final = 130
NOBODY_READS: Final = 141
# Name to the module that holds a click command of the same name.
COMMANDS: Final = {
    "alerts": "alerts",
    "audit": "audit",
    "backfill": "backfill",
    "backtest": "backtest",
    "channels": "channels",
    "config": "config",
    "db": "db",
    "demo": "demo",
    "dev": "dev",
    "dispatch": "dispatch",
    "evaluate": "evaluate",
    "explain": "explain",
    "export": "export",
    "metrics": "metrics",
    "report": "export",
    "route": "route",
    "runbook": "runbook",
    "serve": "serve",
    "silence": "silence",
    "slos": "slos",
    "table": "table",
    "tokens": "tokens",
}


class LazyGroup(click.Group):
    """A group that imports a subcommand when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in alphabetical order."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of the command and return it."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"calslo_dagster.cli.{COMMANDS[cmd_name]}")
        command = getattr(module, cmd_name)
        assert isinstance(command, click.Command)  # noqa: S101 - holds for every entry of the table above
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command, or refuse an unknown one with the nearest name."""
        near = get_close_matches(args[0], COMMANDS, n=1)
        if near and args[0] not in COMMANDS:
            ctx.fail(f"no command is named {args[0]!r}; did you mean {near[0]!r}?")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a reader that went away, such as `head`, ends it in silence."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            # The interpreter flushes once more when it ends, which must not fail again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(NOBODY_READS)
        return result

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run the command and exit; errors raised on purpose end as one message without a traceback."""
        if isinstance(sys.stdout, io.TextIOWrapper):
            # What the log holds may be more than the terminal's encoding can say.
            sys.stdout.reconfigure(errors="backslashreplace")
        try:
            code = super().main(*args, **{**extra, "standalone_mode": False})
        except click.Abort:
            sys.exit(INTERRUPTED)
        except click.ClickException as error:
            error.show()
            sys.exit(BAD_USAGE)
        except (CalsloError, OSError) as error:
            click.echo(f"calslo: {error}", err=True)
            sys.exit(BAD_USAGE)
        except Exception:  # noqa: BLE001 - whatever it is, it must not look like a breach
            click.echo(f"{traceback.format_exc()}calslo: this is a mistake of calslo itself", err=True)
            sys.exit(OUR_MISTAKE)
        sys.exit(code if isinstance(code, int) else 0)


@click.group(
    "calslo", cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(__version__, prog_name="calslo")
def cli() -> None:
    """Service level objectives for the calibration of production models.

    \b
    Try it:        calslo demo
    Your own log:  calslo evaluate predictions.parquet --slice country
    """
