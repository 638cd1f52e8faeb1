"""`calslo serve`, a process of its own, takes answers from links, PagerDuty and Slack: signed ones, once, on record."""

import hmac
import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final

import pytest

from calslo_dagster.alerting.links import LASTS, ack_link
from calslo_dagster.alerting.model import IncidentState
from calslo_dagster.channels.slack_blocks import ACK
from calslo_dagster.pipeline.audit_alerts import audit_alerts
from calslo_dagster.pipeline.project import Project
from calslo_dagster_tests.cli.running import CALSLO, clean_environ, spawn
from calslo_dagster_tests.peers.running import ROUTING_KEY, running_peer
from calslo_dagster_tests.peers.socket_mode import APP_TOKEN
from calslo_dagster_tests.web.standing import incident_of, record_of, with_incident

PATIENCE_SECONDS: Final = 60
KEY, PD_SECRET = "link-key-0123456789", "pd-secret-0123456789"
SETTINGS: Final = """
channels:
  pager: {kind: pagerduty, routing_key: 'file:key', webhook_secrets: ['file:pd']}
alerting: {link_key: 'file:link'}
"""
SLACK: Final = """
channels:
  chat: {{kind: slack, webhook_url: 'file:hook', app_token: 'file:app', api_url: '{}'}}
"""


@dataclass(frozen=True, slots=True)
class Server:
    """A running `calslo serve`."""

    process: "subprocess.Popen[str]"
    url: str

    def call(self, path: str, body: bytes | None = None, **headers: str) -> tuple[int, str]:
        """Return status and text of the answer."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(f"{self.url}{path}", data=body, headers=given)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()


@contextmanager
def serving(config: Path) -> Iterator[Server]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-c", CALSLO, "serve", "--config", str(config), "--port", str(port)]
    with subprocess.Popen(command, text=True, env=clean_environ(), stderr=subprocess.PIPE) as process:
        try:
            await_answer(process, Server(process, f"http://127.0.0.1:{port}"))
            yield Server(process, f"http://127.0.0.1:{port}")
        finally:
            process.kill()


def await_answer(process: "subprocess.Popen[str]", server: Server) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while process.poll() is None and time.monotonic() < until:
        try:
            assert server.call("/livez") == (200, "ok")
        except urllib.error.URLError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("calslo serve does not answer")


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    found = with_incident(tmp_path, SETTINGS, {"key": ROUTING_KEY, "pd": PD_SECRET, "link": KEY})
    with found.store:
        yield found


def path_of(project: Project, *, key: str = KEY, age: timedelta = timedelta(0)) -> str:
    made = ack_link("http://here", incident_of(project).id, key, now=datetime.now(UTC) - age)
    return made.removeprefix("http://here")


def form_of(page: str, by: str) -> bytes:
    """Return what a browser sends when the form of the page is filled in."""
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page))
    return urllib.parse.urlencode({**hidden, "by": by}).encode()


def test_a_link_asks_first_acknowledges_once_and_expires(project: Project, tmp_path: Path) -> None:
    with serving(tmp_path / "calslo.yaml") as server:
        status, page = server.call(path_of(project))
        # Whoever fetches links before people do has changed nothing.
        assert (status, incident_of(project).state) == (200, IncidentState.FIRING)
        for spoiled in (path_of(project, key="other"), path_of(project, age=LASTS), f"{path_of(project)}0"):
            assert server.call(spoiled)[0] == 403
            assert server.call("/answers/ack", f"{spoiled.partition('?')[2]}&by=eve".encode())[0] == 403
        assert incident_of(project).state is IncidentState.FIRING

        assert server.call("/answers/ack", form_of(page, "Ada"))[0] == 200
        assert "by Ada already" in server.call("/answers/ack", form_of(page, "Ada"))[1]

    assert incident_of(project).acked_by == "Ada"
    assert [(event.actor, event.source) for event in record_of(project, "acked")] == [("Ada", "link")]
    assert [event.source for event in record_of(project, "refused")] == ["link"]
    assert audit_alerts(project).broken_id is None


def test_pagerduty_acknowledges_with_its_signature_only(project: Project, tmp_path: Path) -> None:
    agent = {"id": "PLH1HKV", "type": "user_reference", "summary": "Grace"}
    data = {"id": "Q1", "type": "incident", "incident_key": incident_of(project).dedup_key}
    event = {"event_type": "incident.acknowledged", "resource_type": "incident", "agent": agent, "data": data}
    body = json.dumps({"event": event}).encode()
    with serving(tmp_path / "calslo.yaml") as server:
        for secret, status in (("guess", 401), (PD_SECRET, 200), (PD_SECRET, 200)):
            signature = f"v1={hmac.new(secret.encode(), body, sha256).hexdigest()}"
            assert server.call("/answers/pagerduty/pager", body, X_PagerDuty_Signature=signature)[0] == status
            assert incident_of(project).acked_by == ("Grace" if status == 200 else None)

        server.process.send_signal(signal.SIGTERM)
        said = server.process.communicate(timeout=PATIENCE_SECONDS)[1]

    assert said == f"calslo: answering on {server.url}, end with Ctrl-C\n"
    assert [(event.actor, event.source) for event in record_of(project, "acked")] == [("Grace", "pagerduty")]
    [refused] = record_of(project, "refused")
    assert (refused.incident_id, refused.source) == ("answers:pager", "pagerduty")


def test_a_button_reaches_it_over_slacks_socket(tmp_path: Path) -> None:
    with running_peer() as peer:
        project = with_incident(
            tmp_path, SLACK.format(peer.slack_api), {"hook": "http://127.0.0.1:9/h", "app": APP_TOKEN}
        )
        value = json.dumps({"incident_id": incident_of(project).id})
        payload = {
            "type": "block_actions",
            "user": {"username": "ada"},
            "actions": [{"action_id": ACK, "value": value}],
        }
        with project.store, serving(tmp_path / "calslo.yaml"):
            peer.socket("await", opened=1)
            peer.socket("send", message={"type": "interactive", "envelope_id": "e1", "payload": payload})
            await_acknowledgement(project)
            assert [(event.actor, event.source) for event in record_of(project, "acked")] == [("ada", "slack")]


def await_acknowledgement(project: Project) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while incident_of(project).acked_by is None:
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_token_that_slack_refuses_is_told_in_one_line_without_it(tmp_path: Path) -> None:
    wrong = "xapp-1-A0WRONGAPP-999-feedfacefeedface"
    with running_peer() as peer:
        with_incident(
            tmp_path, SLACK.format(peer.slack_api), {"hook": "http://127.0.0.1:9/h", "app": wrong}
        ).store.close()

        done = spawn("serve", "--config", tmp_path / "calslo.yaml")

    assert (done.returncode, done.stdout) == (2, "")
    assert "channels.chat.app_token: Slack refuses it (invalid_auth)" in done.stderr
    assert "Traceback" not in done.stderr
    assert wrong not in done.stderr
