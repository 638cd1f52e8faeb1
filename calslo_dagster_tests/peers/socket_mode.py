"""Slack's Socket Mode: an address for one connection, envelopes over a WebSocket, each acknowledged within 3 s."""

import asyncio
import contextlib
import json
import time
from dataclasses import dataclass, field
from typing import Any, Final

from websockets.frames import Frame, Opcode
from websockets.http11 import Request as Handshake
from websockets.server import ServerProtocol

from calslo_dagster_tests.peers.wire import Reply, Request, json_reply

PATH: Final = "/slack/socket"
# What the one app that exists here has.
APP_TOKEN: Final = "xapp-1-A0CANARYAPP-1234567890-5d41402abc4b2a76b9719d911017c592"
PATIENCE_SECONDS: Final = 3.0
LONGEST_WAIT_SECONDS: Final = 30.0


@dataclass
class Session:
    """One connection, and what came over it."""

    protocol: ServerProtocol
    writer: asyncio.StreamWriter
    pongs: int = 0

    async def send(self, value: Any) -> None:
        """Send the value as a message."""
        self.protocol.send_text(json.dumps(value).encode())
        await self.flush()

    async def flush(self) -> None:
        """Send what the protocol has to say; an empty piece of it is the end."""
        for piece in self.protocol.data_to_send():
            if piece:
                self.writer.write(piece)
                await self.writer.drain()
            else:
                self.writer.close()


@dataclass
class SocketMode:
    """Opens connections, sends envelopes and notes how they were acknowledged."""

    tickets: set[str] = field(default_factory=set)
    issued: int = 0
    opened: int = 0
    sessions: list[Session] = field(default_factory=list)
    sent: dict[str, float] = field(default_factory=dict)
    acknowledged: dict[str, float] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    news: asyncio.Condition = field(default_factory=asyncio.Condition)

    def take_method(self, request: Request) -> Reply:
        """Return the answer of `apps.connections.open`: an address that is good for one connection."""
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token != APP_TOKEN:
            wrong = "not_allowed_token_type" if token.startswith("xoxb-") else "invalid_auth"
            return json_reply({"ok": False, "error": wrong if token else "not_authed"})
        self.issued += 1
        ticket = f"{self.issued:08d}canaryTicketOfOneUse"
        self.tickets.add(ticket)
        return json_reply(
            {"ok": True, "url": f"ws://{request.headers['host']}{PATH}?ticket={ticket}&app_id=A0CANARYAPP"}
        )

    async def serve(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Hold a connection until one side ends it."""
        ticket = request.path.partition("ticket=")[2].partition("&")[0]
        protocol = ServerProtocol()
        lines = [f"GET {request.path} HTTP/1.1", *(f"{name}: {value}" for name, value in request.headers.items())]
        protocol.receive_data("\r\n".join([*lines, "", ""]).encode())
        [handshake] = protocol.events_received()
        assert isinstance(handshake, Handshake)
        if ticket not in self.tickets:
            self.violations.append("a ticket is good for one connection")
            protocol.send_response(protocol.reject(403, "the ticket is not good"))
            return await Session(protocol, writer).flush()
        self.tickets.remove(ticket)
        protocol.send_response(protocol.accept(handshake))
        session = Session(protocol, writer)
        await session.send({"type": "hello", "num_connections": len(self.sessions) + 1})
        await self._enter(session)
        try:
            await self._receive(session, reader)
        finally:
            self.sessions.remove(session)
            await self._tell()

    async def control(self, told: dict[str, Any]) -> Reply:
        """Do what a test wants of Slack, and answer when it has happened."""
        match told["do"]:
            case "send":
                return json_reply({"seconds": await self._sent(told["message"])})
            case "disconnect":
                for session in list(self.sessions):
                    await session.send({"type": "disconnect", "reason": told["reason"]})
            case "drop":
                for session in list(self.sessions):
                    session.writer.transport.abort()
            case "await":
                await self._until(lambda: self.opened >= told["opened"] and bool(self.sessions))
        return json_reply(self.state())

    def state(self) -> dict[str, Any]:
        """Return what happened so far."""
        return {
            "issued": self.issued,
            "opened": self.opened,
            "open": len(self.sessions),
            "acknowledged": self.acknowledged,
            "violations": self.violations,
        }

    async def _sent(self, message: dict[str, Any]) -> float:
        """Send an envelope over the newest connection; return the seconds until it was acknowledged."""
        name = message["envelope_id"]
        self.sent[name] = time.monotonic()
        await self.sessions[-1].send(message)
        await self._until(lambda: name in self.acknowledged)
        return self.acknowledged[name]

    async def _enter(self, session: Session) -> None:
        self.sessions.append(session)
        self.opened += 1
        await self._tell()

    async def _receive(self, session: Session, reader: asyncio.StreamReader) -> None:
        while data := await self._read(reader):
            session.protocol.receive_data(data)
            await session.flush()
            for event in session.protocol.events_received():
                assert isinstance(event, Frame)
                if event.opcode is Opcode.TEXT:
                    self._take(bytes(event.data))
            await self._tell()
            if session.protocol.close_expected():
                return

    async def _read(self, reader: asyncio.StreamReader) -> bytes:
        with contextlib.suppress(ConnectionError):
            return await reader.read(65_536)
        return b""

    def _take(self, data: bytes) -> None:
        answer = json.loads(data)
        name = answer.get("envelope_id")
        seconds = time.monotonic() - self.sent.get(name, 0.0)
        rules = {
            "no envelope is called so": name not in self.sent,
            "acknowledged twice": name in self.acknowledged,
            "acknowledged too late": seconds > PATIENCE_SECONDS,
            f"unknown keys {sorted(answer)}": bool(answer.keys() - {"envelope_id", "payload"}),
        }
        self.violations += [rule for rule, is_broken in rules.items() if is_broken]
        self.acknowledged.setdefault(name, seconds)

    async def _tell(self) -> None:
        async with self.news:
            self.news.notify_all()

    async def _until(self, is_so: Any) -> None:
        async with asyncio.timeout(LONGEST_WAIT_SECONDS), self.news:
            await self.news.wait_for(is_so)
