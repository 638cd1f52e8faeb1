"""A real mail server for the tests: aiosmtpd with encryption and logins, which refuses, puts off and breaks as told."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import partial
from pathlib import Path
from typing import Any

import trustme
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from calslo_dagster.channels.email import Security

USER, PASSWORD = "calslo", "canary-mail-password-31415"


@dataclass
class MailServer:
    """What it does and what it has got.

    refuse: answers to recipients; answer: to the message, None to cut the connection after it has been taken; wait:
    seconds before that answer; password: of the one user; login: the answer to a wrong one, None for the usual words.
    """

    refuse: Mapping[str, str] = field(default_factory=dict)
    answer: str | None = "250 taken"
    wait: float = 0
    password: str = PASSWORD
    login: str | None = None
    port: int = 0
    envelopes: list[list[str]] = field(default_factory=list)
    mails: list[EmailMessage] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    users: list[bool] = field(default_factory=list)

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Take or refuse a recipient."""
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 fine"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Take or refuse the message."""
        if self.answer is None or self.answer.startswith("250"):
            self._take(server, session, envelope)
        await asyncio.sleep(self.wait)
        if self.answer is None:
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
        return self.answer or ""

    def authenticate(self, _server: SMTP, _session: Session, _envelope: Envelope, _how: str, data: Any) -> AuthResult:
        """Accept the one user with the right password."""
        assert isinstance(data, LoginPassword)
        if (data.login, data.password) == (USER.encode(), self.password.encode()):
            return AuthResult(success=True)
        # A careless server repeats what it was told.
        said = self.login and self.login.format(password=data.password.decode())
        return AuthResult(success=False, handled=False, message=said)

    def _take(self, server: SMTP, session: Session, envelope: Envelope) -> None:
        content = envelope.original_content or b""
        mail = message_from_bytes(content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.envelopes.append(list(envelope.rcpt_tos))
        self.mails.append(mail)
        self.raw.append(content)
        assert server.transport is not None
        self.encrypted.append(server.transport.get_extra_info("sslcontext") is not None)
        self.users.append(bool(session.authenticated))


class Authority:
    """A throw-away authority with the certificate of `localhost`."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        self.ca_file = folder / "ca.pem"
        authority.cert_pem.write_to_path(str(self.ca_file))
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(self.context)


@asynccontextmanager
async def serving(server: MailServer, security: Security, authority: Authority, **options: Any) -> AsyncIterator[None]:
    """Run the server on a free port of this machine."""
    starts_in_clear = security is Security.STARTTLS
    factory = partial(
        SMTP,
        server,
        hostname="mail.example.org",
        tls_context=authority.context if starts_in_clear else None,
        require_starttls=starts_in_clear,
        authenticator=server.authenticate,
        auth_require_tls=starts_in_clear,
        **options,
    )
    context = authority.context if security is Security.IMPLICIT else None
    listening = await asyncio.get_running_loop().create_server(factory, "127.0.0.1", 0, ssl=context)
    server.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield
