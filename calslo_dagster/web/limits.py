"""How many requests one address, and one token, may make in a minute; the answers say how many are left."""

import math
import time
from dataclasses import dataclass, field
from typing import Final

from fastapi import HTTPException
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from calslo_dagster.web.problems import problem

# Those who look after us must reach us even when somebody else asks too much.
_FREE: Final = ("/livez", "/readyz", "/metrics", "/static/")


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of the requests of this minute, and after how many seconds there are more."""

    limit: int
    left: int
    reset_seconds: int
    is_spent: bool = False

    @property
    def headers(self) -> dict[str, str]:
        """The headers that tell it, as in the draft of the IETF; those who must wait are told how long."""
        told = {
            "RateLimit-Policy": f'"minute";q={self.limit};w=60',
            "RateLimit": f'"minute";r={self.left};t={self.reset_seconds}',
        }
        return told | ({"Retry-After": str(self.reset_seconds)} if self.is_spent else {})


@dataclass(frozen=True, slots=True)
class Meter:
    """Counts requests in this process; several processes count apart."""

    per_minute: int
    _limiter: SlidingWindowCounterRateLimiter = field(
        default_factory=lambda: SlidingWindowCounterRateLimiter(MemoryStorage()), repr=False
    )

    def take(self, kind: str, name: str) -> Allowance:
        """Count one request of the address or token."""
        item = RateLimitItemPerMinute(self.per_minute)
        is_taken = self._limiter.hit(item, kind, name)
        stats = self._limiter.get_window_stats(item, kind, name)
        seconds = max(1, math.ceil(stats.reset_time - time.time()))
        return Allowance(self.per_minute, max(0, stats.remaining), seconds, is_spent=not is_taken)


def too_many(found: Allowance) -> HTTPException:
    """Return the error that tells when to come again."""
    return HTTPException(
        429,
        f"more than {found.limit:,} requests in a minute; wait {found.reset_seconds} s",
        headers=found.headers,
    )


class Metered:
    """Counts each request against its address."""

    def __init__(self, app: ASGIApp, meter: Meter) -> None:
        self._app, self._meter = app, meter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request, or say when to come again."""
        if scope["type"] != "http" or scope["path"].startswith(_FREE):
            await self._app(scope, receive, send)
            return
        client = scope.get("client")
        found = self._meter.take("address", client[0] if client else "unknown")
        if found.is_spent:
            refused = too_many(found)
            await problem(Request(scope), 429, refused.detail, headers=found.headers)(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                # A token's own allowance is what its owner has to look at.
                own: Allowance = scope.get("state", {}).get("allowance", found)
                for name, value in own.headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, answer)
