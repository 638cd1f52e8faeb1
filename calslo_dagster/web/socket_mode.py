"""Slack's buttons without an address of our own: Slack's servers are asked, over a socket that we open."""

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.client import HTTPException
from threading import Event, Thread
from typing import Final

from slack_sdk.errors import SlackApiError
from slack_sdk.socket_mode import SocketModeClient
from slack_sdk.socket_mode.client import BaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web import WebClient

from calslo_dagster.channels.http import quiet
from calslo_dagster.channels.redact import conceal
from calslo_dagster.channels.secret import Secret
from calslo_dagster.errors import SettingsError
from calslo_dagster.pipeline.project import Project
from calslo_dagster.settings.channels import SlackChannel
from calslo_dagster.web.answers import press

logger = logging.getLogger("calslo_dagster.alerts")

INTERACTIVE: Final = "interactive"
# Waiting does not make Slack take these.
_REFUSED: Final = frozenset(
    {
        "access_denied", "account_inactive", "forbidden_team", "invalid_auth", "missing_scope", "no_permission",
        "not_allowed_token_type", "not_authed", "token_expired", "token_revoked",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Pace:
    """How long to wait before Slack is asked again that could not be reached, and between two signs of life.

    After five signs that went nowhere the client takes a connection for dead, so with its own pace, 5 seconds, buttons
    would go nowhere for half a minute.
    """

    pause_seconds: float = 10.0
    ping_seconds: float = 2.0


USUAL: Final = Pace()


@contextmanager
def listening(project: Project, now: Callable[[], datetime], *, pace: Pace = USUAL) -> Iterator[int]:
    """Answer the buttons of every Slack channel that has an app token; yield how many sockets that takes.

    Where Slack cannot be reached it is asked again and again, since other ways to answer must not wait for it. Raises
    SettingsError when Slack refuses a token.
    """
    quiet()
    with ExitStack() as stack:
        lines = [_Line(name, _client(token, url, pace), pace) for name, token, url in _tokens(project)]
        for line in lines:
            stack.callback(line.close)
        for line in lines:
            line.client.socket_mode_request_listeners.append(_listener(project, now))
            line.open()
        yield len(lines)


@dataclass
class _Line:
    """The socket of one channel, opened as soon as Slack can be reached; the client itself opens it again later."""

    name: str
    client: SocketModeClient
    pace: Pace
    ended: Event = field(default_factory=Event)

    def open(self) -> None:
        """Connect now, or go on trying."""
        if not self._is_open():
            Thread(target=self._try_on, name=f"calslo-slack-{self.name}", daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self.ended.set()
        self.client.close()

    def _try_on(self) -> None:
        while not self.ended.wait(self.pace.pause_seconds):
            try:
                if self._is_open():
                    logger.warning("channel %s: Slack's buttons are answered now", self.name)
                    return
            except SettingsError as error:
                logger.error("%s", error)  # noqa: TRY400 - the traceback says no more
                return

    def _is_open(self) -> bool:
        """Connect; return whether Slack could be reached."""
        try:
            answer = self.client.web_client.apps_connections_open(app_token=self.client.app_token)
            self.client.wss_uri = answer["url"]
            self.client.connect()
        except SlackApiError as error:
            code = str(error.response.get("error"))
            if code in _REFUSED:
                raise _refused(self.name, code) from None
            # A proxy's page in place of an answer may repeat the request, with the token.
            said = code if re.fullmatch(r"\w{1,64}", code) else "nothing that can be read"
            logger.warning("channel %s: Slack's buttons wait, it says %s", self.name, said)
            return False
        except (OSError, HTTPException) as error:
            logger.warning("channel %s: Slack's buttons wait, it is out of reach (%s)", self.name, type(error).__name__)
            return False
        return True


def _refused(name: str, code: str) -> SettingsError:
    return SettingsError(
        f"channels.{name}.app_token: Slack refuses it ({code}); it takes an app-level token, which begins with xapp-, "
        "has the scope connections:write, and belongs to an app with Socket Mode turned on"
    )


def _client(token: str, base_url: str, pace: Pace) -> SocketModeClient:
    conceal(Secret(token))
    web = WebClient(base_url=f"{base_url}/")
    return SocketModeClient(app_token=token, web_client=web, ping_interval=pace.ping_seconds)


def _tokens(project: Project) -> Iterator[tuple[str, str, str]]:
    """Yield the channel's name, its token and where Slack is."""
    for name, section in project.settings.channels.named.items():
        if isinstance(section, SlackChannel) and section.app_token is not None:
            yield name, project.settings.resolve(section.app_token, ("channels", name, "app_token")), section.api_url


def _listener(
    project: Project, now: Callable[[], datetime]
) -> Callable[[BaseSocketModeClient, SocketModeRequest], None]:
    def answer(client: BaseSocketModeClient, request: SocketModeRequest) -> None:
        """Acknowledge first: Slack sends again what is not acknowledged within three seconds, and repeating is safe."""
        client.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))
        if request.type == INTERACTIVE:
            press(project, request.payload, now())

    return answer
