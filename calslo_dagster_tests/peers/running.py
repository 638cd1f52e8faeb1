"""Starts the peers in a process of their own, talks to their control address, and always stops them."""

import json
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STOP_SECONDS = 10
WAIT_SECONDS = 60
# 32 characters, as PagerDuty's keys have.
ROUTING_KEY = "R0CANARYr0utingkey5d41402abc4b2a"


@dataclass(frozen=True, slots=True)
class Peer:
    """The running peers."""

    url: str
    journal_file: Path

    @property
    def slack_webhook(self) -> str:
        """The address of an incoming webhook."""
        return f"{self.url}/slack/services/T0CANARYTEAM1/B0CANARYHOOK1/canaryWebhookKey0123456789"

    @property
    def slack_api(self) -> str:
        """The base address of Slack's Web API."""
        return f"{self.url}/slack/api"

    @property
    def pagerduty(self) -> str:
        """The base address of PagerDuty's events."""
        return f"{self.url}/pagerduty"

    @property
    def webhook(self) -> str:
        """The address of a webhook receiver."""
        return f"{self.url}/webhook/canaryPathOfReceiver42"

    def behave(self, mode: str, path: str = "/", *, retry_after: int = 3, times: int | None = None) -> None:
        """Make every path that starts like this behave so, for ever or so many times."""
        self.call("mode", {"path": path, "mode": mode, "retry_after": retry_after, "times": times})

    def start_over(self) -> None:
        """Make the peers forget messages, incidents and modes."""
        self.call("reset", {})

    def forget(self, ts: str) -> None:
        """Delete a Slack message, as a person does."""
        self.call("forget", {"ts": ts})

    def journal(self) -> list[dict[str, Any]]:
        """Return every request so far."""
        entries: list[dict[str, Any]] = self.call("journal")
        return entries

    def violations(self) -> list[str]:
        """Return every broken rule of a service so far."""
        return [rule for entry in self.journal() for rule in entry["violations"]]

    def messages(self) -> list[dict[str, Any]]:
        """Return Slack's messages, with those of webhooks."""
        messages: list[dict[str, Any]] = self.call("state")["slack"]
        return messages

    def incidents(self) -> list[dict[str, Any]]:
        """Return PagerDuty's incidents, oldest first."""
        incidents: list[dict[str, Any]] = self.call("state")["pagerduty"]["incidents"]
        return incidents

    def dropped(self) -> list[dict[str, str]]:
        """Return the events for which PagerDuty found no open incident."""
        dropped: list[dict[str, str]] = self.call("state")["pagerduty"]["dropped"]
        return dropped

    def received(self) -> dict[str, int]:
        """Return how often the webhook receiver got each key."""
        received: dict[str, int] = self.call("state")["webhook"]
        return received

    def socket(self, do: str, **told: Any) -> dict[str, Any]:
        """Make Slack's Socket Mode `send` a message, `disconnect`, `drop`, or `await` so many connections."""
        state: dict[str, Any] = self.call("socket", {"do": do, **told}, seconds=WAIT_SECONDS)
        return state

    def call(self, what: str, told: Any = None, *, seconds: float = STOP_SECONDS) -> Any:
        """Post to, or without a body read from, the control address."""
        body = None if told is None else json.dumps(told).encode()
        request = urllib.request.Request(f"{self.url}/control/{what}", data=body)
        with urllib.request.urlopen(request, timeout=seconds) as answer:
            return json.loads(answer.read())


@contextmanager
def running_peer(journal: Path | None = None, *, certificate: Path | None = None) -> Iterator[Peer]:
    """Yield the peers, which stop afterwards, or when this process dies."""
    with tempfile.TemporaryDirectory(prefix="calslo-peers-") as folder:
        file = journal or Path(folder) / "journal.jsonl"
        command: list[str | Path] = [sys.executable, "-m", f"{__package__}.server", "--until-input-ends"]
        command += ["--journal", file, *(("--certificate", certificate) if certificate else ())]
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            cwd=Path(__file__).parents[2],
        )
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            if not url:
                raise RuntimeError("the peers did not start")
            yield Peer(url, file)
        finally:
            _stop(process)


def _stop(process: "subprocess.Popen[str]") -> None:
    try:
        process.communicate(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
