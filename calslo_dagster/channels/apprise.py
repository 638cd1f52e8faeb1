"""The long tail of services, through the library Apprise: an extra, loaded when the first message is sent.

Apprise says no more than that it failed, so every failure may be permanent, may pass, and may have delivered all the
same: such a letter is tried again, and the caller bounds how often.
"""

import asyncio
import importlib
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from calslo_dagster.alerting.model import Action, Severity
from calslo_dagster.channels.base import Failure, Letter, Receipt, Rejected, Retryable
from calslo_dagster.channels.http import quiet
from calslo_dagster.channels.redact import conceal
from calslo_dagster.channels.secret import Secret
from calslo_dagster.channels.slack_blocks import REPEAT
from calslo_dagster.channels.threads import in_thread

INSTALL: Final = 'pip install "calslo_dagster[apprise]"'
_TYPES: Final = {
    Severity.INFO: "info",
    Severity.WARNING: "warning",
    Severity.CRITICAL: "failure",
    Severity.EMERGENCY: "failure",
}


@dataclass(frozen=True, slots=True)
class AppriseChannel:
    """Sends title and text to one Apprise address, such as `msteams://...`.

    timeout_seconds: after it the attempt is given up; its thread goes on, and nobody waits for it.
    """

    name: str
    url: Secret
    timeout_seconds: float = 6.0

    def __post_init__(self) -> None:
        conceal(self.url)

    async def send(self, letter: Letter) -> Receipt:
        """Send the letter in a thread, as Apprise blocks."""
        try:
            async with asyncio.timeout(self.timeout_seconds):
                succeeded = await in_thread(partial(self._succeeds, letter))
        except TimeoutError:
            told = f"{self.name}: Apprise did not finish within {self.timeout_seconds:g} s"
            raise Retryable(told, Failure.DEADLINE, may_have_arrived=True) from None
        if not succeeded:
            told = f"{self.name}: Apprise failed and does not say why; the message may have arrived"
            raise Retryable(told, Failure.AMBIGUOUS, may_have_arrived=True)
        return Receipt(detail="Apprise succeeded")

    def _succeeds(self, letter: Letter) -> bool:
        library = loaded(self.name)
        quiet()
        try:
            return self._notify(library, letter)
        except Rejected:
            raise
        except Exception as error:  # noqa: BLE001 - each of its hundred services may raise anything
            failed = f"{self.name}: Apprise raised {type(error).__name__}; the message may have arrived"
        raise Retryable(failed, Failure.AMBIGUOUS, may_have_arrived=True)

    def _notify(self, library: Any, letter: Letter) -> bool:
        service = library.Apprise()
        if not service.add(self.url.reveal()):
            raise Rejected(f"{self.name}: Apprise knows no such address", Failure.CLIENT)
        is_repeat = letter.action is Action.TRIGGER and not letter.first_try
        ended = letter.action is Action.RESOLVE
        return bool(
            service.notify(
                title=(REPEAT if is_repeat else "") + letter.words.title,
                body=letter.words.text or letter.words.title,
                notify_type="success" if ended else _TYPES[letter.severity],
                body_format="text",
            )
        )


def loaded(channel: str) -> Any:
    """Return the library, or raise Rejected with the way to install it."""
    try:
        return importlib.import_module("apprise")
    except ImportError:
        raise Rejected(f"{channel}: Apprise is not installed; run `{INSTALL}`", Failure.CLIENT) from None
