"""How channels speak HTTP: bounded, without redirects, silent about addresses, every outcome classified.

| what happened                                   | raised    | failure      | may have arrived    |
| ----------------------------------------------- | --------- | ------------ | ------------------- |
| 2xx                                             | -         | -            | it has              |
| 429                                             | Retryable | rateLimited  | no                  |
| 408, 425, 5xx                                   | Retryable | serverError  | after 500, 502, 504 |
| 401, 403                                        | Rejected  | authError    | no                  |
| any other status                                | Rejected  | clientError  | no                  |
| no name, no connection, no TLS                  | Retryable | network      | no                  |
| reset, closed or silent once the request is out | Retryable | ambiguous    | yes                 |

The time of a whole exchange is bounded by the caller: a peer that sends one byte a second never trips a timeout of one
read. Run the caller on `channels.threads.run`, or a hanging name lookup delays the end of its event loop.
"""

import asyncio
import json
import logging
import math
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any, Final

import httpx2

from calslo_dagster.alerting.phrases import one_line
from calslo_dagster.channels.base import Failure, Rejected, Retryable
from calslo_dagster.channels.redact import scrub

STEP_SECONDS: Final = 5.0
BODY_SECONDS: Final = 2.0
BODY_BYTES: Final = 64 * 1024
LONGEST_PAUSE: Final = timedelta(days=1)
JSON_TYPE: Final = {"content-type": "application/json; charset=utf-8"}
# An encoded answer could unfold to any size.
_HEADERS: Final = {"user-agent": "calslo", "accept-encoding": "identity"}
_TALKATIVE: Final = (
    "httpx2", "httpcore2", "httpx", "httpcore", "slack_sdk", "aiosmtplib", "apprise", "urllib3", "requests_oauthlib"
)  # fmt: skip
_MAY_HAVE_WORKED: Final = (500, 502, 504)
_TRY_AGAIN: Final = (408, 425)
_NOT_SENT: Final = (
    httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer with any status; `is_whole` is False when the body was too slow, too long or cut off."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    is_whole: bool = True

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", errors="replace")

    @property
    def json(self) -> Mapping[str, Any] | None:
        """The body as a JSON object, None if it is none."""
        try:
            found = json.loads(self.body)
        except ValueError:
            return None
        return found if isinstance(found, dict) else None


def encoded(value: Any) -> bytes:
    """Return the JSON value, compact and in UTF-8; what JSON has no number for becomes null, so that nothing is lost.

    Letters are not escaped, so that texts stay as long as they look.
    """
    text = json.dumps(_finite(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8", "replace")


def utc_now() -> datetime:
    """Return the time, for channels whose messages are dated by the attempt."""
    return datetime.now(UTC)


async def post(channel: str, url: str, body: bytes, *, headers: Mapping[str, str] = JSON_TYPE) -> Answer:
    """Post the body for the channel of this name and return the 2xx answer, or raise Retryable or Rejected."""
    return accepted(channel, await exchange(channel, url, body, headers=headers))


async def exchange(channel: str, url: str, body: bytes, *, headers: Mapping[str, str] = JSON_TYPE) -> Answer:
    """Post the body and return the answer, whatever its status; raise when there is none."""
    quiet()
    try:
        return await _exchanged(url, body, headers)
    except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, UnicodeError, ValueError, OSError) as error:
        failed = _unanswered(channel, error)
    # Raised here, so that the original, whose words may hold the address or a header, is no part of the traceback.
    raise failed


def accepted(channel: str, answer: Answer) -> Answer:
    """Return the answer if its status is 2xx, else raise what the status means."""
    status = answer.status
    if 200 <= status < 300:
        return answer
    said = f"{channel}: answered {status}{_excerpt(answer)}"
    if status == 429:
        raise Retryable(said, Failure.RATE_LIMITED, retry_after=retry_after(answer.headers))
    if status >= 500 or status in _TRY_AGAIN:
        maybe = status in _MAY_HAVE_WORKED
        pause = retry_after(answer.headers)
        raise Retryable(said, Failure.SERVER_ERROR, retry_after=pause, may_have_arrived=maybe)
    raise Rejected(said, Failure.AUTH if status in (401, 403) else Failure.CLIENT)


def retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """Return how long the other side asks us to wait, at most a day; a date is read against the answer's own clock."""
    asked = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,12}", asked):
        return min(timedelta(seconds=int(asked)), LONGEST_PAUSE)
    until, now = _date(asked), _date(headers.get("date", ""))
    return min(max(until - now, timedelta(0)), LONGEST_PAUSE) if until and now else None


def quiet() -> None:
    """Keep libraries that log addresses and headers at WARNING or above, whatever the level of the root logger.

    httpx2 logs the full URL at INFO, and the URL of a Slack webhook is its secret.
    """
    for name in _TALKATIVE:
        logger = logging.getLogger(name)
        if logger.level < logging.WARNING:
            logger.setLevel(logging.WARNING)


async def _exchanged(url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    client = httpx2.AsyncClient(verify=trust(), timeout=STEP_SECONDS, follow_redirects=False)
    sent = {**_HEADERS, **headers}
    async with client, client.stream("POST", url, content=body, headers=sent) as response:
        received, is_whole = await _body(response)
        return Answer(response.status_code, dict(response.headers), received, is_whole)


async def _body(response: httpx2.Response) -> tuple[bytes, bool]:
    """Return what comes of the body in time; the status alone already says whether the message has arrived."""
    received = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in response.aiter_raw():
                received += chunk
                if len(received) > BODY_BYTES:
                    return bytes(received[:BODY_BYTES]), False
    except (httpx2.HTTPError, TimeoutError):
        return bytes(received), False
    return bytes(received), True


@cache
def trust() -> ssl.SSLContext:
    """Return the certificates that are trusted, made once: reading them takes a tenth of a second."""
    return httpx2.create_ssl_context()


def _unanswered(channel: str, error: Exception) -> Retryable | Rejected:
    what = f"{channel}: {_reason(error)}"
    if isinstance(error, httpx2.InvalidURL | httpx2.UnsupportedProtocol | httpx2.LocalProtocolError | UnicodeError):
        return Rejected(f"{channel}: the address or a header is malformed", Failure.CLIENT)
    if isinstance(error, _NOT_SENT):
        return Retryable(f"{what}; nothing was sent", Failure.NETWORK)
    return Retryable(f"{what}; the message may have arrived", Failure.AMBIGUOUS, may_have_arrived=True)


def _reason(error: Exception) -> str:
    """Return the kind of the error and what the system said, never the error's own words."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"the certificate is not trusted ({cause.verify_message})"
        if isinstance(cause, OSError) and cause.strerror:
            return f"{type(error).__name__} ({cause.strerror})"
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__


def _excerpt(answer: Answer) -> str:
    # Servers repeat (parts of) a key that they refuse.
    if answer.status in (401, 403) or not answer.body:
        return ""
    return f": {one_line(scrub(answer.text), 200)}"


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: _finite(item) for name, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value


def _date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
