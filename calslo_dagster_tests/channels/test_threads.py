"""A call that hangs costs its caller the time that the caller gives it, and nobody more."""

import asyncio
import subprocess
import sys
import threading
import time

import pytest

from calslo_dagster.channels.threads import in_thread, run

HANGING_LOOKUP = """
import asyncio, socket, time
from calslo_dagster.channels.http import exchange
from calslo_dagster.channels.threads import run

socket.getaddrinfo = lambda *_, **__: time.sleep(30)

async def main():
    async with asyncio.timeout(0.3):
        await exchange("ops", "http://slow.example.org/", b"")

try:
    run(main())
except TimeoutError:
    print("left")
"""


def test_a_name_lookup_that_hangs_holds_up_neither_the_loop_nor_the_interpreter() -> None:
    began = time.monotonic()

    done = subprocess.run(
        [sys.executable, "-c", HANGING_LOOKUP], capture_output=True, text=True, check=True, timeout=25
    )

    assert (done.stdout.strip(), done.stderr) == ("left", "")
    assert time.monotonic() - began < 15


def test_the_result_and_the_error_of_a_call_come_back() -> None:
    def fails() -> None:
        raise KeyError("x")

    assert run(in_thread(lambda: 6 * 7)) == 42
    with pytest.raises(KeyError, match="x"):
        run(in_thread(fails))


def test_a_result_that_nobody_waits_for_any_more_is_dropped() -> None:
    release, workers = threading.Event(), []

    def hangs() -> None:
        workers.append(threading.current_thread())
        release.wait(10)

    async def give_up() -> None:
        async with asyncio.timeout(0.05):
            await in_thread(hangs)

    with pytest.raises(TimeoutError):
        run(give_up())
    release.set()
    workers[0].join(5)

    assert not workers[0].is_alive()
