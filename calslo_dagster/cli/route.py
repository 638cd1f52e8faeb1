"""`calslo route`: who would be told of what, and when."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from calslo_dagster.cli.opening import config_option, opened, utc_now

if TYPE_CHECKING:
    from calslo_dagster.alerting.rules import Rules
    from calslo_dagster.pipeline.preview_route import Preview


@click.command()
@click.argument("labels", nargs=-1, metavar="LABEL=VALUE...")
@click.option(
    "--explain", "is_explained", is_flag=True, help="Say what would happen to an alert with these labels now."
)
@config_option
def route(labels: tuple[str, ...], *, is_explained: bool, config: Path | None) -> None:
    """List the routes and policies, or explain which of them an alert takes, when each step is due, and what mutes it.

    Labels are kind, slo, slice, model, environment, severity and the slice columns; those left out have their usual
    values. Nothing is sent.

    \b
    Example: calslo route --explain slo=ece_bound severity=critical intent=refund
    """
    if labels and not is_explained:
        raise click.UsageError("labels are for --explain; without both, the routes are listed")
    wanted = _parsed(labels)
    with opened(config) as project:
        if not is_explained:
            _print_rules(project.settings.alert_rules())
            return
        from calslo_dagster.pipeline.preview_route import preview_route  # noqa: PLC0415 - keeps --help fast

        now = utc_now()
        _print_preview(preview_route(project, wanted, now=now), now)


def _parsed(labels: Sequence[str]) -> dict[str, str]:
    wrong = [text for text in labels if not text.partition("=")[0] or "=" not in text]
    if wrong:
        raise click.UsageError(f"{wrong[0]!r} is no label; write LABEL=VALUE, such as slo=ece_bound")
    return {name.strip(): value.strip().strip('"') for name, _, value in (text.partition("=") for text in labels)}


def _print_rules(rules: "Rules") -> None:
    from calslo_dagster.alerting.matchers import written  # noqa: PLC0415 - keeps --help fast
    from calslo_dagster.cli.tables import console, table  # noqa: PLC0415 - keeps --help fast
    from calslo_dagster.pipeline.preview_route import steps_of  # noqa: PLC0415 - keeps --help fast

    out = console()
    routes = [(str(n), written(one.matchers), one.policy) for n, one in enumerate(rules.routes, start=1)]
    out.print(
        table(
            "Routes, the first that matches wins", ("", "matches", "policy"), [*routes, ("", "all others", "default")]
        )
    )
    out.print()
    steps = [
        (policy.name, _after(step.after), step.what, step.condition)
        for policy in rules.policies.values()
        for step in steps_of(policy, rules.group_wait)
    ]
    out.print(table("Policies", ("policy", "after", "step", "condition"), steps))
    out.print(f"\nFall-back: {', '.join(rules.fallback)}")


def _print_preview(found: "Preview", now: datetime) -> None:
    from calslo_dagster.cli.tables import console, table  # noqa: PLC0415 - keeps --help fast

    out = console()
    out.print(
        f"An alert with {', '.join(f'{k}={v}' for k, v in found.labels.items() if v)}", markup=False, soft_wrap=True
    )
    out.print(f"Policy {found.policy}: {found.why}", style="bold", markup=False, soft_wrap=True)
    out.print()
    steps = [(_after(one.after), f"{now + one.after:%Y-%m-%d %H:%M}", one.what, one.condition) for one in found.steps]
    out.print(table("Steps, if it began now", ("after", "at (UTC)", "step", "condition"), steps))
    again = f"every {_length(found.repeat)} as a digest" if found.repeat else "never"
    out.print(f"\nTold again while it goes on: {again}")
    out.print(f"Held back now: {found.held or 'by nothing'}", markup=False, soft_wrap=True)
    for mute in found.mutes:
        out.print(f"Would be muted by {mute}", markup=False, soft_wrap=True)


def _after(wait: timedelta) -> str:
    return _length(wait) if wait else "at once"


def _length(wait: timedelta) -> str:
    from calslo_dagster.slo.windows import spoken  # noqa: PLC0415 - keeps --help fast

    return spoken(wait)
