"""What every channel is, and the two ways in which sending fails."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from calslo_dagster.errors import CalsloError


class Retryable(CalsloError):  # noqa: N818 - it says what to do, as callers read it
    """The message did not arrive, but may at the next try."""


class Rejected(CalsloError):  # noqa: N818 - it says what to do, as callers read it
    """The message will never arrive in this form; a person has to look."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message: `key` names it for good, `first_try` is False when an earlier try may have arrived."""

    key: str
    occasion: str
    text: str
    at: datetime
    first_try: bool = True


class Channel(Protocol):
    """A way to reach people."""

    @property
    def name(self) -> str:
        """What the channel is called in settings and on record."""
        ...

    def send(self, message: Message) -> None:
        """Deliver the message, or raise Retryable or Rejected."""
        ...
