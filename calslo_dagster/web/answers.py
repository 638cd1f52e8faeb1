"""Answers to alerts from outside: signed links, PagerDuty's v3 webhooks, and Slack's buttons.

Every address checks a signature first, does its work in one transaction that may be repeated, and answers at once.
"""

import hmac
import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from html import escape
from typing import Any, Final
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from calslo_dagster.alerting.links import Ticket, is_good
from calslo_dagster.alerting.phrases import one_line
from calslo_dagster.channels.slack_blocks import ACK, SILENCE
from calslo_dagster.errors import CalsloError
from calslo_dagster.pipeline import respond_to_alerts as steps
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.refuse_answer import refuse_answer
from calslo_dagster.pipeline.respond_to_alerts import Answer, UnknownIncident
from calslo_dagster.pipeline.silence_incident import silence_incident
from calslo_dagster.settings.channels import PagerDutyChannel, SlackChannel

LARGEST: Final = 256 * 1024
# Names go on record, so that hidden characters are made visible; nobody could correct them at a button.
LONGEST_NAME: Final = 80
SILENCED: Final = timedelta(hours=2)
_PAGERDUTY: Final = {
    "incident.acknowledged": Answer.ACK,
    "incident.unacknowledged": Answer.UNACK,
    "incident.resolved": Answer.RESOLVE,
}
_SECURITY: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def answers_app(project: Callable[[], Project], now: Callable[[], datetime]) -> Starlette:
    """Return the application that takes answers; `project` is asked for at each request."""
    front = Answers(project, now)
    return Starlette(
        routes=[
            Route("/livez", front.live),
            Route("/answers/ack", front.ask, methods=["GET"]),
            Route("/answers/ack", front.ack, methods=["POST"]),
            Route("/answers/pagerduty/{channel}", front.pagerduty, methods=["POST"]),
            Route("/answers/slack/{channel}", front.slack, methods=["POST"]),
        ]
    )


class Answers:
    """The handlers."""

    def __init__(self, project: Callable[[], Project], now: Callable[[], datetime]) -> None:
        self._open, self._now = project, now

    async def live(self, _request: Request) -> Response:
        """Say that we are here."""
        return PlainTextResponse("ok")

    async def ask(self, request: Request) -> Response:
        """Ask whether to acknowledge; following a link alone does nothing, since mail scanners follow links too."""
        ticket = _ticket(request.query_params)
        if ticket is None or not self._is_good(ticket):
            return _page("This link is not valid, or not any more", "Use `calslo alerts ack` instead.", 403)
        fields = "".join(
            f'<input type="hidden" name="{name}" value="{escape(str(value), quote=True)}">'
            for name, value in (
                ("incident", ticket.incident_id),
                ("expires", ticket.expires),
                ("signature", ticket.signature),
            )
        )
        form = (
            f'<form method="post" action="/answers/ack">{fields}<label>Your name <input name="by" required '
            'maxlength="80" autocomplete="name"></label> <button>Acknowledge</button></form>'
        )
        return _page(f"Acknowledge incident {escape(ticket.incident_id)}?", form, 200)

    async def ack(self, request: Request) -> Response:
        """Acknowledge by a link."""
        body = await _body(request)
        if body is None:
            return _page("Too large", "", 413)
        form = {name: values[0] for name, values in parse_qs(body.decode(errors="replace")).items()}
        ticket, by = _ticket(form), one_line(form.get("by", ""), LONGEST_NAME)
        if ticket is None or not self._is_good(ticket):
            await self._refuse("link", "the link was changed, or has expired")
            return _page("This link is not valid, or not any more", "Use `calslo alerts ack` instead.", 403)
        if not by:
            return _page("Who are you?", "Go back and write your name.", 400)
        said = await self._respond(steps.Response(Answer.ACK, ticket.incident_id, by, "link"))
        return _page("Done", escape(said), 200)

    async def pagerduty(self, request: Request) -> Response:
        """Take what people do in PagerDuty; events that mean nothing here are answered and forgotten."""
        body, channel = await _body(request), self._section(request, PagerDutyChannel)
        if body is None or channel is None:
            return JSONResponse({"error": "no such channel"}, 404)
        name, section = channel
        secrets = [self._secret(name, f"webhook_secrets.{n}") for n in range(len(section.webhook_secrets))]
        if not _is_signed(body, request.headers.get("X-PagerDuty-Signature", ""), secrets):
            await self._refuse("pagerduty", "the signature is not right", name)
            return JSONResponse({"error": "the signature is not right"}, 401)
        event = _json(body).get("event") or {}
        data, agent = event.get("data") or {}, event.get("agent") or {}
        answer, key = _PAGERDUTY.get(str(event.get("event_type"))), str(data.get("incident_key") or "")
        # Without a person it is the echo of what we told PagerDuty, or a time-out there.
        if answer is None or not key or not str(agent.get("type")).startswith("user"):
            return JSONResponse({"done": "nothing"}, 202)
        by = one_line(str(agent.get("summary") or agent.get("id") or "PagerDuty"), LONGEST_NAME)
        said = await self._respond_by_key(answer, key, by)
        return JSONResponse({"done": said})

    async def slack(self, request: Request) -> Response:
        """Take a button that was pressed in Slack."""
        body, channel = await _body(request), self._section(request, SlackChannel)
        if body is None or channel is None:
            return JSONResponse({"error": "no such channel"}, 404)
        secret = self._secret(channel[0], "signing_secret")
        if not secret or not _is_from_slack(secret, body, request.headers, self._now()):
            await self._refuse("slack", "the signature is not right", channel[0])
            return JSONResponse({"error": "the signature is not right"}, 401)
        payload = _json(parse_qs(body.decode(errors="replace")).get("payload", ["{}"])[0].encode())
        said = await run_in_threadpool(press, self._open(), payload, self._now())
        return JSONResponse({"response_type": "ephemeral", "replace_original": False, "text": said})

    def _is_good(self, ticket: Ticket) -> bool:
        settings = self._open().settings
        key = settings.alerting.link_key
        known = settings.resolve(key, ("alerting", "link_key")) if key else ""
        return bool(known) and is_good(ticket, known, now=self._now())

    def _section(self, request: Request, kind: type[Any]) -> tuple[str, Any] | None:
        name = request.path_params["channel"]
        section = self._open().settings.channels.named.get(name)
        return (name, section) if isinstance(section, kind) else None

    def _secret(self, name: str, key: str) -> str:
        settings = self._open().settings
        part, _, number = key.partition(".")
        found = getattr(settings.channels.named[name], part)
        address = found[int(number)] if number else found
        return settings.resolve(address, ("channels", name, *key.split("."))) if address else ""

    async def _refuse(self, way: str, reason: str, channel: str = "") -> None:
        await run_in_threadpool(refuse_answer, self._open(), way, reason, channel=channel, now=self._now())

    async def _respond(self, response: steps.Response) -> str:
        try:
            return await run_in_threadpool(steps.respond, self._open(), response, now=self._now())
        except CalsloError as error:
            return str(error)

    async def _respond_by_key(self, answer: Answer, key: str, by: str) -> str:
        try:
            incident_id = await run_in_threadpool(steps.incident_of, self._open(), key)
        except UnknownIncident as error:
            return str(error)
        return await self._respond(steps.Response(answer, incident_id, by, "pagerduty"))


