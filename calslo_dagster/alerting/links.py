"""Signed links to acknowledge: whoever has one may acknowledge this one incident, until it expires."""

import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from urllib.parse import urlencode

# Long enough for a weekend, short enough that an old mail opens nothing.
LASTS = timedelta(days=3)


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a link says: the incident, until when it holds, and the signature over both."""

    incident_id: str
    expires: int
    signature: str


def ack_link(base: str, incident_id: str, key: str, *, now: datetime) -> str:
    """Return the address that asks whether to acknowledge the incident."""
    expires = int((now + LASTS).timestamp())
    query = {"incident": incident_id, "expires": expires, "signature": _signed(incident_id, expires, key)}
    return f"{base}/answers/ack?{urlencode(query)}"


def is_good(ticket: Ticket, key: str, *, now: datetime) -> bool:
    """Whether we made this link and it still holds."""
    expected = _signed(ticket.incident_id, ticket.expires, key)
    is_ours = hmac.compare_digest(expected.encode(), ticket.signature.encode())
    return is_ours and now < datetime.fromtimestamp(ticket.expires, UTC)


def _signed(incident_id: str, expires: int, key: str) -> str:
    return hmac.new(key.encode(), f"ack\0{incident_id}\0{expires}".encode(), sha256).hexdigest()
