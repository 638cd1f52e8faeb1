"""`calslo channels`: which channels take messages, and what waits for them."""

import json
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from calslo_dagster.cli.opening import config_option, format_option, opened, utc_now

if TYPE_CHECKING:
    from calslo_dagster.pipeline.survey_channels import ChannelReport


@click.command()
@format_option
@config_option
def channels(form: str, config: Path | None) -> None:
    """List the channels: whether each takes messages or rests, its last success and failure, and what waits for it.

    The breaker is `closed` while messages pass, `open` while the channel rests after failures, `half_open` while one
    message tries for all. Times are in UTC.

    \b
    Example: calslo channels
    """
    from calslo_dagster.pipeline.survey_channels import survey_channels  # noqa: PLC0415 - keeps --help fast

    with opened(config) as project:
        found = survey_channels(project, now=utc_now())
    if form == "json":
        click.echo(json.dumps([_json(one) for one in found], indent=2, ensure_ascii=False))
        return
    _print_table(found)


def _json(one: "ChannelReport") -> dict[str, Any]:
    return {k: v.isoformat() if isinstance(v, datetime) else v for k, v in asdict(one).items()}


def _print_table(found: "tuple[ChannelReport, ...]") -> None:
    from calslo_dagster.cli.tables import console, narrow_wraps, table  # noqa: PLC0415 - keeps --help fast

    out = console()
    header = ("channel", "kind", "breaker", "paused until", "last ok", "last failure", "waiting", "oldest due", "note")
    rows = (
        (
            one.name,
            one.kind or "not in the settings",
            str(one.breaker) + (f" until {_moment(one.rests_until)}" if one.rests_until else ""),
            _moment(one.paused_until),
            _moment(one.ok_at),
            f"{_moment(one.failed_at)} {one.failure or ''}".strip(),
            f"{one.backlog:,}",
            _moment(one.oldest_due_at),
            one.note,
        )
        for one in found
    )
    out.print(table("Channels", header, rows, wraps=narrow_wraps(out, header)))


def _moment(instant: datetime | None) -> str:
    return f"{instant:%Y-%m-%d %H:%M:%S}" if instant else "-"
