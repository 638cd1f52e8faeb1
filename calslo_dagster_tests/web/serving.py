"""The web application on a real server, with a client that speaks to it."""

import re
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import httpx2
import uvicorn

from calslo_dagster.pipeline.manage_tokens import create_token
from calslo_dagster.pipeline.project import Project
from calslo_dagster.store.api_tokens import Scope
from calslo_dagster.web.app import app

PATIENCE_SECONDS: Final = 30.0
FORM: Final = re.compile(r'name="form" value="([^"]+)"')


@dataclass
class Site:
    """A running application; `clock["now"]` is its time, `client` keeps cookies as a browser does."""

    project: Project
    url: str
    client: httpx2.Client
    clock: dict[str, datetime] = field(default_factory=dict)

    def get(self, path: str, **headers: str) -> httpx2.Response:
        """Return the answer to a GET; names of headers are written with underscores."""
        return self.client.get(path, headers=_named(headers))

    def secret(self, *scopes: Scope, name: str = "ada") -> str:
        """Return the secret of a new token."""
        return create_token(self.project, name, scopes, by="root", now=self.clock["now"]).secret

    def call(self, method: str, path: str, token: str, body: object = None) -> httpx2.Response:
        """Return the answer to a request with a token, and a body of JSON if it is a POST."""
        headers = {"Authorization": f"Bearer {token}"}
        if method != "POST":
            return self.client.request(method, path, headers=headers)
        return self.client.post(path, headers=headers, json=body or {})

    def send(self, path: str, page: str, **fields: str) -> httpx2.Response:
        """Return the answer to a form of that page, sent as a browser does."""
        [token, *_] = FORM.findall(self.get(page).text)
        return self.client.post(path, data={"form": token, **fields}, headers={"Sec-Fetch-Site": "same-origin"})

    def sign_in(self, *scopes: Scope, name: str = "ada") -> None:
        """Sign in with a new token."""
        answer = self.send("/sign-in", "/sign-in", token=self.secret(*scopes, name=name), next="/alerts")
        assert (answer.status_code, answer.headers["location"]) == (303, "/alerts")


def _named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


@contextmanager
def serving(project: Project, now: datetime) -> Iterator[Site]:
    """Serve the project until the block ends."""
    clock = {"now": now}
    config = uvicorn.Config(
        app(lambda: project, lambda: clock["now"]), port=0, log_level="error", ws="none", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    [socket] = server.servers[0].sockets
    url = f"http://127.0.0.1:{socket.getsockname()[1]}"
    try:
        with httpx2.Client(base_url=url, timeout=PATIENCE_SECONDS) as client:
            yield Site(project, url, client, clock)
    finally:
        server.should_exit = True
        thread.join()


def hidden(texts: Iterable[str], page: str) -> list[str]:
    """Return those of the texts that the page does not hold."""
    return [text for text in texts if text not in page]
