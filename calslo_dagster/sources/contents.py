"""What a file holds, apart from its name: how one is known again that was renamed, packed, repeated or grew."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Final

import pyarrow as pa

from calslo_dagster.sources.base import DUPLICATES, Intake
from calslo_dagster.sources.listing import compression_of

_BLOCK: Final = 1 << 20
# The first rows of a log tell it from all others: they say when it began.
_START: Final = 1 << 12


def content_of(path: Path, told: Mapping[str, str]) -> str:
    """Return what identifies the bytes of a file, unpacked, and what its folders tell of its rows.

    All of the file is read, so data that was cut is met here at the latest.
    """
    whole, start, length = sha256(), b"", 0
    with pa.input_stream(str(path), compression=compression_of(path)) as stream:
        while block := stream.read(_BLOCK):
            whole.update(block)
            start += block[: _START - len(start)]
            length += len(block)
    folders = _digest(repr(sorted(told.items())).encode()) if told else ""
    return f"{length}:{_digest(start)}:{whole.hexdigest()[:32]}:{folders}"


def begins_with(path: Path, content: str) -> bool:
    """Whether the file begins as the one did that had this content."""
    length, start = content.split(":")[:2]
    wanted = min(int(length), _START)
    try:
        with pa.input_stream(str(path), compression=compression_of(path)) as stream:
            return wanted > 0 and _digest(stream.read(wanted)) == start
    except (pa.ArrowException, OSError):
        return False


def repeated(contents: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return, by name, the units that hold the same as one before them, and the name of that one."""
    first: dict[str, str] = {}
    return {
        name: original
        for name, content in contents
        if content and (original := first.setdefault(content, name)) != name
    }


def without_copies(intakes: Sequence[Intake]) -> list[Intake]:
    """Return the intakes with all rows of repeated files counted as duplicates."""
    copies = repeated((i.unit.name, i.content) for i in intakes if i.rows and not i.error)
    return [_copy(intake, copies[intake.unit.name]) if intake.unit.name in copies else intake for intake in intakes]


def _copy(intake: Intake, original: str) -> Intake:
    return replace(intake, hours={}, rejected={DUPLICATES: intake.rows}, first_us=None, last_us=None, copy_of=original)


def _digest(data: bytes) -> str:
    return sha256(data).hexdigest()[:16]
