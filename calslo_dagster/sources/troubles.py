"""Why a file could not be read, told from the file itself and from what DuckDB or Arrow said."""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa

from calslo_dagster.sources.base import FileFormat
from calslo_dagster.sources.complaints import shown
from calslo_dagster.sources.listing import DENIED, compression_of

_MAGIC: Final = b"PAR1"
_BLOCK: Final = 1 << 20
_GONE: Final = "vanished between being listed and being read; it is looked for again"
_CUT: Final = "the compressed data ends early: the file is still being written, or was cut; it is read again"
_CSV_LINE: Final = re.compile(r"CSV Error on Line: (\d+)")
_CSV_REASONS: Final = (
    (re.compile(r"Expected Number of Columns: (\d+) Found: (\d+)"), "has {1} columns where the header has {0}"),
    (re.compile(r"unterminated quote"), "has a quoted value that does not end"),
    (re.compile(r"not utf-8"), "is not UTF-8; write the file in UTF-8"),
    (re.compile(r"Maximum line size"), "is longer than 2 MB"),
)
_MIXED: Final = "quotes or line endings do not follow RFC 4180; write one kind of line ending and double inner quotes"


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong with a file, and whether it may pass by itself."""

    message: str
    retry: bool = False


def explain(path: Path, form: FileFormat | None, error: Exception) -> Trouble:
    """Return why reading the file failed."""
    if not path.exists():
        return Trouble(f"{path}: {_GONE}", retry=True)
    if not os.access(path, os.R_OK):
        return Trouble(f"{path}: {DENIED}")
    said = str(error)
    if re.search("Truncated compressed stream|Unexpected end of GZIP|ZSTD.*(truncated|incomplete)", said):
        return Trouble(f"{path}: {_CUT}", retry=True)
    if re.search("not a GZIP stream|incorrect header|Unknown frame descriptor", said, re.IGNORECASE):
        return Trouble(f"{path}: is not {compression_of(path)} data, which its name promises; rename or rewrite it")
    known = {FileFormat.PARQUET: _parquet, FileFormat.CSV: _csv, FileFormat.JSONL: _jsonl}
    found = known[form](path, said) if form else None
    return found or Trouble(f"{path}: cannot be read as {form}: {_first_line(said)}; rewrite the file")


def _parquet(path: Path, said: str) -> Trouble | None:
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(len(_MAGIC))
        file.seek(max(0, size - len(_MAGIC)))
        end = file.read()
    if not size:
        return Trouble(f"{path}: is empty, and even a Parquet file without rows has a footer; rewrite or remove it")
    if start != _MAGIC:
        return Trouble(f"{path}: is not a Parquet file; rewrite it, or name its format")
    if end != _MAGIC or size < 3 * len(_MAGIC):
        return Trouble(
            f"{path}: the Parquet footer is missing: still being written, or cut; it is read again", retry=True
        )
    return Trouble(f"{path}: the Parquet data is damaged ({_first_line(said)}); rewrite the file")


def _csv(path: Path, said: str) -> Trouble | None:
    line = _CSV_LINE.search(said)
    if "invalid state" in said:
        return Trouble(f"{path}: {_MIXED}")
    for pattern, text in _CSV_REASONS:
        if line and (match := pattern.search(said)):
            return _at_line(path, int(line[1]), text.format(*match.groups()))
    return None


def _jsonl(path: Path, _: str) -> Trouble | None:
    with pa.input_stream(str(path), compression=compression_of(path)) as stream:
        for number, line in enumerate(_lines(stream), start=1):
            try:
                value = json.loads(line) if line.strip() else {}
            except ValueError:
                return _at_line(path, number, f"is not JSON: {shown(line.decode(errors='replace'))}")
            if not isinstance(value, dict):
                return _at_line(path, number, f"is not a JSON object: {shown(line.decode(errors='replace'))}")
    return None


def _at_line(path: Path, line: int, text: str) -> Trouble:
    """Return the trouble of one line; a last line without an end may be one that is just being written."""
    if _is_open_end(path, line):
        return Trouble(f"{path}: line {line} {text}; it is the last and does not end, so it is read again", retry=True)
    return Trouble(f"{path}: line {line} {text}; correct or remove the line")


def _is_open_end(path: Path, line: int) -> bool:
    if compression_of(path):
        return False
    ends, last = 0, b""
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            ends, last = ends + block.count(b"\n"), block[-1:]
    return last not in (b"", b"\n") and ends + 1 == line


def _lines(stream: pa.NativeFile) -> Iterator[bytes]:
    rest = b""
    while block := stream.read(_BLOCK):
        *whole, rest = (rest + block).split(b"\n")
        yield from whole
    if rest:
        yield rest


def _first_line(said: str) -> str:
    return said.splitlines()[0].removeprefix("Invalid Input Error: ").removeprefix("IO Error: ").strip()
