"""Signing in and out, and the choice of a theme."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from calslo_dagster.pipeline.manage_tokens import token_of
from calslo_dagster.web.access import (
    COOKIE,
    SESSION_LASTS,
    form_token,
    require_own_form,
    session_of,
    signed_in,
)
from calslo_dagster.web.forms import form_of, own_path
from calslo_dagster.web.front import front_of
from calslo_dagster.web.templating import THEMES, page

router: Final = APIRouter(include_in_schema=False)
_YEAR_SECONDS: Final = 365 * 86_400
Form = Annotated[dict[str, str], Depends(form_of)]


@router.get("/sign-in")
def ask(request: Request, next: str = "/") -> Response:  # noqa: A002 - it is the name in the address
    """Ask for a token."""
    return _form(request, own_path(next), "")


@router.post("/sign-in")
def sign_in(request: Request, form: Form) -> Response:
    """Sign in by a token; the cookie holds its id, not its secret."""
    front = front_of(request)
    require_own_form(request, form.get("form", ""), signed_in(request))
    token = token_of(front.project(), form.get("token", "").strip(), now=front.now())
    target = own_path(form.get("next", "/"))
    if token is None:
        return _form(request, target, "This token does not count: it is mistyped, expired or revoked.", status=403)
    answer = RedirectResponse(target, 303)
    answer.set_cookie(
        COOKIE,
        session_of(front, token),
        max_age=int(SESSION_LASTS.total_seconds()),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return answer


@router.post("/sign-out")
def sign_out(request: Request, form: Form) -> Response:
    """Forget who it was."""
    require_own_form(request, form.get("form", ""), signed_in(request))
    answer = RedirectResponse("/", 303)
    answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return answer


@router.get("/theme")
def theme(to: str = "", next: str = "/") -> Response:  # noqa: A002 - it is the name in the address
    """Choose a theme, or the one of the system again."""
    answer = RedirectResponse(own_path(next), 303)
    if to in THEMES:
        answer.set_cookie("calslo_theme", to, max_age=_YEAR_SECONDS, samesite="lax")
    else:
        answer.delete_cookie("calslo_theme", samesite="lax")
    return answer


def _form(request: Request, target: str, said: str, *, status: int = 200) -> Response:
    front, person = front_of(request), signed_in(request)
    names = {"next": target, "said": said, "person": person, "form_token": form_token(front, person)}
    return page(request, "sign_in.html", names, status=status)
