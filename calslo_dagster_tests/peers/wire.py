"""HTTP on the wire, as good or as bad as asked: requests in, answers out whole, slowly, or not at all."""

import asyncio
import json
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from http import HTTPStatus
from typing import Any

LONGEST_BODY = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """What came in; header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON, None if it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes out; `violations` says which rules of the service the request broke."""

    status: int = 200
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    violations: tuple[str, ...] = ()

    def encoded(self) -> tuple[bytes, bytes]:
        """Return head and body."""
        body = self.body.encode()
        kind = "application/json" if self.body[:1] in ("{", "[") else "text/plain"
        headers = {
            "Date": format_datetime(datetime.now(UTC), usegmt=True),
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Connection": "close",
            **self.headers,
        }
        head = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}", *(f"{k}: {v}" for k, v in headers.items())]
        return "\r\n".join([*head, "", ""]).encode(), body


def json_reply(value: Any, status: int = 200, violations: tuple[str, ...] = ()) -> Reply:
    """Return a reply with a JSON body."""
    return Reply(status, json.dumps(value), violations=violations)


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """Return the next request, None when the client has left."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        length = min(int(headers.get("content-length", 0)), LONGEST_BODY)
        return Request(method, path, headers, await reader.readexactly(length))
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, ValueError):
        return None


async def send(writer: asyncio.StreamWriter, data: bytes) -> None:
    """Send the bytes at once."""
    writer.write(data)
    await writer.drain()


async def drip(writer: asyncio.StreamWriter, data: bytes) -> None:
    """Send one byte a second."""
    for place in range(len(data)):
        await send(writer, data[place : place + 1])
        await asyncio.sleep(1)


def reset(writer: asyncio.StreamWriter) -> None:
    """End the connection with a reset instead of in good order."""
    endpoint: socket.socket = writer.get_extra_info("socket")
    endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
