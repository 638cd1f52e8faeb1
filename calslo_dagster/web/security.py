"""What holds for every request: a strict policy for browsers, an id, and no body that is large, slow or compressed."""

import asyncio
import re
from collections.abc import Sequence
from typing import Final
from uuid import uuid4

from fastapi import HTTPException
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from calslo_dagster.web.problems import problem

LARGEST_BODY: Final = 1024 * 1024
# A whole body has to be there by then; a client that drips would hold its place for ever.
BODY_SECONDS: Final = 20.0
EMBEDDED: Final = "/embed/"
_OWN: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors {}"
)
_HEADERS: Final = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_GIVEN_ID: Final = re.compile(r"[A-Za-z0-9_-]{8,64}", re.ASCII)


class Shield:
    """Wraps the whole application; `embedded_by`: origins that may show what lies under /embed/ in a frame."""

    def __init__(self, app: ASGIApp, embedded_by: Sequence[str] = (), body_seconds: float = BODY_SECONDS) -> None:
        self._app, self._embedded_by, self._seconds = app, tuple(embedded_by), body_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if _GIVEN_ID.fullmatch(given) else uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        answer = self._with_headers(scope, send, request_id)
        refused = _refusal(headers)
        if refused:
            response = problem(Request(scope), refused.status_code, refused.detail, headers={"Connection": "close"})
            await response(scope, receive, answer)
        else:
            await self._app(scope, _Body(receive, self._seconds), answer)

    def _with_headers(self, scope: Scope, send: Send, request_id: str) -> Send:
        is_embedded = scope["path"].startswith(EMBEDDED)
        ancestors = " ".join(self._embedded_by) if is_embedded and self._embedded_by else "'none'"

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                found = MutableHeaders(scope=message)
                found["X-Request-Id"] = request_id
                found.setdefault("Content-Security-Policy", _OWN.format(ancestors))
                if ancestors == "'none'":
                    found.setdefault("X-Frame-Options", "DENY")
                for name, value in _HEADERS.items():
                    found.setdefault(name, value)
            await send(message)

        return answer


def _refusal(headers: Headers) -> HTTPException | None:
    """Return why the request is refused by its headers alone."""
    encoding = headers.get("content-encoding", "identity").lower()
    if encoding != "identity":
        return HTTPException(415, f"a body in {encoding[:20]!r} is not taken; send it as it is")
    size = headers.get("content-length", "0")
    if size.isdecimal() and len(size) < 19 and int(size) > LARGEST_BODY:
        return _too_large()
    return None


def _too_large() -> HTTPException:
    return HTTPException(413, f"the body is larger than {LARGEST_BODY:,} bytes; send it in parts")


class _Body:
    """The body as it comes in: what is too large or too slow ends the request."""

    def __init__(self, receive: Receive, seconds: float) -> None:
        self._receive, self._seconds, self._size, self._is_whole = receive, seconds, 0, False

    async def __call__(self) -> Message:
        """Return the next part."""
        if self._is_whole:
            return await self._receive()
        try:
            message = await asyncio.wait_for(self._receive(), self._seconds)
        except TimeoutError as error:
            raise HTTPException(408, "the body did not come in time; send it again") from error
        self._size += len(message.get("body", b""))
        self._is_whole = not message.get("more_body", False)
        if self._size > LARGEST_BODY:
            raise _too_large()
        return message
