"""The files of snapshot partials: written aside, forced to disk, then moved to a name made of their content.

A partial becomes visible by its row in the `partials` table only, so a crash at any point leaves the old one in force.
"""

import hashlib
import os
import shutil
import uuid
from pathlib import Path


def new_folder(root: Path) -> Path:
    """Return a new empty folder to write a partial in; not visible to any reader."""
    folder = root / ".writing" / uuid.uuid4().hex
    folder.mkdir(parents=True)
    return folder


def publish(root: Path, written: Path, under: str) -> tuple[str, str]:
    """Move a written folder to `<under>/<digest>`; return its path relative to `root`, and the digest.

    The same content gets the same path, so publishing twice is harmless.
    """
    digest = content_digest(written)
    relative = f"{under}/{digest[:32]}"
    target = root / relative
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        shutil.rmtree(written)
    else:
        _force_to_disk(written)
        written.replace(target)
        _sync(target.parent)
    return relative, digest


def content_digest(folder: Path) -> str:
    """Return the sha256 of the folder's file names and bytes."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        digest.update(path.name.encode() + b"\0")
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def remove_unlisted(root: Path, listed: set[str], older_than: float) -> int:
    """Delete partial folders that no manifest row names and that were last touched before `older_than` (epoch s).

    The age keeps a partial alive whose writer has moved it into place but not yet committed its row.
    """
    removed = 0
    for folder in _partial_folders(root):
        relative = folder.relative_to(root).as_posix()
        if relative not in listed and folder.stat().st_mtime < older_than:
            shutil.rmtree(folder, ignore_errors=True)
            removed += 1
    return removed


def _partial_folders(root: Path) -> list[Path]:
    if not root.exists():
        return []
    return sorted({file.parent for file in root.rglob("*.parquet")} | set((root / ".writing").glob("*")))


def _force_to_disk(folder: Path) -> None:
    for path in folder.iterdir():
        _sync(path)
    _sync(folder)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
