"""Every test of the command line runs in an empty folder, without the settings of whoever runs it."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from calslo_dagster_tests.cli.running import FOREIGN

MEMORY = Path("/dev/shm")
ROOM_BYTES = 2**29


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the empty folder that is the working directory."""
    for name in [name for name in os.environ if name.startswith(FOREIGN)]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def memory() -> Iterator[Path]:
    """Yield a folder in memory, if there is room: Dagster commits each of its events to disk, most of a run's time."""
    has_room = os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM_BYTES
    folder = Path(tempfile.mkdtemp(prefix="calslo-test-", dir=MEMORY if has_room else None))
    yield folder
    shutil.rmtree(folder)
