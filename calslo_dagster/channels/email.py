"""Mail: one message to several people over SMTP, encrypted unless the server is this machine.

| what happened                                        | raised    | failure     | may have arrived |
| ---------------------------------------------------- | --------- | ----------- | ---------------- |
| taken for everybody, or for some and never for others | -        | -           | it has           |
| put off for some, whether or not others have it      | Retryable | serverError | no               |
| any other 4xx                                        | Retryable | serverError | no               |
| 530, 534, 535, 538, or no way to log in              | Rejected  | authError   | no               |
| any other 5xx                                        | Rejected  | clientError | no               |
| no name, no connection, no STARTTLS, not trusted     | Retryable | network     | no               |
| lost while the message was on its way                | Retryable | ambiguous   | yes              |

Whoever stands in between can make a server look as if it could not encrypt, so that is no reason to give a message up.
A message that is sent again has the same Message-ID, by which mail systems drop a second copy, and those who are known
to have it are left out. The time of a whole exchange is bounded by the caller, as in `channels.http`.
"""

import re
import ssl
from base64 import b64encode
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from email.errors import MessageError
from email.headerregistry import Address
from email.utils import parseaddr
from enum import StrEnum
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path
from socket import gethostname
from typing import Final

import aiosmtplib

from calslo_dagster.alerting.phrases import one_line
from calslo_dagster.channels.base import Failure, Letter, Receipt, Rejected, Retryable
from calslo_dagster.channels.email_message import ROOT, composed, root_id
from calslo_dagster.channels.http import quiet
from calslo_dagster.channels.redact import conceal, scrub
from calslo_dagster.channels.secret import Secret

# Who has the letter of this key already, for the next attempt.
_REACHED: Final = "reached"
_REACHED_BY: Final = "reached_by"
_AUTH_CODES: Final = (530, 534, 535, 538)
_CLOSING: Final = 421
_ADDRESS: Final = re.compile(r"[^\s<>,;:\"\\()\[\]@]+@[^\s<>,;:\"\\()\[\]@]+", re.ASCII)


class Security(StrEnum):
    """How the connection is encrypted: upgraded by a command, from the first byte, or not at all."""

    STARTTLS = "starttls"
    IMPLICIT = "implicit"
    NONE = "none"

    @property
    def port(self) -> int:
        """The usual port."""
        return {Security.STARTTLS: 587, Security.IMPLICIT: 465, Security.NONE: 25}[self]


class _Stage(StrEnum):
    """How far a conversation has come."""

    CONNECTING = "connecting"
    LOGIN = "logging in"
    ENVELOPE = "naming sender and recipients"
    CONTENT = "sending the message"


