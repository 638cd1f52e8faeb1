"""Debian's Alertmanager as a peer: found on the path, or fetched once as a package and unpacked, not installed."""

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PACKAGE = "prometheus-alertmanager"
PROGRAM = Path("usr/bin/prometheus-alertmanager")
TOOL = Path("usr/bin/amtool")
SETTINGS = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"
# Debian's program reads its templates from here; unpacked, it has to look below its own folder. The lengths are equal.
INSTALLED_SHARE = b"/usr/share/prometheus/alertmanager"
UNPACKED_SHARE = b"usr/share/prometheus//alertmanager"
START_SECONDS = 30
FETCH_SECONDS = 120


class UnobtainableError(Exception):
    """There is no Alertmanager, and none can be fetched."""


@dataclass(frozen=True, slots=True)
class Alertmanager:
    """A running Alertmanager and its command line tool."""

    url: str
    tool: Path

    def alerts(self, *matchers: str) -> list[dict[str, Any]]:
        """Return the active alerts as `amtool` sees them."""
        command: list[str | Path] = [
            self.tool,
            f"--alertmanager.url={self.url}",
            "alert",
            "query",
            "-o",
            "json",
            *matchers,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=START_SECONDS)
        found: list[dict[str, Any]] = json.loads(done.stdout)
        return found


@contextmanager
def running_alertmanager() -> Iterator[Alertmanager]:
    """Yield an Alertmanager that listens on this machine only; afterwards stop it and remove its files."""
    program, tool = programs()
    command: list[str | Path]
    with tempfile.TemporaryDirectory(prefix="calslo-am-") as name:
        folder, address = Path(name), f"127.0.0.1:{_free_port()}"
        (folder / "am.yml").write_text(SETTINGS, encoding="utf-8")
        options = [f"--config.file={folder / 'am.yml'}", f"--storage.path={folder}", f"--web.listen-address={address}"]
        with (folder / "log").open("wb") as log:
            command = [program, *options, "--cluster.listen-address="]
            process = subprocess.Popen(command, cwd=program.parents[2], stdout=log, stderr=log, start_new_session=True)
            try:
                _await_ready(f"http://{address}", process, folder / "log")
                yield Alertmanager(f"http://{address}", tool)
            finally:
                process.kill()
                process.wait()


def programs() -> tuple[Path, Path]:
    """Return server and tool: from the path, from the cache, or fetched into it."""
    found = [shutil.which(path.name) for path in (PROGRAM, TOOL)]
    if found[0] and found[1]:
        return Path(found[0]), Path(found[1])
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "calslo-tests" / PACKAGE
    if not (home / PROGRAM).exists():
        _fetch(home)
    return home / PROGRAM, home / TOOL


def _fetch(home: Path) -> None:
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fetch-", dir=home.parent) as name:
        folder = Path(name)
        _download(folder)
        package = next(folder.glob("*.deb"))
        _run(["dpkg", "-x", package, folder / "tree"], folder)
        program = folder / "tree" / PROGRAM
        program.write_bytes(program.read_bytes().replace(INSTALLED_SHARE, UNPACKED_SHARE))
        try:
            (folder / "tree").rename(home)
        except OSError:
            # Another test process was faster.
            if not (home / PROGRAM).exists():
                raise


def _download(folder: Path) -> None:
    """Download the package with the lists that are there, else with lists of our own, which take no rights."""
    private: list[str | Path] = []
    for setting in ("Dir::State=state", "Dir::State::status=/var/lib/dpkg/status", "Dir::Cache=cache"):
        key, _, value = setting.partition("=")
        private += ["-o", f"{key}={folder / value}"]
    for place in ("state/lists/partial", "cache/archives/partial"):
        (folder / place).mkdir(parents=True)
    try:
        _run(["apt-get", "download", PACKAGE], folder)
    except UnobtainableError:
        _run(["apt-get", *private, "update"], folder)
        _run(["apt-get", *private, "download", PACKAGE], folder)


def _run(command: list[str | Path], folder: Path) -> None:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=FETCH_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnobtainableError(_told(str(error))) from error
    if done.returncode:
        raise UnobtainableError(_told(done.stderr.strip()[-500:]))


def _told(why: str) -> str:
    return f"no Alertmanager on the path and none to be fetched; run `apt-get install {PACKAGE}` ({why})"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _await_ready(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/-/ready", timeout=1):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.05)
    raise RuntimeError(f"Alertmanager did not start:\n{log.read_text(encoding='utf-8', errors='replace')}")
