"""Ways to behave badly.

| mode           | what happens                                                           | is the message taken? |
| -------------- | ---------------------------------------------------------------------- | --------------------- |
| ok             | the service's own answer                                               | yes                   |
| jitter         | the same, 2 to 30 ms later                                             | yes                   |
| 429            | `Retry-After: n`                                                       | no                    |
| 429huge        | `Retry-After: 3600`                                                    | no                    |
| 429date        | `Retry-After` as a date, n seconds from now                            | no                    |
| 400, 401, 403, 404, 500, 502, 503 | that status; the body repeats the whole request, as debugging pages do | no |
| redirect       | 302 to another path here                                               | no                    |
| okfalse:error  | 200 with `{"ok": false, "error": error}`                               | no                    |
| badblocks      | 400 `invalid_blocks`, as incoming webhooks answer                      | no                    |
| html           | 200 with a page, as a captive portal answers                           | no                    |
| huge           | 200 with a body of 1 MB                                                | no                    |
| hang           | no answer until the client leaves                                      | no                    |
| hangafter      | the same                                                               | yes                   |
| drip           | the answer, one byte a second                                          | yes                   |
| dripbody       | status and headers at once, then the body one byte a second            | yes                   |
| reset          | the connection is reset instead of answered                            | yes                   |
| close          | the connection is closed instead of answered                           | no                    |
| garbage        | an answer that is not HTTP                                             | no                    |
"""

import asyncio
import contextlib
import json
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from calslo_dagster_tests.peers.wire import Reply, Request, drip, json_reply, reset, send

TAKES = frozenset({"ok", "jitter", "hangafter", "drip", "dripbody", "reset"})
STATUSES = frozenset({"400", "401", "403", "404", "500", "502", "503"})
KNOWN = (
    TAKES
    | STATUSES
    | {"429", "429huge", "429date", "redirect", "badblocks", "html", "huge", "hang", "close", "garbage"}
)


@dataclass(slots=True)
class Mode:
    """How to behave, and for how many more requests; `times` None is for ever."""

    name: str = "ok"
    retry_after: int = 3
    times: int | None = None

    def __post_init__(self) -> None:
        if self.name not in KNOWN and not self.name.startswith("okfalse:"):
            raise ValueError(f"no mode is called {self.name!r}")

    @property
    def takes(self) -> bool:
        """Whether the service gets to see the request."""
        return self.name in TAKES


def excuse(mode: Mode, request: Request) -> Reply:
    """Return the answer of a mode that does not take the request."""
    if mode.name.startswith("okfalse:"):
        return json_reply({"ok": False, "error": mode.name.partition(":")[2]})
    if mode.name in STATUSES:
        headers = json.dumps(dict(request.headers))
        return Reply(int(mode.name), f"refused {request.path} {headers} {request.body.decode(errors='replace')}")
    waits = {"429": str(mode.retry_after), "429huge": "3600", "429date": _later(mode.retry_after)}
    if mode.name in waits:
        return Reply(429, "slow down", {"Retry-After": waits[mode.name]})
    plain = {
        "redirect": Reply(302, "", {"Location": "/elsewhere"}),
        "badblocks": Reply(400, "invalid_blocks"),
        "html": Reply(200, "<html>please log in</html>"),
        "huge": Reply(200, "x" * 1_000_000),
    }
    return plain.get(mode.name, Reply())


async def answer(mode: Mode, reply: Reply, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send the reply as the mode says."""
    head, body = reply.encoded()
    with contextlib.suppress(ConnectionError):
        if mode.name in ("hang", "hangafter"):
            await reader.read()
        elif mode.name == "reset":
            reset(writer)
        elif mode.name == "garbage":
            await send(writer, b"\x00\x01 not HTTP at all\r\n\r\n")
        elif mode.name == "drip":
            await drip(writer, head + body)
        elif mode.name == "dripbody":
            await send(writer, head)
            await drip(writer, body)
        elif mode.name != "close":
            await asyncio.sleep(random.uniform(0.002, 0.03) if mode.name == "jitter" else 0)
            await send(writer, head + body)


def _later(seconds: int) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)
