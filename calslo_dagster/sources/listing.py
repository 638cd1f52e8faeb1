"""Which files there are: paths, directories and globs become units; what cannot be listed becomes one error each."""

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import takewhile
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from calslo_dagster.sources.base import FeedSpec, FileFormat, Unit

_ENDINGS: Final = {
    ".parquet": FileFormat.PARQUET,
    ".pq": FileFormat.PARQUET,
    ".csv": FileFormat.CSV,
    ".jsonl": FileFormat.JSONL,
    ".ndjson": FileFormat.JSONL,
    ".json": FileFormat.JSONL,
}
_COMPRESSED: Final = (".gz", ".zst")
# What logrotate and its kin put after the name of a log: a number, or when it was rotated.
_ROTATED: Final = re.compile(r"[.-](\d{1,3}|20\d\d-?\d\d-?\d\d([-_t.]?\d\d([-_:.]?\d\d){0,2})?|\d{10})$")
_MAGIC: Final = frozenset("*?[")
# Spark and its kin keep what is not data, or not yet, under such names.
_PRIVATE: Final = (".", "_")

DENIED: Final = "permission denied; let the user that runs calslo read it (a directory: list and enter it)"
ABSENT: Final = 'does not exist; correct "paths", or create it'
UNREADABLE_NAME: Final = "the name is not UTF-8; rename the file"
UNKNOWN: Final = 'the name does not tell the format; set "format" to parquet, csv or jsonl'


@dataclass(frozen=True, slots=True)
class Listed:
    """A path that was found, or why it was not."""

    path: Path
    problem: str = ""


def list_units(spec: FeedSpec) -> list[Unit]:
    """Return the files of the source by name, each once; names are relative to what all its paths have in common."""
    patterns = [Path(os.path.normpath(Path(path).expanduser().absolute())) for path in spec.paths]
    root = Path(os.path.commonpath([_base(pattern) for pattern in patterns]))
    found: dict[str, Listed] = {}
    for pattern in patterns:
        for listed in _expanded(pattern, spec.format):
            found.setdefault(os.path.realpath(listed.path), listed)
    units = (_unit(listed, root, spec.format) for listed in found.values())
    return sorted((unit for unit in units if unit), key=lambda unit: unit.name)


def format_of(path: Path) -> FileFormat | None:
    """Return the format that the file's name tells, if it tells one; that of a rotated log stands before its number."""
    name = path.name.lower()
    for ending in _COMPRESSED:
        name = name.removesuffix(ending)
    name = _ROTATED.sub("", name)
    known = _ENDINGS.get(Path(name).suffix)
    return None if known is FileFormat.PARQUET and name != path.name.lower() else known


def compression_of(path: Path) -> str | None:
    """Return `gzip`, `zstd` or None, as DuckDB and Arrow call them."""
    return {".gz": "gzip", ".zst": "zstd"}.get(path.suffix.lower())


def hive_values(path: Path) -> dict[str, str]:
    """Return the columns that the `col=value` directories above the file name."""
    pairs = (part.split("=", 1) for part in path.parts[:-1] if "=" in part)
    return {unquote(name): unquote(value) for name, value in pairs if name}


def _base(pattern: Path) -> Path:
    """Return the directory from which the names of a pattern's files are counted."""
    if (mode := _mode(pattern)) is not None:
        return pattern if stat.S_ISDIR(mode) else pattern.parent
    fixed = Path(*takewhile(lambda part: not _MAGIC & set(part), pattern.parts))
    return pattern.parent if fixed == pattern else fixed


def _mode(path: Path) -> int | None:
    """Return the mode of what the path leads to, or None where that cannot be told."""
    try:
        return path.stat().st_mode
    except OSError:
        return None


def _expanded(pattern: Path, form: FileFormat | None) -> Iterator[Listed]:
    base, mode = _base(pattern), _mode(pattern)
    if mode is not None and stat.S_ISDIR(mode):
        yield from _matching(pattern, ("**", "*"), form)
    elif mode is not None:
        yield Listed(pattern)
    elif any(_MAGIC & set(part) for part in pattern.parts):
        yield from _matching(base, pattern.relative_to(base).parts, form)
    else:
        reachable = os.access(base, os.X_OK) or _mode(base) is None
        yield Listed(pattern, ABSENT if reachable else DENIED)


def _matching(directory: Path, parts: tuple[str, ...], form: FileFormat | None) -> Iterator[Listed]:
    """Yield the files below the directory that match the parts of a pattern, one for each level."""
    entries = _entries(directory)
    if isinstance(entries, Listed):
        yield entries
        return
    head, rest = parts[0], parts[1:]
    if head == "**":
        yield from _matching(directory, rest or ("*",), form)
        # Links to directories are not followed here, because they may lead back up and never end.
        below = (e for e in entries if e.is_dir(follow_symlinks=False) and not e.name.startswith(_PRIVATE))
        for entry in below:
            yield from _matching(directory / entry.name, parts, form)
        return
    for path in (directory / entry.name for entry in entries):
        if not fnmatchcase(path.name, head) or (path.name.startswith(".") and not head.startswith(".")):
            continue
        mode = _mode(path)
        if rest and mode is not None and stat.S_ISDIR(mode):
            yield from _matching(path, rest, form)
        elif not rest and (mode is None or stat.S_ISREG(mode)) and (head != "*" or _is_ours(path, form)):
            yield Listed(path)


def _is_ours(path: Path, form: FileFormat | None) -> bool:
    """Tell whether a file that was not asked for by name looks like part of a log, not like a neighbour of one."""
    known = format_of(path)
    return known is not None and form in (None, known) and not path.name.startswith(_PRIVATE)


def _entries(directory: Path) -> list[os.DirEntry[str]] | Listed:
    try:
        if not os.access(directory, os.R_OK | os.X_OK) and directory.exists():
            return Listed(directory, DENIED)
        with os.scandir(directory) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except PermissionError:
        return Listed(directory, DENIED)
    except OSError:
        return Listed(directory, ABSENT)


def _text(path: str) -> str:
    """Return the path with bytes that are no text shown as such; neither DuckDB nor a database takes them."""
    return Path(os.fsencode(path).decode("utf-8", errors="backslashreplace")).as_posix()


def _unit(listed: Listed, root: Path, form: FileFormat | None) -> Unit | None:
    """Return the unit of a path, or None for a file that is gone by now."""
    name = _text(os.path.relpath(listed.path, root))
    form = form or format_of(listed.path)
    unread = UNREADABLE_NAME if _text(str(listed.path)) != str(listed.path) else "" if form else UNKNOWN
    problem = listed.problem or unread
    if problem:
        return Unit(name, f"{name}:{problem}", listed.path, problem=f"{_text(str(listed.path))}: {problem}")
    try:
        found = listed.path.stat()
    except FileNotFoundError:
        return None
    except OSError:
        return Unit(name, f"{name}:{DENIED}", listed.path, problem=f"{listed.path}: {DENIED}")
    return Unit(name, f"{name}:{found.st_size}:{found.st_mtime_ns}", listed.path, form)
