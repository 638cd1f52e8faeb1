"""Any receiver that takes JSON: the body is versioned and described by a schema, and signed if it shares a secret.

Every attempt of one message carries the same `Idempotency-Key`; a receiver that keeps the keys it has seen never acts
twice. `X-Calslo-Timestamp` is the Unix time of the attempt and `X-Calslo-Signature` holds one `v1=` value per secret,
separated by commas: the HMAC-SHA256, in hex, of the timestamp, a dot and the body. While a secret is being changed both
are configured, and a receiver accepts the message if any value fits; `verify` does all of this.

The body, version 1 (`SCHEMA` says the same):

| field                  | meaning                                                                              |
| ---------------------- | ------------------------------------------------------------------------------------ |
| version                | 1; a field may be added within a version, none is removed or changes its meaning     |
| key                    | the idempotency key                                                                  |
| action                 | trigger, update, ack, resolve, digest or test                                        |
| at                     | when the message was ordered; all times are ISO 8601 with an offset                  |
| severity               | info, warning, critical or emergency                                                 |
| incident               | id; dedup_key, the same for all messages of one episode; episode; seq, the place of  |
|                        | this message among those of the incident to this receiver, from 1                    |
| title, text            | the message in words                                                                 |
| facts                  | what is known, see `calslo_dagster.alerting.facts.Facts`; `worst` holds at most 10   |
"""

import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final

from calslo_dagster.alerting.model import Action, Severity
from calslo_dagster.alerting.phrases import one_line
from calslo_dagster.channels import figures
from calslo_dagster.channels.base import Letter, Receipt
from calslo_dagster.channels.http import JSON_TYPE, encoded, post, utc_now
from calslo_dagster.channels.redact import conceal
from calslo_dagster.channels.secret import Secret

VERSION: Final = 1
KEY_HEADER: Final = "Idempotency-Key"
TIME_HEADER: Final = "X-Calslo-Timestamp"
SIGNATURE_HEADER: Final = "X-Calslo-Signature"
TOLERANCE: Final = timedelta(minutes=5)
_TEXT: Final = {"type": "string"}
SCHEMA: Final[Mapping[str, Any]] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "A message of calslo",
    "type": "object",
    "required": ["version", "key", "action", "at", "severity", "incident", "title", "text", "facts"],
    "properties": {
        "version": {"const": VERSION},
        "key": {"type": "string", "minLength": 1},
        "action": {"enum": [str(action) for action in Action]},
        "at": {"type": "string", "format": "date-time"},
        "severity": {"enum": [str(severity) for severity in Severity]},
        "incident": {
            "type": "object",
            "required": ["id", "dedup_key", "episode", "seq"],
            "properties": {
                "id": _TEXT,
                "dedup_key": {"type": "string", "maxLength": 255},
                "episode": {"type": "integer", "minimum": 1},
                "seq": {"type": "integer", "minimum": 1},
            },
        },
        "title": {"type": "string", "maxLength": 150},
        "text": _TEXT,
        "facts": {
            "type": "object",
            "required": ["incident_id", "kind", "slo", "model", "environment", "severity", "since", "slices", "worst"],
            "properties": {"worst": {"type": "array", "maxItems": figures.SHOWN}},
        },
    },
}


@dataclass(frozen=True, slots=True)
class WebhookChannel:
    """Posts JSON to an address.

    secrets: one, or two while one replaces the other, none to leave messages unsigned; authorization: the whole value
    of that header; now: the clock that dates signatures.
    """

    name: str
    url: Secret
    secrets: tuple[Secret, ...] = ()
    authorization: Secret | None = None
    now: Callable[[], datetime] = utc_now

    def __post_init__(self) -> None:
        conceal(self.url, self.authorization, *self.secrets)

    async def send(self, letter: Letter) -> Receipt:
        """Post the letter as JSON."""
        body = encoded(document(letter))
        answer = await post(self.name, self.url.reveal(), body, headers=self._headers(letter, body))
        return Receipt(detail=f"answered {answer.status}")

    def _headers(self, letter: Letter, body: bytes) -> dict[str, str]:
        headers = {**JSON_TYPE, KEY_HEADER: one_line(letter.key, 255)}
        if self.authorization:
            headers["Authorization"] = self.authorization.reveal()
        if self.secrets:
            timestamp = str(int(self.now().timestamp()))
            headers[TIME_HEADER] = timestamp
            headers[SIGNATURE_HEADER] = ",".join(_signature(one, timestamp, body) for one in self.secrets)
        return headers


def document(letter: Letter) -> dict[str, Any]:
    """Return the body for the letter."""
    facts = replace(letter.facts, worst=letter.facts.worst[: figures.SHOWN])
    incident = {
        "id": letter.incident_id,
        "dedup_key": letter.dedup_key,
        "episode": letter.episode,
        "seq": letter.seq,
    }
    return {
        "version": VERSION,
        "key": letter.key,
        "action": str(letter.action),
        "at": letter.at.isoformat(),
        "severity": str(letter.severity),
        "incident": incident,
        "title": letter.words.title,
        "text": letter.words.text,
        "facts": facts.to_json(),
    }


def verify(headers: Mapping[str, str], body: bytes, secrets: Sequence[Secret], *, now: datetime) -> bool:
    """Return whether a received message was signed with one of the secrets, at most five minutes from `now`.

    The headers' names may be in any case; the body is what came over the wire, byte for byte.
    """
    found = {name.lower(): value for name, value in headers.items()}
    timestamp = found.get(TIME_HEADER.lower(), "")
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        return False
    if abs(now.timestamp() - int(timestamp)) > TOLERANCE.total_seconds():
        return False
    given = [value.strip().encode() for value in found.get(SIGNATURE_HEADER.lower(), "").split(",")]
    expected = [_signature(secret, timestamp, body).encode() for secret in secrets]
    # Every pair is compared, so that the time taken does not tell which one fits.
    fits = [hmac.compare_digest(one, other) for one in expected for other in given]
    return any(fits)


def _signature(secret: Secret, timestamp: str, body: bytes) -> str:
    return "v1=" + hmac.new(secret.reveal().encode(), f"{timestamp}.".encode() + body, sha256).hexdigest()
