"""Calls that may hang longer than anybody waits: name lookups, libraries without a deadline, files on dead mounts."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


async def in_thread(call: Callable[[], T]) -> T:
    """Return what the call returns, run in a thread of its own that nobody waits for once the caller has given up.

    `asyncio.to_thread` would make the end of the loop, and that of the interpreter, wait for a call that hangs.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    threading.Thread(target=_work, args=(call, loop, future), name="calslo-channel", daemon=True).start()
    return await future


def _work(call: Callable[[], T], loop: asyncio.AbstractEventLoop, future: "asyncio.Future[T]") -> None:
    outcome: Callable[[], None]
    try:
        outcome = partial(future.set_result, call())
    except Exception as error:  # noqa: BLE001 - it is raised where the call is awaited
        outcome = partial(future.set_exception, error)
    # The loop is closed when nobody wants to know any more.
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(_settle, future, outcome)


def _settle(future: "asyncio.Future[Any]", outcome: Callable[[], None]) -> None:
    if not future.done():
        outcome()


class Loop(asyncio.SelectorEventLoop):
    """An event loop whose end never waits for a name lookup: asyncio's own runs them in threads that it joins."""

    async def getaddrinfo(
        self,
        host: bytes | str | None,
        port: bytes | str | int | None,
        *,
        family: int = 0,
        type: int = 0,  # noqa: A002 - the name is asyncio's
        proto: int = 0,
        flags: int = 0,
    ) -> list[Any]:
        """Return the addresses of the host."""
        look_up: Callable[[], list[Any]] = partial(socket.getaddrinfo, host, port, family, type, proto, flags)
        return await in_thread(look_up)


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run the coroutine as `asyncio.run` does, on a loop that can always be left in time."""
    with asyncio.Runner(loop_factory=Loop) as runner:
        return runner.run(main)
