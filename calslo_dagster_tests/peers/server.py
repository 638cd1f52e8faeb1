"""Slack, PagerDuty and a webhook receiver as one program: `python -m calslo_dagster_tests.peers.server --journal FILE`.

It prints its address, and lives in a process of its own, so that it remembers what its clients did before they were
killed. Paths: `/slack/services/T/B/KEY`, `/slack/api/METHOD`, `/slack/socket` (a WebSocket), `/pagerduty/v2/enqueue`,
`/webhook/...`. How to behave is told at run time by a POST of `{"path": prefix, "mode": name, "retry_after": n,
"times": n}` to `/control/mode`, what Slack's socket does by one to `/control/socket`; what happened is read from
`/control/state` and `/control/journal`. The journal has one line per request, written before the answer.
"""

import argparse
import asyncio
import contextlib
import json
import ssl
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from calslo_dagster_tests.peers.modes import Mode, answer, excuse
from calslo_dagster_tests.peers.pagerduty import PagerDuty
from calslo_dagster_tests.peers.receiver import Receiver
from calslo_dagster_tests.peers.slack import Slack
from calslo_dagster_tests.peers.socket_mode import PATH, SocketMode
from calslo_dagster_tests.peers.wire import Reply, Request, json_reply, read_request, send


class Peers:
    """All services, how each of them behaves now, and the journal."""

    def __init__(self, journal: TextIO) -> None:
        self.journal = journal
        self.entries: list[dict[str, Any]] = []
        self.start_over()

    def start_over(self) -> None:
        """Forget messages, incidents and modes; the journal stays."""
        self.slack, self.pagerduty, self.receiver, self.socket = Slack(), PagerDuty(), Receiver(), SocketMode()
        self.modes: dict[str, Mode] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        try:
            request = await read_request(reader)
            if request and request.path.startswith(PATH):
                await self.socket.serve(request, reader, writer)
            elif request and request.path == "/control/socket":
                await send(writer, b"".join((await self.socket.control(request.json)).encoded()))
            elif request and request.path.startswith("/control/"):
                await send(writer, b"".join(_or_refused(self.control, request).encoded()))
            elif request:
                mode = self.mode(request.path)
                await answer(mode, self.take(request, mode), reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()

    def take(self, request: Request, mode: Mode) -> Reply:
        """Return the reply, after the message has had its effect and is in the journal."""
        reply = _or_refused(self.service, request) if mode.takes else excuse(mode, request)
        entry = {
            "n": len(self.entries),
            "path": request.path,
            "mode": mode.name,
            "taken": mode.takes and reply.status < 300,
            "status": reply.status,
            "violations": reply.violations,
            "headers": dict(request.headers),
            "body": request.body.decode(errors="replace"),
            "answer": reply.body[:2000],
        }
        self.entries.append(entry)
        self.journal.write(json.dumps(entry) + "\n")
        self.journal.flush()
        return reply

    def service(self, request: Request) -> Reply:
        """Return what the service at this path answers."""
        services = {
            "/slack/services/": self.slack.take_webhook,
            "/slack/api/apps.connections.open": self.socket.take_method,
            "/slack/api/": self.slack.take_method,
            "/pagerduty/": self.pagerduty.take,
            "/webhook": self.receiver.take,
        }
        found = next((take for prefix, take in services.items() if request.path.startswith(prefix)), None)
        return found(request) if found else Reply(404, "nobody lives here", violations=("wrong path",))

    def mode(self, path: str) -> Mode:
        """Return how to behave now: the mode of the longest prefix that was told."""
        prefix = max((one for one in self.modes if path.startswith(one)), key=len, default="")
        mode = self.modes.get(prefix, Mode())
        if mode.times is not None:
            mode.times -= 1
            if mode.times <= 0:
                del self.modes[prefix]
        return mode

    def control(self, request: Request) -> Reply:
        """Obey, or tell what happened."""
        told = request.json if request.method == "POST" else {}
        match request.path:
            case "/control/mode":
                self.modes[told["path"]] = Mode(told["mode"], told.get("retry_after", 3), told.get("times"))
            case "/control/reset":
                self.start_over()
            case "/control/forget":
                self.slack.forget(told["ts"])
            case "/control/journal":
                return json_reply(self.entries)
            case "/control/state":
                state = {"slack": self.slack.messages, "webhook": self.receiver.state(), "socket": self.socket.state()}
                return json_reply({**state, "pagerduty": self.pagerduty.state()})
            case _:
                return Reply(404)
        return json_reply({})


def _or_refused(answered: Callable[[Request], Reply], request: Request) -> Reply:
    try:
        return answered(request)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        return Reply(400, f"malformed: {error!r}", violations=("malformed",))


async def main() -> None:
    """Serve until told to stop."""
    options = _options()
    with options.journal.open("a", encoding="utf-8") as journal:
        peers = Peers(journal)
        server = await asyncio.start_server(peers.serve, "127.0.0.1", options.port, ssl=_tls(options), backlog=512)
        scheme = "https" if options.certificate else "http"
        print(f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)  # noqa: T201 - who starts it reads this
        # The end of the server would wait for connections that hang on purpose.
        await (_input_end() if options.until_input_ends else server.serve_forever())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--journal", type=Path, required=True)
    parser.add_argument("--certificate", type=Path, help="a PEM file with certificate and key, to speak TLS")
    parser.add_argument("--until-input-ends", action="store_true", help="stop with whoever holds the standard input")
    return parser.parse_args()


def _tls(options: argparse.Namespace) -> ssl.SSLContext | None:
    if options.certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.certificate)
    return context


async def _input_end() -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
