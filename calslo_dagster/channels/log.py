"""The log channel: one JSON line per message in a file, and the same on the process log."""

import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path

from calslo_dagster.channels.base import Message, Retryable

logger = logging.getLogger("calslo_dagster.alerts")


@dataclass(frozen=True, slots=True)
class LogChannel:
    """Appends to `path`; a message of the same key is written once, even when a crash hid the first write."""

    path: Path
    name: str = "log"

    def send(self, message: Message) -> None:
        """Append one line and force it to disk."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if not message.first_try and self._holds(message.key):
                return
            self._append(message)
        except OSError as error:
            raise Retryable(f"cannot write the alert log {self.path}: {error}") from error
        logger.warning("%s", message.text)

    def _append(self, message: Message) -> None:
        fields = {"at": message.at.isoformat(), "key": message.key, "occasion": message.occasion, "text": message.text}
        torn = self._ends_torn()
        with self.path.open("a", encoding="utf-8") as file:
            file.write("\n" * torn + json.dumps(fields, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())

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
