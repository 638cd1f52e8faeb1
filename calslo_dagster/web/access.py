"""Who asks, and whether they may: tokens in a header for programs, a signed cookie for people on the pages."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPBearer

from calslo_dagster.pipeline.manage_tokens import token_by_id, token_of
from calslo_dagster.store.api_tokens import ApiToken, Scope
from calslo_dagster.web.front import Front, front_of
from calslo_dagster.web.limits import too_many

COOKIE: Final = "calslo_session"
SESSION_LASTS: Final = timedelta(hours=12)
FORM_LASTS: Final = timedelta(hours=12)
_SESSION, _FORM = "session", "form"
_BEARER: Final = re.compile(r"[Bb]earer +(\S+)")
_CHALLENGE: Final = 'Bearer realm="calslo"'
bearer = HTTPBearer(scheme_name="token", description="A token of `calslo tokens create`.", auto_error=False)


@dataclass(frozen=True, slots=True)
class Person:
    """Who is signed in on the pages, by which token."""

    token: ApiToken

    @property
    def name(self) -> str:
        """The name that goes on record."""
        return self.token.name

    def may(self, scope: str) -> bool:
        """Whether they may do this."""
        return self.token.allows(Scope(scope))


def needs(scope: Scope) -> Callable[..., ApiToken]:
    """Return the dependency that lets only tokens with this scope pass, and yields the token."""

    def checked(request: Request, _shown: Annotated[object, Depends(bearer)]) -> ApiToken:
        front = front_of(request)
        given = _BEARER.fullmatch(request.headers.get("authorization", ""))
        token = token_of(front.project(), given[1], now=front.now()) if given else None
        if token is None:
            said = "the token does not count" if given else "say who you are: Authorization: Bearer calslo_..."
            error = ', error="invalid_token"' if given else ""
            raise HTTPException(401, said, headers={"WWW-Authenticate": f"{_CHALLENGE}{error}"})
        if not token.allows(scope):
            told = f'{_CHALLENGE}, error="insufficient_scope", scope="{scope}"'
            raise HTTPException(403, f"the token may not do this; it needs {scope}", headers={"WWW-Authenticate": told})
        left = front.meter.take("token", token.id)
        if left.is_spent:
            raise too_many(left)
        request.state.allowance = left
        return token

    return checked


def signed_in(request: Request) -> Person | None:
    """Return who is signed in, None for nobody."""
    front = front_of(request)
    told = front.signer.opened(_SESSION, request.cookies.get(COOKIE, ""))
    if told is None:
        return None
    token_id, _, until = told.partition(" ")
    if front.now() >= datetime.fromisoformat(until):
        return None
    token = token_by_id(front.project(), token_id, now=front.now())
    return Person(token) if token else None


def session_of(front: Front, token: ApiToken) -> str:
    """Return the value of the cookie that signs in by this token; the secret is no part of it."""
    return front.signer.sealed(_SESSION, f"{token.id} {(front.now() + SESSION_LASTS).isoformat()}")


def reader(request: Request) -> Person | None:
    """Return who looks at a page; where the settings ask for it, those who are not signed in are sent to do so."""
    person = signed_in(request)
    if front_of(request).project().settings.web.pages == "open":
        return person
    if person is None:
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        raise HTTPException(303, "sign in first", headers={"Location": f"/sign-in?{_next(target)}"})
    if not person.may(Scope.READ):
        raise HTTPException(403, "the token that you are signed in with may not read; it needs slo:read")
    return person


def form_token(front: Front, person: Person | None) -> str:
    """Return what a form has to hold, so that no other site can send it for somebody."""
    return front.signer.sealed(_FORM, f"{_owner(person)} {(front.now() + FORM_LASTS).isoformat()}")


def require_own_form(request: Request, sent: str, person: Person | None) -> None:
    """Raise 403 unless the form is one of ours, made for this person, and was sent from one of our pages."""
    site = request.headers.get("sec-fetch-site")
    if site not in (None, "same-origin"):
        raise HTTPException(403, "this form was sent by another site; nothing was done")
    front = front_of(request)
    owner, _, until = (front.signer.opened(_FORM, sent) or "").partition(" ")
    if not until or owner != _owner(person) or front.now() >= datetime.fromisoformat(until):
        raise HTTPException(403, "this form is too old, or was not made for you; load the page again. Nothing was done")


def _owner(person: Person | None) -> str:
    return person.token.id if person else "-"


def _next(target: str) -> str:
    return urlencode({"next": target})
