"""Tokens of people and programs that use the API: what each may do, and only the hash of its secret."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from calslo_dagster.store import rows as stored
from calslo_dagster.store.schema import api_tokens


class Scope(StrEnum):
    """What a token allows; `admin` allows everything."""

    READ = "slo:read"
    ALERTS = "alert:write"
    SLOS = "slo:write"
    INGEST = "ingest"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A token: `id` is the part of the secret that it is found by, `digest` the SHA-256 of the whole secret."""

    id: str
    name: str
    digest: str
    scopes: frozenset[Scope]
    created_at: datetime
    created_by: str
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    revoked_by: str = ""

    def is_good(self, now: datetime) -> bool:
        """Whether the token counts now: neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def allows(self, scope: Scope) -> bool:
        """Whether the token may do this."""
        return scope in self.scopes or Scope.ADMIN in self.scopes


def add(session: Session, token: ApiToken) -> None:
    """Record a token."""
    record = stored.records(api_tokens, [token])[0]
    stored.insert(session, api_tokens, [record | {"scopes": sorted(token.scopes)}])


def by_id(session: Session, token_id: str) -> ApiToken | None:
    """Return the token of this id, None if there is none."""
    found = session.execute(sa.select(api_tokens).where(api_tokens.c.id == token_id)).first()
    return _token(found) if found else None


def every(session: Session) -> tuple[ApiToken, ...]:
    """Return all tokens that there ever were, oldest first."""
    ordered = sa.select(api_tokens).order_by(api_tokens.c.created_at, api_tokens.c.id)
    return tuple(_token(row) for row in session.execute(ordered))


def revoke(session: Session, token_id: str, *, now: datetime, by: str) -> bool:
    """Make the token worthless from now on; return whether it counted until now."""
    table = api_tokens.c
    change = sa.update(api_tokens).where(table.id == token_id, table.revoked_at.is_(None))
    return bool(session.connection().execute(change.values(revoked_at=now, revoked_by=by)).rowcount)


def _token(row: sa.Row[Any]) -> ApiToken:
    return ApiToken(**{**row._mapping, "scopes": frozenset(Scope(name) for name in row.scopes)})