@dataclass(slots=True)
class _Talk:
    """A conversation with a server: how far it has come, and who was refused with what code and words."""

    stage: _Stage = _Stage.CONNECTING
    refused: dict[str, tuple[int, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EmailChannel:
    """Sends mail through one server.

    sender: an address, also as `calslo <calslo@example.org>`; port: 0 for the usual one; ca_file: the certificates to
    trust instead of the system's; allow_plain: without encryption even to another machine.
    """

    name: str
    host: str
    sender: str
    recipients: tuple[str, ...]
    security: Security = Security.STARTTLS
    port: int = 0
    username: str = ""
    password: Secret | None = None
    ca_file: Path | None = None
    allow_plain: bool = False

    def __post_init__(self) -> None:
        if not self.recipients:
            raise ValueError(f"{self.name} has no recipients; write at least one address")
        self._check_addresses()
        if self.security is Security.NONE and not self.allow_plain and not _is_here(self.host):
            remedy = "write security: starttls or implicit, or allow_plain: true if you trust the network between"
            raise ValueError(f"{self.name} would send in clear to {self.host}; {remedy}")
        if bool(self.username) is not (self.password is not None):
            raise ValueError(f"{self.name} has only one of username and password; write both or neither")
        conceal(*_spellings(self.username, self.password))

    async def send(self, letter: Letter) -> Receipt:
        """Send the letter to those who are not known to have it."""
        quiet()
        reached = _reached(letter, self.recipients)
        missing = [address for address in self.recipients if address not in reached]
        if not missing:
            return Receipt(_ref(letter, reached), "everybody has it already")
        talk = _Talk()
        failed = await self._talked(talk, composed(letter, self.sender, self.recipients), missing)
        if failed is None:
            reached += [address for address in missing if address not in talk.refused]
            failed = self._unreached(talk.refused, any_reached=bool(reached))
        if isinstance(failed, Retryable):
            failed.ref = {**letter.ref, **_ref(letter, reached)} if reached else letter.ref
        if failed is not None:
            # Raised here, so that the original, whose words may hold what was sent, is no part of the traceback.
            raise failed
        return Receipt(_ref(letter, reached), f"taken for {len(reached)} of {len(self.recipients)}{self._told(talk)}")

    async def _talked(self, talk: _Talk, mail: bytes, recipients: Sequence[str]) -> Retryable | Rejected | None:
        """Return why the mail was taken for nobody; None if the server had no objection to the mail itself."""
        try:
            await self._converse(talk, mail, recipients)
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            return self._failed(error, talk)
        return None

    async def _converse(self, talk: _Talk, mail: bytes, recipients: Sequence[str]) -> None:
        client = self._client()
        try:
            await client.connect()
            talk.stage = _Stage.LOGIN
            if self.password:
                await client.login(self.username.encode(), self.password.reveal().encode())
            talk.stage = _Stage.ENVELOPE
            await client.mail(parseaddr(self.sender)[1])
            for address in recipients:
                await _offer(client, address, talk)
            if len(talk.refused) < len(recipients):
                talk.stage = _Stage.CONTENT
                await client.data(mail)
            _say_goodbye(client)
        finally:
            client.close()

    def _client(self) -> aiosmtplib.SMTP:
        client = aiosmtplib.SMTP(
            hostname=self.host,
            port=self.port or self.security.port,
            # The caller bounds the whole; a bound on each step would only hide which of them was slow.
            timeout=None,
            use_tls=self.security is Security.IMPLICIT,
            start_tls=self.security is Security.STARTTLS,
            tls_context=None if self.security is Security.NONE else _trust(self.ca_file),
            # Else aiosmtplib asks the name service, which may take as long as it likes.
            local_hostname=_own_name(),
        )
        # The connection hides the password; the third way that it knows needs MD5, which some systems lack.
        client.AUTH_METHODS = ("plain", "login")
        return client

    def _failed(self, error: Exception, talk: _Talk) -> Retryable | Rejected:
        where = f"{self.name}: {self.host} while {talk.stage}"
        if isinstance(error, aiosmtplib.SMTPResponseException) and 400 <= error.code < 600:
            said = "" if talk.stage is _Stage.LOGIN else error.message
            return _answered(f"{where}: {_words(error.code, said)}", error.code)
        if talk.stage is _Stage.CONTENT:
            said = f"{where}: {_reason(error)}; the message may have arrived"
            return Retryable(said, Failure.AMBIGUOUS, may_have_arrived=True)
        if talk.stage is _Stage.LOGIN and type(error) is aiosmtplib.SMTPException:
            return Rejected(f"{where}: it offers no login that is known here (PLAIN, LOGIN)", Failure.AUTH)
        return Retryable(f"{where}: {_reason(error)}; nothing was sent", Failure.NETWORK)

    def _unreached(self, refused: Mapping[str, tuple[int, str]], *, any_reached: bool) -> Retryable | Rejected | None:
        """Return why the mail is not with everybody who can be reached, None if it is."""
        told = ", ".join(f"{address}: {_words(*answer)}" for address, answer in refused.items())
        if any(code < 500 for code, _ in refused.values()):
            return Retryable(f"{self.name}: {self.host} puts off {told}", Failure.SERVER_ERROR)
        if refused and not any_reached:
            return _answered(f"{self.name}: {self.host} refuses {told}", next(iter(refused.values()))[0])
        return None

    def _told(self, talk: _Talk) -> str:
        return "".join(f"; refused {address}: {_words(*answer)}" for address, answer in talk.refused.items())

    def _check_addresses(self) -> None:
        name, sender = parseaddr(self.sender)
        for address in (sender, *self.recipients):
            try:
                sound = self.sender.isprintable() and Address(name, addr_spec=address).addr_spec == address
            except (ValueError, MessageError):
                sound = False
            if not sound or not address.isascii() or not _ADDRESS.fullmatch(address):
                shown = self.sender if address == sender else address
                raise ValueError(f"{self.name}: {shown!r} is no address; write one in ASCII such as ops@example.org")


async def _offer(client: aiosmtplib.SMTP, address: str, talk: _Talk) -> None:
    try:
        await client.rcpt(address)
    except aiosmtplib.SMTPRecipientRefused as refusal:
        if refusal.code == _CLOSING:
            raise
        talk.refused[address] = (refusal.code, refusal.message)


def _say_goodbye(client: aiosmtplib.SMTP) -> None:
    """Take leave without waiting for the answer: a server slow to part must not turn a success into a timeout."""
    with suppress(aiosmtplib.SMTPException, OSError):
        if client.protocol is not None:
            client.protocol.write(b"QUIT\r\n")


def _answered(said: str, code: int) -> Retryable | Rejected:
    if code < 500:
        return Retryable(said, Failure.SERVER_ERROR)
    return Rejected(said, Failure.AUTH if code in _AUTH_CODES else Failure.CLIENT)


def _words(code: int, said: str) -> str:
    # Servers repeat what they refuse, so nothing is kept of an answer to a password.
    return f"{code} {one_line(scrub(said), 200)}".strip()


def _reason(error: BaseException) -> str:
    """Return what went wrong in the words of the system, or of the library, which never hold what was sent."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted ({cause.verify_message}); name its authority in ca_file"
        if isinstance(cause, OSError) and cause.strerror:
            return f"{type(cause).__name__} ({cause.strerror})"
        cause = cause.__cause__ or cause.__context__
    return one_line(scrub(str(error)), 200) or type(error).__name__


def _reached(letter: Letter, recipients: Sequence[str]) -> list[str]:
    """Return those whom an earlier attempt of this letter has reached."""
    kept = letter.ref.get(_REACHED, "").split() if letter.ref.get(_REACHED_BY) == letter.key else []
    return [address for address in recipients if address in kept]


def _ref(letter: Letter, reached: Sequence[str]) -> dict[str, str]:
    return {ROOT: root_id(letter), _REACHED_BY: letter.key, _REACHED: " ".join(reached)}


def _spellings(username: str, password: Secret | None) -> list[Secret]:
    """Return the password as it is and as it goes over the wire."""
    if password is None:
        return []
    plain = password.reveal().encode()
    encoded = (b64encode(plain), b64encode(b"\0" + username.encode() + b"\0" + plain))
    return [password, *(Secret(spelling.decode()) for spelling in encoded)]


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return _trusted(ca_file, 0 if ca_file is None else ca_file.stat().st_mtime_ns)
    except OSError as error:
        said = f"cannot read the certificates in {ca_file}: {error.strerror or error}"
        raise OSError(error.errno, said) from None


@lru_cache(maxsize=16)
def _trusted(ca_file: Path | None, _changed_at: int) -> ssl.SSLContext:
    """Return the certificates to trust, read again when the file has changed; that takes a tenth of a second."""
    return ssl.create_default_context(cafile=ca_file)


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _own_name() -> str:
    """Return this machine's name if it is a whole one, else an address in its place, as RFC 5321 asks."""
    name = gethostname()
    return name if "." in name and re.fullmatch(r"[A-Za-z0-9.-]+", name) else "[127.0.0.1]"
