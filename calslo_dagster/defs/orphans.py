"""Runs of the command line whose process is gone: nobody else would end them, and they hold up all that writes.

A process is known by a lock, which the operating system gives up for it however it ends. Unlike a process id, a lock
is never somebody else's later on.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from uuid import uuid4

import dagster as dg
from filelock import FileLock, Timeout

HOST: Final = "calslo/host"
PID: Final = "calslo/pid"
LOCK: Final = "calslo/lock"
UNFINISHED: Final = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


@contextmanager
def lifeline(folder: Path) -> Iterator[dict[str, str]]:
    """Hold a lock in the folder for as long as this process lives; yield the tags that lead from a run to it."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder.absolute() / f"run-{uuid4().hex}.lock"
    try:
        with FileLock(file):
            yield {HOST: socket.gethostname(), PID: str(os.getpid()), LOCK: str(file)}
    finally:
        file.unlink(missing_ok=True)


def fail_orphans(instance: dg.DagsterInstance) -> int:
    """Mark the runs failed that a process of this host began and did not live to end; return how many they are."""
    here = dg.RunsFilter(statuses=UNFINISHED, tags={HOST: socket.gethostname()})
    gone = [run for run in instance.get_runs(here) if not _is_held(Path(run.tags[LOCK]))]
    for run in gone:
        message = f"Its process, {run.tags[PID]} on {run.tags[HOST]}, is gone; what it had stored stays, run it again"
        instance.report_run_failed(run, message)
        Path(run.tags[LOCK]).unlink(missing_ok=True)
    return len(gone)


def _is_held(file: Path) -> bool:
    """Whether a process holds the lock, or may: of what another user holds we see nothing."""
    try:
        if not file.exists():
            return False
        with FileLock(file, timeout=0):
            return False
    except (Timeout, PermissionError):
        return True
