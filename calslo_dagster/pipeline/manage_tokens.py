"""Give out tokens for the API, take them back, and find out whose a secret is."""

import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

from calslo_dagster.alerting.model import Event
from calslo_dagster.errors import TokenError
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.respond_to_alerts import require_fit
from calslo_dagster.store import alert_events, api_tokens
from calslo_dagster.store.api_tokens import ApiToken, Scope
from calslo_dagster.store.session import Lock

# The audit log speaks of a token under this, where it speaks of an incident under its id.
ABOUT: Final = "token:"
_SHAPE: Final = re.compile(r"calslo_([0-9a-f]{12})_([A-Za-z0-9_-]{43})", re.ASCII)
_LONGEST_NAME: Final = 80
# Compared with when no token has the id, so that the time taken does not tell whether there is one.
_NOBODY: Final = "0" * 64


@dataclass(frozen=True, slots=True)
class Given:
    """A new token with its secret, which is shown once and kept nowhere."""

    token: ApiToken
    secret: str


def create_token(
    project: Project, name: str, scopes: Iterable[Scope], *, by: str, now: datetime, lasts: timedelta | None = None
) -> Given:
    """Return a new token that may do what the scopes say; TokenError for no scope or an unfit name."""
    wanted = frozenset(scopes)
    require_fit(name=name, author=by)
    if not name.strip() or len(name) > _LONGEST_NAME:
        raise TokenError(f"the name {name!r} must have 1 to {_LONGEST_NAME} letters; say who or what uses the token")
    if not wanted:
        raise TokenError(f"a token needs at least one scope of {', '.join(Scope)}")
    token_id = secrets.token_hex(6)
    secret = f"calslo_{token_id}_{secrets.token_urlsafe(32)}"
    until = now + lasts if lasts else None
    token = ApiToken(token_id, name.strip(), _digest(secret), wanted, now, by, until)
    shown = {"name": token.name, "scopes": sorted(wanted), "expires_at": until and until.isoformat()}
    with project.store.write(Lock.ALERTS) as session:
        api_tokens.add(session, token)
        event = Event(f"{ABOUT}{token_id}", "token created", now, f"for {token.name}", by, "cli", shown)
        alert_events.append(session, [event])
    return Given(token, secret)


def revoke_token(project: Project, token_id: str, *, by: str, now: datetime) -> ApiToken:
    """Make the token worthless and return it; doing it again changes nothing. TokenError if there is none."""
    require_fit(token=token_id, author=by)
    with project.store.write(Lock.ALERTS) as session:
        if api_tokens.by_id(session, token_id) is None:
            known = ", ".join(one.id for one in api_tokens.every(session) if one.is_good(now))
            raise TokenError(f"there is no token {token_id!r}; those that count are: {known or 'none'}")
        if api_tokens.revoke(session, token_id, now=now, by=by):
            event = Event(f"{ABOUT}{token_id}", "token revoked", now, f"by {by}", by, "cli", {})
            alert_events.append(session, [event])
        found = api_tokens.by_id(session, token_id)
    assert found is not None  # noqa: S101 - tokens are never deleted
    return found


def list_tokens(project: Project) -> tuple[ApiToken, ...]:
    """Return all tokens that there ever were, oldest first."""
    with project.store.read() as session:
        return api_tokens.every(session)


def token_of(project: Project, secret: str, *, now: datetime) -> ApiToken | None:
    """Return the token that this is the secret of, if it counts now."""
    shape = _SHAPE.fullmatch(secret)
    found = token_by_id(project, shape[1], now=now) if shape else None
    is_right = hmac.compare_digest(found.digest if found else _NOBODY, _digest(secret))
    return found if is_right else None


def token_by_id(project: Project, token_id: str, *, now: datetime) -> ApiToken | None:
    """Return the token of this id, if it counts now."""
    with project.store.read() as session:
        found = api_tokens.by_id(session, token_id)
    return found if found and found.is_good(now) else None


def _digest(secret: str) -> str:
    return sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
