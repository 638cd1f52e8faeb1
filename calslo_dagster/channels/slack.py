"""Slack: an incoming webhook, or the Web API, which can edit what it has posted and answer in its thread."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from calslo_dagster.alerting.model import Action
from calslo_dagster.channels import slack_blocks
from calslo_dagster.channels.base import Failure, Letter, Receipt, Rejected, Retryable
from calslo_dagster.channels.http import JSON_TYPE, Answer, accepted, encoded, exchange, post, retry_after
from calslo_dagster.channels.redact import conceal, scrub
from calslo_dagster.channels.secret import Secret

API: Final = "https://slack.com/api"
_LIMITED: Final = frozenset({"ratelimited", "rate_limited", "message_limit_exceeded"})
_BROKEN: Final = frozenset({"internal_error", "fatal_error", "service_unavailable", "request_timeout"})
# Slack says of these that the message may have been posted all the same.
_MAY_HAVE_WORKED: Final = frozenset({"internal_error", "fatal_error"})
_REFUSED_US: Final = frozenset(
    {
        "invalid_auth", "not_authed", "token_revoked", "token_expired", "account_inactive", "missing_scope",
        "no_permission", "access_denied", "ekm_access_denied", "not_allowed_token_type", "org_login_required",
        "two_factor_setup_required", "team_access_not_granted",
    }
)  # fmt: skip
_BAD_BLOCKS: Final = frozenset({"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long"})
_ROOT_IS_GONE: Final = frozenset(
    {"message_not_found", "cant_update_message", "edit_window_closed", "thread_not_found", "channel_not_found"}
)
_AS_IT_IS: Final = {"unfurl_links": False, "unfurl_media": False}
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class SlackWebhookChannel:
    """Posts through an incoming webhook, which cannot edit: what follows the first message is short and new.

    interactive: the webhook's app has an address for interactions, so that buttons do something.
    """

    name: str
    url: Secret
    interactive: bool = False

    def __post_init__(self) -> None:
        conceal(self.url)

    async def send(self, letter: Letter) -> Receipt:
        """Post the letter, in plain text if Slack refuses its blocks."""
        is_first = letter.action is Action.TRIGGER
        blocks = slack_blocks.full(letter, interactive=self.interactive) if is_first else _news(letter)
        answer = await self._posted({**_message(letter, blocks), **_AS_IT_IS})
        if answer.status == 400 and answer.text.strip() in _BAD_BLOCKS:
            answer = await self._posted({"text": slack_blocks.fallback(letter)})
        accepted(self.name, answer)
        if answer.text.strip() == "ok":
            return Receipt(detail="ok")
        if not answer.is_whole:
            raise _unreadable(self.name)
        raise Rejected(f"{self.name}: answered 200 but not `ok`, so this is no Slack webhook", Failure.CLIENT)

    async def _posted(self, message: Json) -> Answer:
        return await exchange(self.name, self.url.reveal(), encoded(message))


@dataclass(frozen=True, slots=True)
class SlackApiChannel:
    """Posts with a bot token: one message per incident, edited as the incident goes on, with the news in its thread.

    token: a bot token with scope `chat:write`; channel: the id of the conversation; interactive: the app takes button
    clicks, over socket mode or an address; base_url: where the methods of the Web API are found.
    """

    name: str
    token: Secret
    channel: str
    interactive: bool = False
    base_url: str = API

    def __post_init__(self) -> None:
        conceal(self.token)

    async def send(self, letter: Letter) -> Receipt:
        """Post the root message, or edit it and say in its thread what is new.

        Editing is idempotent, so a letter that failed between the two is sent again whole. When the root has been
        deleted, or was never posted, the letter becomes the root.
        """
        root = letter.ref.get("ts")
        if root is None or letter.action is Action.TEST:
            return await self._open(letter)
        try:
            return await self._follow(letter, root, letter.ref.get("channel", self.channel))
        except _RootIsGoneError:
            return await self._open(letter)

    async def _open(self, letter: Letter) -> Receipt:
        said = await self._call(
            "chat.postMessage", {"channel": self.channel, **self._root(letter), **_AS_IT_IS}, letter
        )
        posted, conversation = str(said.get("ts", "")), str(said.get("channel", self.channel))
        keeps = bool(posted) and letter.action is not Action.TEST
        return Receipt({"ts": posted, "channel": conversation} if keeps else {}, f"posted {posted}")

    async def _follow(self, letter: Letter, root: str, conversation: str) -> Receipt:
        if letter.action is not Action.DIGEST:
            await self._call("chat.update", {"channel": conversation, "ts": root, **self._root(letter)}, letter)
        # A page that comes again must be seen in the channel; other news only by those who follow the thread.
        place = {"channel": conversation, "thread_ts": root, "reply_broadcast": letter.action is Action.TRIGGER}
        await self._call("chat.postMessage", {**place, **_marked(letter, _news(letter)), **_AS_IT_IS}, letter)
        return Receipt({"ts": root, "channel": conversation}, f"answered in the thread of {root}")

    def _root(self, letter: Letter) -> Json:
        return _marked(letter, slack_blocks.full(letter, interactive=self.interactive))

    async def _call(self, method: str, arguments: Json, letter: Letter) -> Mapping[str, Any]:
        """Call the method, in plain text if Slack refuses the blocks."""
        said = await self._said(method, arguments)
        if said.get("error") in _BAD_BLOCKS:
            # An edit without blocks would keep the old ones.
            said = await self._said(method, {**arguments, "text": slack_blocks.fallback(letter), "blocks": []})
        if said.get("ok") is not True:
            raise self._refusal(str(said.get("error", "")), arguments)
        return said

    async def _said(self, method: str, arguments: Json) -> Mapping[str, Any]:
        headers = {**JSON_TYPE, "authorization": f"Bearer {self.token.reveal()}"}
        answer = await post(self.name, f"{self.base_url}/{method}", encoded(arguments), headers=headers)
        said = answer.json
        if said is None or ("ok" not in said):
            raise _unreadable(self.name)
        if said.get("error") in _LIMITED:
            pause = retry_after(answer.headers)
            raise Retryable(f"{self.name}: {said['error']}", Failure.RATE_LIMITED, retry_after=pause)
        return said

    def _refusal(self, error: str, arguments: Json) -> Exception:
        if error in _ROOT_IS_GONE and arguments.keys() & {"ts", "thread_ts"}:
            return _RootIsGoneError(error)
        told = f"{self.name}: Slack answered {scrub(error)[:100] or 'no reason'}"
        if error in _BROKEN:
            return Retryable(told, Failure.SERVER_ERROR, may_have_arrived=error in _MAY_HAVE_WORKED)
        # Slack's transient errors are few and known; any other would be the same at the next try.
        return Rejected(told, Failure.AUTH if error in _REFUSED_US else Failure.CLIENT)


class _RootIsGoneError(Exception):
    """The message to edit or to answer is not there any more."""


def _news(letter: Letter) -> list[Json]:
    tells_all = letter.action in (Action.DIGEST, Action.TEST)
    return slack_blocks.full(letter, interactive=False) if tells_all else slack_blocks.short(letter)


def _message(letter: Letter, blocks: list[Json]) -> Json:
    return {"text": slack_blocks.escaped(slack_blocks.title(letter), 300), "blocks": blocks}


def _marked(letter: Letter, blocks: list[Json]) -> Json:
    known = {"incident_id": letter.incident_id, "episode": letter.episode, "delivery_id": letter.key}
    return {**_message(letter, blocks), "metadata": {"event_type": "calslo_alert", "event_payload": known}}


def _unreadable(channel: str) -> Retryable:
    told = f"{channel}: the answer cannot be read; the message may have arrived"
    return Retryable(told, Failure.AMBIGUOUS, may_have_arrived=True)
