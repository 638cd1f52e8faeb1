"""The log channel: one JSON line per message in a file, and the same on the process log."""

import json
import logging
import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from calslo_dagster.channels.base import Failure, Letter, Receipt, Retryable
from calslo_dagster.channels.threads import in_thread

logger = logging.getLogger("calslo_dagster.alerts")


@dataclass(frozen=True, slots=True)
class LogChannel:
    """Appends to `path`; a message of the same key is written once, even when a crash hid the first write."""

    path: Path
    name: str = "log"

    async def send(self, letter: Letter) -> Receipt:
        """Append one line and force it to disk, in a thread: the disk may be a network's."""
        try:
            written = await in_thread(partial(self._write, letter))
        except OSError as error:
            raise Retryable(f"{self.name}: cannot write {self.path}: {error.strerror}", Failure.NETWORK) from error
        if not written:
            return Receipt(detail="already written")
        logger.warning("%s\n%s", letter.words.title, letter.words.text)
        return Receipt(detail="written")

    def _write(self, letter: Letter) -> bool:
        """Return whether a line was written."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if not letter.first_try and self._holds(letter.key):
            return False
        fields = {
            "at": letter.at.isoformat(),
            "key": letter.key,
            "action": str(letter.action),
            "incident": letter.incident_id,
            "severity": str(letter.severity),
            "title": letter.words.title,
            "text": letter.words.text,
        }
        torn = self._ends_torn()
        with self.path.open("a", encoding="utf-8") as file:
            file.write("\n" * torn + json.dumps(fields, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        return True

    def _holds(self, key: str) -> bool:
        if not self.path.exists():
            return False
        with self.path.open(encoding="utf-8") as file:
            return any(f'"key": {json.dumps(key, ensure_ascii=False)},' in line for line in file if line.endswith("\n"))

    def _ends_torn(self) -> bool:
        """Whether a crash left the last line without its end."""
        if not self.path.exists() or self.path.stat().st_size == 0:
            return False
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read() != b"\n"
