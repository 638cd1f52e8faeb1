"""Screenshots of the Dagster UI, taken by a headless Chromium that is driven over its DevTools protocol."""

import base64
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from websockets.sync.client import ClientConnection, connect

PATIENCE_SECONDS: Final = 180
FLAGS: Final = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"),
    *("--disable-component-update", "--no-first-run", "--remote-allow-origins=*"),
)
# Labels and keys of the UI of the pinned Dagster release.
CLICK: Final = """(text => {
  const found = [...document.querySelectorAll('button')].find(one => one.innerText.trim() === text);
  if (found) found.click();
})"""
EXPAND_GROUPS: Final = """document.body.dispatchEvent(
  new KeyboardEvent('keydown', {altKey: true, code: 'KeyE', key: 'e', bubbles: true}))"""
HIDE_SIDEBAR: Final = """(() => {
  const box = document.querySelector('input[placeholder^="Jump"]').getBoundingClientRect();
  const beside = one => Math.abs(one.top - box.top) < 8 && one.left > box.right - 5 && one.left < box.right + 40;
  [...document.querySelectorAll('button')].find(one => beside(one.getBoundingClientRect())).click();
})()"""
FIT_GRAPH: Final = """(() => {
  const [x, y] = [innerWidth - 220, innerHeight - 120];
  document.elementFromPoint(x, y).dispatchEvent(
    new MouseEvent('dblclick', {bubbles: true, clientX: x, clientY: y}));
})()"""


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the browser, `width` by `height` CSS pixels."""

    socket: ClientConnection
    width: int
    height: int

    def call(self, method: str, **parameters: Any) -> Any:
        """Return what the browser answers."""
        self.socket.send(json.dumps({"id": 1, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self.socket.recv(timeout=PATIENCE_SECONDS))
            if "id" in answer:
                return answer["result"]

    def open(self, url: str, *, until: str) -> None:
        """Open the page and wait until it shows the text."""
        size = {"width": self.width, "height": self.height, "deviceScaleFactor": 1.5, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        self.call("Page.navigate", url=url)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while until not in self.run("document.body ? document.body.innerText : ''"):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{url} never showed {until!r}")
            time.sleep(0.5)
        time.sleep(3)

    def run(self, script: str) -> str:
        """Run a script in the page, and let the page settle."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True)["result"]
        time.sleep(1)
        return str(found.get("value", ""))

    def save(self, path: Path) -> None:
        """Write what the page looks like as PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))


def lineage(home: Path, path: Path) -> None:
    """Save the asset graph of the project at `home`, all groups expanded."""
    with ExitStack() as stack:
        url = stack.enter_context(_web_server(home))
        page = stack.enter_context(_browser(1120, 1400))
        # Which groups are expanded is remembered, and the graph laid out anew, by the second visit.
        for _ in range(2):
            page.open(f"{url}/asset-groups", until="snapshots")
            page.run(f"{CLICK}('Skip')")
            page.run(f"{CLICK}('Hide navigation')")
            if "ece_bound" not in page.run("document.body.innerText"):
                page.run(EXPAND_GROUPS)
        page.run(HIDE_SIDEBAR)
        page.run(FIT_GRAPH)
        time.sleep(3)
        page.save(path)


def asset(home: Path, name: str, path: Path) -> None:
    """Save the page of one asset of the project at `home`."""
    with ExitStack() as stack:
        url = stack.enter_context(_web_server(home))
        page = stack.enter_context(_browser(1280, 1120))
        page.open(f"{url}/assets/{name}", until="Metadata")
        page.run(f"{CLICK}('Skip')")
        page.run(f"{CLICK}('Hide navigation')")
        page.save(path)


@contextmanager
def _web_server(home: Path) -> Iterator[str]:
    """Yield the address of a Dagster UI without a daemon, so that looking changes nothing."""
    port = _free_port()
    program = Path(sys.executable).with_name("dagster-webserver")
    command: list[str | Path] = [program, "-h", "127.0.0.1", "-p", str(port), "-m", "calslo_dagster.definitions"]
    places = {"DAGSTER_HOME": str(home / "dagster"), "CALSLO_CONFIG": str(home / "calslo.yaml")}
    with _running(command, env={**os.environ, **places}):
        _await(f"http://127.0.0.1:{port}/server_info")
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _browser(width: int, height: int) -> Iterator[Page]:
    program = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chrome")
    if program is None:
        raise FileNotFoundError("no Chromium; install it to take screenshots")
    port = _free_port()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options: list[str] = [
            f"--user-data-dir={profile}",
            f"--remote-debugging-port={port}",
            f"--window-size={width},{height}",
        ]
        command: list[str | Path] = [program, *FLAGS, *options, "about:blank"]
        with _running(command, env=dict(os.environ)):
            tabs = json.loads(_await(f"http://127.0.0.1:{port}/json"))
            address = next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page")
            with connect(address, max_size=None) as opened:
                yield Page(opened, width, height)


@contextmanager
def _running(command: Sequence[str | Path], env: dict[str, str]) -> Iterator[None]:
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, env=env, stdout=quiet, stderr=quiet)  # noqa: S603 - programs named above
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


def _await(url: str) -> bytes:
    """Return what the address answers, once it does."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own loopback address
                content: bytes = answer.read()
                return content
        except (urllib.error.URLError, OSError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
