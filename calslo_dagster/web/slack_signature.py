"""Whether Slack sent a request, by the secret that it shares with us."""

from collections.abc import Mapping
from datetime import datetime

from slack_sdk.signature import Clock, SignatureVerifier


class _At(Clock):
    """A clock of Slack's verifier that stands at our time."""

    def __init__(self, now: datetime) -> None:
        self._seconds = now.timestamp()

    def now(self) -> float:
        return self._seconds


def is_signed(secret: str, body: bytes, headers: Mapping[str, str], now: datetime) -> bool:
    """Return whether the signature is right and not older than five minutes."""
    return SignatureVerifier(secret, _At(now)).is_valid_request(body, dict(headers))
