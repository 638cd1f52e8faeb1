"""Slack's buttons without an address of our own: Slack's servers are asked, over a socket that we open."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import Final

from slack_sdk.socket_mode import SocketModeClient
from slack_sdk.socket_mode.client import BaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web import WebClient

from calslo_dagster.channels.http import quiet
from calslo_dagster.channels.redact import conceal
from calslo_dagster.channels.secret import Secret
from calslo_dagster.pipeline.project import Project
from calslo_dagster.settings.channels import SlackChannel
from calslo_dagster.web.answers import press

INTERACTIVE: Final = "interactive"


@contextmanager
def listening(project: Project, now: Callable[[], datetime]) -> Iterator[int]:
    """Answer the buttons of every Slack channel that has an app token; yield how many sockets that takes."""
    quiet()
    with ExitStack() as stack:
        tokens = list(_tokens(project))
        for token, base_url in tokens:
            client = SocketModeClient(app_token=token, web_client=WebClient(base_url=f"{base_url}/"))
            client.socket_mode_request_listeners.append(_listener(project, now))
            stack.callback(client.close)
            client.connect()
        yield len(tokens)


def _tokens(project: Project) -> Iterator[tuple[str, str]]:
    for name, section in project.settings.channels.named.items():
        if isinstance(section, SlackChannel) and section.app_token is not None:
            token = project.settings.resolve(section.app_token, ("channels", name, "app_token"))
            conceal(Secret(token))
            yield token, section.api_url


def _listener(
    project: Project, now: Callable[[], datetime]
) -> Callable[[BaseSocketModeClient, SocketModeRequest], None]:
    def answer(client: BaseSocketModeClient, request: SocketModeRequest) -> None:
        """Acknowledge first: Slack sends again what is not acknowledged within three seconds, and repeating is safe."""
        client.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))
        if request.type == INTERACTIVE:
            press(project, request.payload, now())

    return answer
