"""A project with a channel of each kind, one of which a hostile service stands behind: what became of its messages."""

import json
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from calslo_dagster.alerting.model import Action
from calslo_dagster.channels.slack_blocks import REPEAT
from calslo_dagster.pipeline.dispatch_alerts import dispatch_alerts
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.send_test import send_test
from calslo_dagster.slo.windows import DAY
from calslo_dagster.store import breaches, deliveries, incidents
from calslo_dagster.store.deliveries import Delivery
from calslo_dagster_tests.logs import MINUTE, START, project_at
from calslo_dagster_tests.peers.running import ROUTING_KEY, Peer
from calslo_dagster_tests.torture.scenery import ALWAYS, SLO, breach

NOW: Final = START + DAY
TICK: Final = timedelta(seconds=10)
# How long the service is hostile: the first look, and two more.
LOOKS: Final = 3
CHANNELS: Final = ("chat", "room", "pager", "receiver")
NAMELESS: Final = "nameless"
MODES: Final = ("hang", "drip", "429", "500", "403", "close", NAMELESS)
# Those in which the message arrives although nobody says so, and those in which it may have.
ARRIVES: Final = frozenset({"drip"})
DOUBTFUL: Final = ARRIVES | {"hang", "500", "close"}
# Late enough for whatever waits to be tried again, too early for a reminder that it goes on.
MENDED: Final = 20 * MINUTE
_NOBODY: Final = "http://no-such-host.invalid"
# Alembic keeps what it is doing in its module, so that two threads cannot migrate at once.
_opening: Final = threading.Lock()
_SETTINGS: Final = """
channels:
  chat: {{kind: slack, webhook_url: "file:hook", per_minute: 6000}}
  room: {{kind: slack, token: "file:token", channel: C0123456789, api_url: "{room}", per_minute: 6000}}
  pager: {{kind: pagerduty, routing_key: "file:key", events_url: "{pager}", per_minute: 6000}}
  receiver: {{kind: webhook, url: "{receiver}", per_minute: 6000}}
alerting: {{environment: "{place}", fallback: [log]}}
"""


@dataclass
class Play:
    """One service that is hostile and then mended, while the others are as they should be.

    first: what became of each channel's page in the first look; told_instead: the look, from 0, in which the fall-back
    told of it; looks: how long each look took; heard: what each channel took in the end.
    """

    mode: str
    channel: str
    peer: Peer
    folder: Path
    first: dict[str, str] = field(default_factory=dict)
    told_instead: int | None = None
    looks: list[float] = field(default_factory=list)
    heard: dict[str, list[str]] = field(default_factory=dict)
    left: list[Delivery] = field(default_factory=list)

    @property
    def place(self) -> str:
        """The name of this play, by which its requests are told from those of others."""
        return f"{self.mode}{self.channel}"

    def run(self) -> "Play":
        """Let a slice break while the service is hostile, mend it, and let the slice recover."""
        path = self._paths()[self.channel]
        if self.mode != NAMELESS:
            self.peer.behave(self.mode, path, retry_after=3)
        with self._open(is_mended=self.mode != NAMELESS) as project:
            self._break(project)
        self.peer.behave("ok", path)
        with self._open(is_mended=True) as project:
            self._mend(project)
        self.heard = {name: self._heard(base) for name, base in self._paths().items()}
        return self

    def _paths(self) -> dict[str, str]:
        return {
            "chat": f"/slack/services/T0/B0/{self.place}",
            "room": f"/slack/api/{self.place}",
            "pager": f"/pagerduty/{self.place}",
            "receiver": f"/webhook/{self.place}",
        }

    def _open(self, *, is_mended: bool) -> "_Opened":
        urls = {name: f"{self.peer.url}{path}" for name, path in self._paths().items()}
        if not is_mended:
            urls[self.channel] = urls[self.channel].replace(self.peer.url, _NOBODY)
        for name, secret in (("hook", urls["chat"]), ("token", "xoxb-1"), ("key", ROUTING_KEY)):
            (self.folder / name).write_text(secret, encoding="utf-8")
        with _opening:
            return _Opened(project_at(self.folder, extra=_SETTINGS.format(place=self.place, **urls)))

    def _break(self, project: Project) -> None:
        _put(project, NOW)
        for number in range(LOOKS):
            began = time.monotonic()
            dispatch_alerts(project, clock=lambda at=NOW + number * TICK: at)  # type: ignore[misc]  # bound now
            self.looks.append(time.monotonic() - began)
            if number == 0:
                self.first = {one.channel: str(one.status) for one in _messages(project)}
            if self.told_instead is None and "EMERGENCY" in _logged(project):
                self.told_instead = number

    def _mend(self, project: Project) -> None:
        at = NOW + MENDED
        if self.mode == "403":
            # Nothing waits there, so that somebody has to say that it was mended.
            send_test(project, self.channel, by="ada", clock=lambda: at)
        for number in range(2):
            dispatch_alerts(project, clock=lambda now=at + number * TICK: now)  # type: ignore[misc]  # bound now
        _put(project, None)
        for after in (2 * TICK, MENDED):
            dispatch_alerts(project, clock=lambda now=at + after: now)  # type: ignore[misc]  # bound now
        self.left = [one for one in _messages(project) if one.status in ("pending", "sending")]

    def _heard(self, base: str) -> list[str]:
        """Return the actions that arrived there; a receiver that keeps keys knows what comes again."""
        found: dict[str, str] = {}
        for one in self.peer.journal():
            if one["taken"] and f"{one['path']}/".startswith(f"{base}/"):
                key = one["headers"].get("idempotency-key", str(one["n"]))
                found[key] = _action(one["path"], json.loads(one["body"]))
        return [action for action in found.values() if action]


@dataclass
class _Opened:
    project: Project

    def __enter__(self) -> Project:
        return self.project

    def __exit__(self, *_: object) -> None:
        self.project.store.close()


def counted(play: Play, channel: str) -> Counter[str]:
    """Return how often the channel took which action."""
    return Counter(play.heard[channel])


def _put(project: Project, since: datetime | None) -> None:
    found = [breach("intent=buy", since, model="m")] if since else []
    with project.store.write() as session:
        breaches.replace_since(session, SLO, found, since=ALWAYS)


def _messages(project: Project) -> list[Delivery]:
    with project.store.read() as session:
        [incident] = [one for one in incidents.recent(session) if one.labels["slo"] == SLO]
        return list(deliveries.of_incident(session, incident.id))


def _logged(project: Project) -> str:
    file = project.settings.alert_log
    return file.read_text(encoding="utf-8") if file.exists() else ""


def _action(path: str, body: dict[str, Any]) -> str:
    """Return what the request does, in our words; empty for an edit of what was told, and for a test."""
    if path.endswith("/chat.update"):
        return ""
    if "event_action" in body:
        # A test is an incident of its own over there, under a key of its own.
        return "" if body["dedup_key"].startswith("calslo-test") else str(body["event_action"])
    if "action" in body:
        return "" if body["action"] == Action.TEST else str(body["action"])
    words = {"EMERGENCY": "trigger", "RESOLVED": "resolve", "TEST": ""}
    return words.get(str(body["text"]).removeprefix(REPEAT).split(" ")[0], str(body["text"])[:20])
