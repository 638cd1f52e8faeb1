"""What the web application signs: sessions, forms and cursors; each kind has a signature of its own."""

import hmac
import os
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256

from calslo_dagster.settings import Settings


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs short texts with a key that nobody else has."""

    key: bytes = field(repr=False)

    def sealed(self, purpose: str, text: str) -> str:
        """Return the text with its signature, fit for URLs and cookies."""
        body = urlsafe_b64encode(text.encode()).rstrip(b"=").decode()
        return f"{body}.{self._signature(purpose, body)}"

    def opened(self, purpose: str, sealed: str) -> str | None:
        """Return the text that was sealed for this purpose; None if it was changed, or is none of ours."""
        body, _, signature = sealed.partition(".")
        if not hmac.compare_digest(self._signature(purpose, body).encode(), signature.encode(errors="replace")):
            return None
        return urlsafe_b64decode(body + "=" * (-len(body) % 4)).decode()

    def _signature(self, purpose: str, body: str) -> str:
        content = f"{purpose}\0{body}".encode(errors="replace")
        return urlsafe_b64encode(hmac.new(self.key, content, sha256).digest()[:18]).decode()


def signer_of(settings: Settings) -> Signer:
    """Return the signer with the key of the settings, else with the one in the file web.key of home."""
    if settings.web.key is not None:
        return Signer(settings.resolve(settings.web.key, ("web", "key")).encode())
    path = settings.home / "web.key"
    draft = path.with_name(f"web.key.{secrets.token_hex(4)}")
    if not path.exists():
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(32))
        try:
            # Two processes may start at once: the first one wins, and the file is whole from its first moment.
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return Signer(path.read_bytes())
