"""Live news: one look at the store per second serves every open page."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from calslo_dagster.errors import CalsloError
from calslo_dagster.pipeline.read_board import board_stamp
from calslo_dagster.web.access import reader
from calslo_dagster.web.front import Front

router: Final = APIRouter(include_in_schema=False)
LOOK_SECONDS: Final = 0.3
# So often something is sent at least, so that proxies keep the connection and browsers notice when it is gone.
ALIVE_SECONDS: Final = 15.0


@dataclass(slots=True)
class News:
    """The newest version of the board, told to all who wait; looked at only while somebody does."""

    front: Front
    version: str = ""
    _waiting: set[asyncio.Event] = field(default_factory=set)
    _watch: "asyncio.Task[None] | None" = None

    async def follow(self) -> AsyncIterator[str]:
        """Yield the version now and whenever it changes; an empty text as a sign of life."""
        bell = asyncio.Event()
        self._waiting.add(bell)
        if self._watch is None or self._watch.done():
            self._watch = asyncio.create_task(self._look())
        try:
            seen = await self._version()
            yield seen
            while True:
                with suppress(TimeoutError):
                    await asyncio.wait_for(bell.wait(), ALIVE_SECONDS)
                bell.clear()
                yield self.version if self.version != seen else ""
                seen = self.version
        finally:
            self._waiting.discard(bell)

    async def _look(self) -> None:
        while self._waiting:
            known, found = self.version, await self._version()
            if known != found:
                for bell in self._waiting:
                    bell.set()
            await asyncio.sleep(LOOK_SECONDS)

    async def _version(self) -> str:
        # A store that cannot be read just now is told on the pages; here the next look will see it again.
        with suppress(CalsloError):
            self.version = await run_in_threadpool(lambda: board_stamp(self.front.project()))
        return self.version


@router.get("/events")
async def events(request: Request) -> StreamingResponse:
    """Send the version of the board whenever it changes."""
    await run_in_threadpool(reader, request)
    news: News = request.app.state.news

    async def told() -> AsyncIterator[str]:
        yield "retry: 2000\n\n"
        async for version in news.follow():
            yield f"event: board\ndata: {version}\n\n" if version else ": alive\n\n"

    return StreamingResponse(told(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})
