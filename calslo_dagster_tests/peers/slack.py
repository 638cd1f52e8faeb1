"""A Slack that keeps to its documentation: incoming webhooks, and the Web API methods that post and edit messages."""

import json
import re
from collections.abc import Iterator
from typing import Any

from calslo_dagster_tests.peers.wire import Reply, Request, json_reply

LINK = re.compile(r"<https?://[^|<>\s]+(\|[^<>]*)?>")
ENTITY = re.compile(r"&(?!amp;|lt;|gt;)")
ELEMENT_ID = 255
MESSAGE_KEYS = {
    "channel", "text", "blocks", "attachments", "metadata", "thread_ts", "reply_broadcast", "ts",
    "unfurl_links", "unfurl_media", "mrkdwn", "parse", "link_names",
}  # fmt: skip
WEBHOOK_KEYS = {"text", "blocks", "attachments", "thread_ts", "unfurl_links", "unfurl_media", "response_type"}


class Slack:
    """Takes messages and keeps them by their time stamp."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []

    def take_webhook(self, request: Request) -> Reply:
        """Return the answer of an incoming webhook, which is plain text."""
        if request.method != "POST" or not re.fullmatch(r"/slack/services/\w+/\w+/[\w-]+", request.path):
            return Reply(404, "no_service", violations=("no such webhook",))
        message = request.json
        if not isinstance(message, dict):
            return Reply(400, "invalid_payload", violations=("the body is no JSON object",))
        if violations := message_violations(message, WEBHOOK_KEYS):
            return Reply(400, "invalid_blocks" if message.get("blocks") else "no_text", violations=tuple(violations))
        self._keep({**message, "channel": "webhook"})
        return Reply(200, "ok")

    def take_method(self, request: Request) -> Reply:
        """Return the answer of a method, which is 200 whatever happened."""
        token = request.headers.get("authorization", "")
        if not token.startswith("Bearer xoxb-"):
            return _refused("invalid_auth" if token else "not_authed")
        message = request.json
        if not isinstance(message, dict):
            return _refused("invalid_json")
        method = request.path.rsplit("/", 1)[-1]
        if method not in ("chat.postMessage", "chat.update"):
            return _refused("unknown_method")
        if not re.fullmatch(r"C[A-Z0-9]{8,}", str(message.get("channel"))):
            return _refused("channel_not_found")
        if violations := message_violations(message, MESSAGE_KEYS):
            return _refused("invalid_blocks" if message.get("blocks") else "no_text", tuple(violations))
        return self._updated(message) if method == "chat.update" else self._posted(message)

    def forget(self, ts: str) -> None:
        """Delete a message, as a person does."""
        self.messages = [one for one in self.messages if one["ts"] != ts]

    def _posted(self, message: dict[str, Any]) -> Reply:
        thread = message.get("thread_ts")
        if thread is not None and not self._find(thread, message["channel"]):
            return _refused("thread_not_found")
        kept = self._keep(message)
        return json_reply({"ok": True, "channel": message["channel"], "ts": kept["ts"]})

    def _updated(self, message: dict[str, Any]) -> Reply:
        kept = self._find(message.get("ts"), message["channel"])
        if kept is None:
            return _refused("message_not_found")
        kept.update({**message, "edits": kept["edits"] + 1})
        return json_reply({"ok": True, "channel": message["channel"], "ts": kept["ts"], "text": message.get("text")})

    def _keep(self, message: dict[str, Any]) -> dict[str, Any]:
        kept = {**message, "ts": f"{1_760_000_000 + len(self.messages)}.000100", "edits": 0}
        self.messages.append(kept)
        return kept

    def _find(self, ts: Any, channel: str) -> dict[str, Any] | None:
        return next((one for one in self.messages if one["ts"] == ts and one["channel"] == channel), None)


def message_violations(message: dict[str, Any], known: set[str]) -> list[str]:
    """Return which documented rules the message breaks."""
    text, blocks = message.get("text", ""), message.get("blocks", [])
    found = [f"unknown keys {sorted(message.keys() - known)}"] if message.keys() - known else []
    if not text and not blocks:
        found.append("neither text nor blocks")
    found += [*_text(text, 40_000, "text"), *([] if len(blocks) <= 50 else ["more than 50 blocks"])]
    if "metadata" in message and message["metadata"].keys() != {"event_type", "event_payload"}:
        found.append("metadata needs a type and a payload")
    ids = [block["block_id"] for block in blocks if "block_id" in block]
    if len(ids) != len(set(ids)):
        found.append("a block_id comes twice")
    return found + [rule for block in blocks for rule in block_violations(block)]


def block_violations(block: dict[str, Any]) -> Iterator[str]:
    """Yield which documented rules the block breaks."""
    rules = {"header": _header, "section": _section, "context": _context, "actions": _actions, "divider": _divider}
    kind = block.get("type", "")
    if len(str(block.get("block_id", ""))) > ELEMENT_ID:
        yield "a block_id is too long"
    yield from rules[kind](block) if kind in rules else [f"no block is called {kind!r}"]


def _header(block: dict[str, Any]) -> Iterator[str]:
    if block["text"].get("type") != "plain_text":
        yield "a header is plain text"
    yield from _length(block["text"].get("text"), 150, "header")


def _section(block: dict[str, Any]) -> Iterator[str]:
    fields = block.get("fields", [])
    if "text" not in block and not fields:
        yield "a section needs text or fields"
    if "text" in block:
        yield from _object(block["text"], 3000, "section")
    if len(fields) > 10:
        yield "more than 10 fields"
    for one in fields:
        yield from _object(one, 2000, "field")


def _context(block: dict[str, Any]) -> Iterator[str]:
    if not 1 <= len(block["elements"]) <= 10:
        yield "a context has 1 to 10 elements"
    for one in block["elements"]:
        yield from _object(one, 3000, "context")


def _actions(block: dict[str, Any]) -> Iterator[str]:
    elements = block["elements"]
    if not 1 <= len(elements) <= 25:
        yield "actions have 1 to 25 elements"
    if len({one["action_id"] for one in elements}) != len(elements):
        yield "an action_id comes twice"
    for one in elements:
        yield from _button(one)


def _button(one: dict[str, Any]) -> Iterator[str]:
    if one.get("type") != "button" or one["text"].get("type") != "plain_text":
        yield "a button has plain text"
    if len(one["action_id"]) > ELEMENT_ID or one.get("style", "primary") not in ("primary", "danger"):
        yield "a button's action_id or style is wrong"
    if len(one.get("value", "")) > 2000 or not _is_json(one.get("value", "{}")):
        yield "a button's value is too long or cut"
    if len(one.get("url", "")) > 3000:
        yield "a button's address is too long"
    yield from _length(one["text"].get("text"), 75, "button")


def _divider(_: dict[str, Any]) -> Iterator[str]:
    yield from ()


def _object(one: dict[str, Any], longest: int, name: str) -> Iterator[str]:
    if one.get("type") == "mrkdwn":
        yield from _text(one.get("text"), longest, name)
    yield from _length(one.get("text"), longest, name)


def _text(text: Any, longest: int, name: str) -> Iterator[str]:
    """Yield what is wrong with text in Slack's markup: too long, not escaped, or cut in the middle of a format."""
    rest = LINK.sub("", text or "")
    if len(text or "") > longest:
        yield f"{name} is longer than {longest}"
    if "<" in rest or ">" in rest or ENTITY.search(rest):
        yield f"{name} is not escaped, or cut in a link or an escape"
    if any(line.count("`") % 2 for line in rest.splitlines()):
        yield f"{name} is cut in a code span"


def _length(text: Any, longest: int, name: str) -> Iterator[str]:
    if not isinstance(text, str) or not 1 <= len(text) <= longest:
        yield f"{name} has not 1 to {longest} characters"


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _refused(error: str, violations: tuple[str, ...] = ()) -> Reply:
    return json_reply({"ok": False, "error": error}, violations=violations)
