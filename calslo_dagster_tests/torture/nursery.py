"""A process that has everything loaded and forks those who work, so that a killed one is replaced at once.

Run as a program: `python -m calslo_dagster_tests.torture.nursery SETTINGS STORE_URL`. Each line of its input names a
role and a seed; it answers with the id of the process that plays it. All of them end when its input does.
"""

import ctypes
import os
import random
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from calslo_dagster.pipeline.project import Project

ROOT: Final = Path(__file__).parents[2]
PATIENCE_SECONDS: Final = 20
_DIE_WITH_PARENT: Final = 1


@dataclass(frozen=True, slots=True)
class Nursery:
    """The running nursery, as seen by whoever asked for it."""

    process: "subprocess.Popen[str]"
    complaints: Path

    def fork(self, role: str, seed: int) -> int:
        """Return the id of a new process that plays the role."""
        asked, answered = _pipes(self.process)
        asked.write(f"{role} {seed}\n")
        asked.flush()
        return int(answered.readline())


@contextmanager
def running_nursery(settings: Path, store_url: str) -> Iterator[Nursery]:
    """Yield a nursery for a project; afterwards end it with all that it has forked."""
    complaints = settings.with_name("complaints.txt")
    command = [sys.executable, "-m", __spec__.name, str(settings), store_url]
    # Threads of a numerical library would be lost in a fork, with the locks that they hold.
    alone = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")
    with complaints.open("w", encoding="utf-8") as told:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=told,
            text=True,
            start_new_session=True,
            cwd=ROOT,
            env=os.environ | alone,
        )
        try:
            if _pipes(process)[1].readline() != "ready\n":
                raise RuntimeError(f"the nursery did not start:\n{complaints.read_text(encoding='utf-8')}")
            yield Nursery(process, complaints)
        finally:
            _end(process)


def _pipes(process: "subprocess.Popen[str]") -> tuple[IO[str], IO[str]]:
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout


def _end(process: "subprocess.Popen[str]") -> None:
    try:
        process.communicate(timeout=PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


def main(settings: Path, store_url: str) -> None:
    """Load what the roles need, then fork whom the input names."""
    from calslo_dagster_tests.torture import actors

    roles = {"producer": actors.produce, "dispatcher": actors.dispatch}
    project = actors.open_at(settings, store_url)
    # What is compiled and read once is inherited; connections must not be.
    actors.rehearse(project)
    project.store.close()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        role, seed = line.split()
        sys.stdout.write(f"{_forked(roles[role], project, int(seed))}\n")
        sys.stdout.flush()


def _forked(role: Callable[[Project, random.Random], None], project: Project, seed: int) -> int:
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
        if os.getppid() == parent:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            role(project, random.Random(seed))
    except BaseException:  # noqa: BLE001 - it is told, and the test that reads it fails
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
