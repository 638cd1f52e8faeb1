"""`calslo tokens`: who may use the REST API and act on the pages."""

import json
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from calslo_dagster.cli.opening import Length, author_option, config_option, format_option, opened, utc_now

if TYPE_CHECKING:
    from calslo_dagster.store.api_tokens import ApiToken

# As in store.api_tokens.Scope, which takes a while to import; a test compares them.
SCOPES: Final = ("slo:read", "alert:write", "slo:write", "ingest", "admin")


@click.group()
def tokens() -> None:
    """Give out and take back tokens for the REST API and the pages: create, list, revoke.

    \b
    Example: calslo tokens list
    """


@tokens.command()
@click.argument("name")
@click.option(
    "--scope", "scopes", type=click.Choice(SCOPES), multiple=True, required=True, help="What it allows; repeatable."
)
@click.option("--for", "length", type=Length(), help="How long it counts, such as 90d; until revoked unless told.")
@author_option
@config_option
def create(name: str, scopes: tuple[str, ...], *, length: timedelta | None, config: Path | None, author: str) -> None:
    """Make a token for NAME, a person or a program, and print its secret, which is shown this once.

    slo:read reads everything, alert:write acknowledges, resolves and silences, slo:write agrees on exclusions, ingest
    sends events, admin does all of it.

    \b
    Example: calslo tokens create "on-call phone" --scope slo:read --scope alert:write --for 90d
    """
    from calslo_dagster.pipeline.manage_tokens import create_token  # noqa: PLC0415 - keeps --help fast
    from calslo_dagster.store.api_tokens import Scope  # noqa: PLC0415 - keeps --help fast

    with opened(config) as project:
        given = create_token(project, name, map(Scope, scopes), by=author, now=utc_now(), lasts=length)
    until = f" until {given.token.expires_at:%Y-%m-%d %H:%M} UTC" if given.token.expires_at else ""
    click.echo(
        f"token {given.token.id} for {given.token.name}{until}; keep its secret, it is not shown again:", err=True
    )
    click.echo(given.secret)


@tokens.command("list")
@format_option
@config_option
def list_(*, form: str, config: Path | None) -> None:
    """List the tokens, also those that no longer count; secrets are not kept, so they are not shown.

    \b
    Example: calslo tokens list --format json
    """
    from calslo_dagster.pipeline.manage_tokens import list_tokens  # noqa: PLC0415 - keeps --help fast

    now = utc_now()
    with opened(config) as project:
        found = list_tokens(project)
    rows = [{**_json(one), "counts": one.is_good(now)} for one in found]
    if form == "json":
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
    elif not rows:
        click.echo('No tokens yet. Make one: calslo tokens create "on-call phone" --scope slo:read')
    else:
        _print_table(rows)


@tokens.command()
@click.argument("token_id", metavar="ID")
@author_option
@config_option
def revoke(token_id: str, author: str, config: Path | None) -> None:
    """Make a token worthless at once.

    \b
    Example: calslo tokens revoke 4f0c51d2a9b3
    """
    from calslo_dagster.pipeline.manage_tokens import revoke_token  # noqa: PLC0415 - keeps --help fast

    with opened(config) as project:
        found = revoke_token(project, token_id, by=author, now=utc_now())
    click.echo(f"token {found.id} for {found.name} no longer counts.")


def _json(one: "ApiToken") -> dict[str, Any]:
    times = {
        name: at and at.isoformat()
        for name in ("created_at", "expires_at", "revoked_at")
        for at in (getattr(one, name),)
    }
    return {"id": one.id, "name": one.name, "scopes": sorted(one.scopes), "created_by": one.created_by, **times}


def _print_table(rows: list[dict[str, Any]]) -> None:
    from calslo_dagster.cli.tables import console, table  # noqa: PLC0415 - keeps --help fast

    lines = (
        (
            r["id"],
            r["name"],
            ", ".join(r["scopes"]),
            r["created_at"][:16],
            (r["expires_at"] or "never")[:16],
            "yes" if r["counts"] else "no",
        )
        for r in rows
    )
    console().print(table("Tokens", ("id", "for", "may", "made", "expires", "counts"), lines))
