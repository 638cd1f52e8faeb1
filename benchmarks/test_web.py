"""The web process over a thousand slices: pages for eight at a time, news for two hundred, memory, a first visit."""

import asyncio
import gzip
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from urllib.request import Request, urlopen
from uuid import uuid4

import pytest

from benchmarks import homes
from benchmarks.homes import NOON
from benchmarks.meter import Meter
from calslo_dagster.pipeline.project import Project
from calslo_dagster.store import evaluations, measurements

CLIENTS: Final = 8
VIEWERS: Final = 200
REQUESTS: Final = 400
# What is wanted: of the slowest in a hundred pages, of the last viewer to hear, and of the memory of the web process.
PAGE_MS, NEWS_S, MEMORY_MB, FIRST_KB = 60.0, 0.5, 120.0, 64.0
_PORT: Final = 18_641


@dataclass
class Web:
    """A running `calslo serve`, and the project that it serves."""

    project: Project
    process: subprocess.Popen[bytes]
    url: str

    def get(self, path: str) -> bytes:
        """Return what a browser gets, compressed as it asks for."""
        with urlopen(Request(f"{self.url}{path}", headers={"Accept-Encoding": "gzip"}), timeout=30) as answer:
            found: bytes = answer.read()
            return found

    @property
    def memory_mb(self) -> float:
        """The memory that the process holds."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text(encoding="utf-8").split()[1])
        return pages * 4096 / 1e6


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    """Serve a project with a thousand slices."""
    with TemporaryDirectory() as folder:
        home = homes.thousand(Path(folder))
        file = Path(folder) / "calslo.yaml"
        file.write_text(f"{file.read_text()}web: {{requests_per_minute: 1000000}}\n")
        project = home.open()
        homes.run_minute(project, NOON)
        command = [
            sys.executable,
            "-c",
            "from calslo_dagster.cli.main import cli; cli()",
            "serve",
            "--port",
            str(_PORT),
        ]
        process = subprocess.Popen([*command, "--config", str(file)])
        try:
            made = Web(project, process, f"http://127.0.0.1:{_PORT}")
            _await(made)
            yield made
        finally:
            process.terminate()
            process.wait()
            project.store.close()


def _await(web: Web) -> None:
    for _ in range(200):
        try:
            web.get("/livez")
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("calslo serve does not answer")


def test_overview_for_eight(meter: Meter, web: Web) -> None:
    """400 times the overview, by eight clients at once."""

    def timed(_: int) -> float:
        began = time.perf_counter()
        web.get("/")
        return (time.perf_counter() - began) * 1_000

    def all_of_them() -> list[float]:
        with ThreadPoolExecutor(CLIENTS) as pool:
            return list(pool.map(timed, range(REQUESTS)))

    web.get("/")
    took = meter(all_of_them, rounds=3)
    p99 = statistics.quantiles(took, n=100)[98]
    meter.note(p50_ms=statistics.median(took), p99_ms=p99)
    meter.goal("overview, p99 in ms", p99, at_most=PAGE_MS, ceiling=20 * PAGE_MS)


def test_first_visit(meter: Meter, web: Web) -> None:
    """The overview, the style sheet and the scripts, as a browser without any of them gets them."""
    paths = ("/", "/static/app.css", "/static/app.js", "/static/htmx.min.js", "/static/icon.svg")
    size = sum(len(part) for part in meter(lambda: [web.get(path) for path in paths], rounds=3)) / 1_024
    assert gzip.decompress(web.get("/")).startswith(b"<!doctype html>")
    meter.goal("first visit in KB", size, at_most=FIRST_KB, ceiling=2 * FIRST_KB)


def test_news_for_two_hundred(meter: Meter, web: Web) -> None:
    """From a new verdict in the store until the last of 200 listeners has heard of it."""

    def told() -> float:
        return asyncio.run(_told(web))

    slowest = meter(told, rounds=3)
    meter.goal(f"{VIEWERS} viewers told, in s", slowest, at_most=NEWS_S, ceiling=10 * NEWS_S)


async def _told(web: Web) -> float:
    streams = await asyncio.gather(*(_listener() for _ in range(VIEWERS)))
    heard = [asyncio.create_task(_heard(reader)) for reader, _ in streams]
    await asyncio.to_thread(_judge, web.project)
    stored = time.perf_counter()
    last = max(await asyncio.gather(*heard))
    for _, writer in streams:
        writer.close()
    return max(0.0, last - stored)


def _judge(project: Project) -> None:
    """Store one more look at the last window of an SLO."""
    slo = "ece_bound"
    with project.store.write() as session:
        [row, *_] = measurements.latest(session, slo=slo)
        evaluations.put(session, slo, {row.window_end: uuid4().hex}, at=datetime.now(UTC))


async def _listener() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", _PORT)
    writer.write(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
    await writer.drain()
    await _until(reader, b"event: board")
    return reader, writer


async def _heard(reader: asyncio.StreamReader) -> float:
    await _until(reader, b"event: board")
    return time.perf_counter()


async def _until(reader: asyncio.StreamReader, text: bytes) -> None:
    seen = b""
    while text not in seen:
        part = await reader.read(4_096)
        assert part, seen
        seen += part


def test_memory(meter: Meter, web: Web) -> None:
    """The memory of the web process after all pages; what draws and prints is a process of its own."""
    for path in ("/", "/?page=2", "/slos/ece_bound", "/calibration", "/drift", "/alerts", "/reports", "/audit"):
        web.get(path)
    meter(lambda: web.get("/"), rounds=3)
    meter.goal("web process in MB", web.memory_mb, at_most=MEMORY_MB, ceiling=3 * MEMORY_MB)
