"""Prometheus and its promtool, as installed or as `.ci/prometheus` fetched them, and servers that tests start."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Final

import httpx2
import pytest

ROOT: Final = Path(__file__).parents[2]
PATIENCE_SECONDS: Final = 60.0
_FETCHED: Final = ROOT / ".tools" / "prometheus" / "usr" / "bin"


def tool(name: str) -> Path:
    """Return the program; without it the test fails, because nothing else can take its place."""
    found = shutil.which(name) or shutil.which(name, path=str(_FETCHED))
    if found is None:
        pytest.fail(f"{name} is not installed; run .ci/prometheus")
    return Path(found)


def promtool(*arguments: object, given: bytes = b"") -> subprocess.CompletedProcess[str]:
    """Run promtool with these arguments and this input; return how it ended."""
    command = [str(tool("promtool")), *map(str, arguments)]
    done = subprocess.run(command, input=given, capture_output=True, timeout=60, check=False)
    return subprocess.CompletedProcess(command, done.returncode, done.stdout.decode(), done.stderr.decode())


@contextmanager
def serving(answer: Any) -> Iterator[str]:
    """Serve what `answer(accept)` returns, body and content type, at any path; yield the address host:port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body, content_type = answer(self.headers.get("Accept", ""))
            self.send_response(200)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def prometheus(folder: Path, target: str, rules: Path) -> Iterator[str]:
    """Run a Prometheus that scrapes the target each second and knows the rules; yield the address of its API."""
    (folder / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s, evaluation_interval: 1s}\n"
        f"rule_files: ['{rules}']\n"
        f"scrape_configs: [{{job_name: calslo, static_configs: [{{targets: ['{target}']}}]}}]\n"
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        str(tool("prometheus")),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--enable-feature=exemplar-storage",
    ]
    with (folder / "prometheus.log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            yield f"http://127.0.0.1:{port}/api/v1"
        finally:
            process.terminate()
            process.wait(20)


def answered(api: str, path: str, wanted: Any, **parameters: str) -> Any:
    """Return the `data` that the server gives once `wanted(data)` holds; the test fails if it never does."""
    ends, data = time.monotonic() + PATIENCE_SECONDS, None
    while time.monotonic() < ends:
        try:
            data = httpx2.get(f"{api}/{path}", params=parameters).json().get("data")
        except (httpx2.TransportError, ValueError):
            data = None
        if data is not None and wanted(data):
            return data
        time.sleep(0.2)
    pytest.fail(f"{path} {parameters} never was as wanted; last: {data}")