def _is_from_slack(secret: str, body: bytes, headers: Mapping[str, str], now: datetime) -> bool:
    from calslo_dagster.web.slack_signature import is_signed  # noqa: PLC0415 - few have Slack's buttons, all its memory

    return is_signed(secret, body, headers, now)


def press(project: Project, payload: Mapping[str, Any], now: datetime) -> str:
    """Do what a button of a Slack message asks for; return what was done, in a sentence."""
    user = payload.get("user") or {}
    name = str(user.get("username") or user.get("name") or user.get("id") or "somebody in Slack")
    by = one_line(name, LONGEST_NAME)
    said = []
    for action in payload.get("actions") or ():
        name, value = str(action.get("action_id", "")), str(action.get("value", ""))
        try:
            said.append(_pressed(project, name, value, by, now=now))
        except CalsloError as error:
            said.append(str(error))
    return "; ".join(filter(None, said)) or "nothing to do"


def _pressed(project: Project, name: str, value: str, by: str, *, now: datetime) -> str:
    incident_id = str(_json(value.encode(errors="replace")).get("incident_id", ""))
    if name == ACK:
        return steps.respond(project, steps.Response(Answer.ACK, incident_id, by, "slack"), now=now)
    if name == SILENCE:
        return silence_incident(project, incident_id, by=by, lasts=SILENCED, now=now)
    return ""


def _ticket(fields: Mapping[str, str]) -> Ticket | None:
    expires = fields.get("expires", "")
    if not expires.isdecimal() or len(expires) > 12:
        return None
    return Ticket(fields.get("incident", ""), int(expires), fields.get("signature", ""))


def _is_signed(body: bytes, header: str, secrets: list[str]) -> bool:
    given = [part.strip().removeprefix("v1=") for part in header.split(",") if part.strip().startswith("v1=")]
    expected = [hmac.new(secret.encode(), body, sha256).hexdigest() for secret in secrets if secret]
    return any(hmac.compare_digest(one.encode(), other.encode()) for one in given for other in expected)


async def _body(request: Request) -> bytes | None:
    """Return the body, None if it is larger than any that we expect."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > LARGEST:
            return None
        parts.append(part)
    return b"".join(parts)


def _json(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _page(title: str, body: str, status: int) -> HTMLResponse:
    style = "body{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:3rem auto;padding:0 1rem}"
    html = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width,initial-scale=1"><title>{title}</title><style>{style}</style></head>'
        f"<body><h1>{title}</h1><p>{body}</p></body></html>"
    )
    return HTMLResponse(html, status, headers=_SECURITY)
