"""Answers that come in over the web: only signed ones count, and repeating one does no harm."""

import hmac
import json
import re
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from slack_sdk.signature import SignatureVerifier

from calslo_dagster.alerting.links import LASTS, ack_link
from calslo_dagster.alerting.model import Incident, IncidentState
from calslo_dagster.alerting.pager_keys import key_of
from calslo_dagster.channels.log import LogChannel
from calslo_dagster.channels.slack_blocks import ACK, SILENCE
from calslo_dagster.pipeline.deliver_outbox import deliver_outbox
from calslo_dagster.pipeline.project import Project
from calslo_dagster.store import deliveries, silences
from calslo_dagster.web.answers import answers_app
from calslo_dagster_tests.logs import project_at
from calslo_dagster_tests.web.standing import NOW, incident_of, record_of, with_incident

KEY, PD_SECRET, SLACK_SECRET = "link-key-0123456789", "pd-secret-0123456789", "slack-secret-0123456789"
CHANNELS = """
channels:
  pager: {kind: pagerduty, routing_key: 'file:key', webhook_secrets: ['file:old', 'file:pd']}
  chat: {kind: slack, webhook_url: 'file:hook', signing_secret: 'file:slack'}
alerting: {link_key: 'file:link'}
"""


@dataclass
class Front:
    """A running server over a project with one open incident."""

    project: Project
    url: str
    clock: dict[str, datetime] = field(default_factory=lambda: {"now": NOW})

    def call(self, path: str, body: bytes | None = None, **headers: str) -> tuple[int, str]:
        """Return status and text of the answer."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(f"{self.url}{path}", data=body, headers=given)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    @property
    def incident(self) -> Incident:
        return incident_of(self.project)


@contextmanager
def serving(project: Project) -> Iterator[Front]:
    clock = {"now": NOW}
    config = uvicorn.Config(
        answers_app(lambda: project, lambda: clock["now"]), port=0, log_level="warning", lifespan="off", ws="none"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    [socket] = server.servers[0].sockets
    try:
        yield Front(project, f"http://127.0.0.1:{socket.getsockname()[1]}", clock)
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Front]:
    secrets = {"key": "R" * 32, "old": "another-secret", "pd": PD_SECRET, "slack": SLACK_SECRET, "link": KEY}
    project = with_incident(tmp_path, CHANNELS, {**secrets, "hook": "http://127.0.0.1:9/hook"})
    with project.store, serving(project) as running:
        yield running


def path_of(link: str) -> str:
    return link.removeprefix("https://calslo.example")


def link(front: Front, key: str = KEY) -> str:
    return path_of(ack_link("https://calslo.example", front.incident.id, key, now=NOW))


def form(path: str, **more: str) -> bytes:
    query = dict(urllib.parse.parse_qsl(path.partition("?")[2]))
    return urllib.parse.urlencode({**query, **more}).encode()


def test_following_a_link_does_nothing_and_confirming_it_acknowledges(front: Front) -> None:
    path = link(front)

    status, page = front.call(path)
    assert (status, front.incident.state) == (200, IncidentState.FIRING)
    assert f"Acknowledge incident {front.incident.id}?" in page

    status, page = front.call("/answers/ack", form(path, by="Ada <b>"))
    assert (status, front.incident.acked_by) == (200, "Ada <b>")
    assert "Ada &lt;b&gt;" in page
    assert front.call("/answers/ack", form(path, by="Ada <b>"))[0] == 200
    assert [(event.actor, event.source) for event in record_of(front.project, "acked")] == [("Ada <b>", "link")]


def test_a_link_without_a_name_is_nobodys_answer(front: Front) -> None:
    assert front.call("/answers/ack", form(link(front), by="  "))[0] == 400
    assert front.incident.state is IncidentState.FIRING


@pytest.mark.parametrize("spoiled", ["incident=0123456789abcdef", "expires=9999999999", "signature=00"])
def test_a_link_that_was_changed_is_refused(front: Front, spoiled: str) -> None:
    name, _, value = spoiled.partition("=")
    path = link(front)
    body = form(path, **{"by": "eve", name: value})

    assert front.call("/answers/ack", body)[0] == 403
    assert front.call(f"/answers/ack?{body.decode()}")[0] == 403
    assert front.incident.state is IncidentState.FIRING


def test_a_link_of_another_key_or_that_has_expired_is_refused(front: Front) -> None:
    assert front.call(link(front, "other"))[0] == 403
    good = link(front)
    front.clock["now"] = NOW + LASTS
    assert front.call(good)[0] == 403


GRACE = {"id": "PLH1HKV", "type": "user_reference", "summary": "Grace"}


def pagerduty(
    front: Front, kind: str, *, key: str | None = None, secret: str = PD_SECRET, agent: Any = GRACE
) -> tuple[int, str]:
    data = {"id": "Q1", "type": "incident", "incident_key": key or front.incident.dedup_key}
    event = {"event_type": kind, "agent": agent, "data": data}
    body = json.dumps({"event": event}).encode()
    signature = hmac.new(secret.encode(), body, sha256).hexdigest()
    return front.call("/answers/pagerduty/pager", body, X_PagerDuty_Signature=f"v1=00,v1={signature}")


def test_what_people_do_in_pagerduty_is_done_here(front: Front) -> None:
    assert pagerduty(front, "incident.acknowledged")[0] == 200
    assert front.incident.acked_by == "Grace"
    assert pagerduty(front, "incident.unacknowledged")[0] == 200
    assert front.incident.state is IncidentState.FIRING
    assert pagerduty(front, "incident.resolved")[0] == 200
    assert (front.incident.state, front.incident.resolved_by) == (IncidentState.RESOLVED, "Grace")
    assert pagerduty(front, "incident.resolved")[0] == 200


def test_an_answer_to_a_later_page_of_an_incident_is_about_it(front: Front) -> None:
    assert pagerduty(front, "incident.acknowledged", key=key_of(front.incident.dedup_key, 2))[0] == 200
    assert front.incident.acked_by == "Grace"


def test_events_that_mean_nothing_here_are_answered(front: Front) -> None:
    assert pagerduty(front, "incident.priority_updated") == (202, '{"done":"nothing"}')
    assert "is the key of no incident" in pagerduty(front, "incident.acknowledged", key="calslo-0")[1]


@pytest.mark.parametrize("agent", [None, {"id": "P1", "type": "service_reference", "summary": "calslo"}])
def test_the_echo_of_what_we_told_pagerduty_is_no_answer(front: Front, agent: Any) -> None:
    """Otherwise it would take the incident from the person who has acknowledged it elsewhere."""
    assert pagerduty(front, "incident.acknowledged")[0] == 200

    assert pagerduty(front, "incident.acknowledged", agent=agent) == (202, '{"done":"nothing"}')
    assert pagerduty(front, "incident.resolved", agent=agent) == (202, '{"done":"nothing"}')
    assert (front.incident.state, front.incident.acked_by) == (IncidentState.ACKED, "Grace")


def test_refused_answers_are_on_record_but_do_not_flood_it(front: Front) -> None:
    """Anybody can send wrong signatures, so each way in adds a line a minute at most; reading a link adds none."""
    for _ in range(3):
        assert pagerduty(front, "incident.acknowledged", secret="guess")[0] == 401
        assert slack(front, ACK, secret="guess")[0] == 401
        assert front.call("/answers/ack", form(link(front, "other"), by="eve"))[0] == 403
        assert front.call(link(front, "other"))[0] == 403
    front.clock["now"] += timedelta(minutes=1)
    assert pagerduty(front, "incident.acknowledged", secret="guess")[0] == 401

    refused = record_of(front.project, "refused")
    assert [event.source for event in refused] == ["pagerduty", "slack", "link", "pagerduty"]
    assert {event.actor for event in refused} == {"unknown"}


def test_a_wrong_signature_changes_nothing(front: Front) -> None:
    assert pagerduty(front, "incident.acknowledged", secret="guess")[0] == 401
    assert front.call("/answers/pagerduty/pager", b"{}")[0] == 401
    assert front.call("/answers/pagerduty/chat", b"{}")[0] == 404
    assert front.incident.state is IncidentState.FIRING


def slack(front: Front, action: str, *, secret: str = SLACK_SECRET, age: int = 0) -> tuple[int, Any]:
    value = json.dumps({"incident_id": front.incident.id, "episode": 1, "nonce": "n"})
    payload = {"user": {"username": "linus"}, "actions": [{"action_id": action, "value": value}]}
    body = urllib.parse.urlencode({"payload": json.dumps(payload)})
    stamp = str(int((front.clock["now"] - timedelta(seconds=age)).timestamp()))
    signature = SignatureVerifier(secret).generate_signature(timestamp=stamp, body=body)
    headers = {"X_Slack_Request_Timestamp": stamp, "X_Slack_Signature": str(signature)}
    status, text = front.call("/answers/slack/chat", body.encode(), **headers)
    return status, json.loads(text)


def test_slacks_buttons_acknowledge_and_silence(front: Front) -> None:
    status, said = slack(front, ACK)
    assert (status, front.incident.acked_by) == (200, "linus")
    assert "is acknowledged by linus" in said["text"]

    status, said = slack(front, SILENCE)
    assert (status, said["text"]) == (200, "silence 1 holds until 2026-03-08 02:00 UTC")
    with front.project.store.read() as session:
        [made] = silences.active_candidates(session, NOW)
    assert (made.author, [str(matcher) for matcher in made.matchers][1]) == ("linus", 'slo="score_range"')


def test_a_forged_or_old_button_is_refused(front: Front) -> None:
    assert slack(front, ACK, secret="guess")[0] == 401
    assert slack(front, ACK, age=600)[0] == 401
    assert front.incident.state is IncidentState.FIRING


def test_a_body_without_end_is_cut_off(front: Front) -> None:
    assert front.call("/answers/ack", b"x" * 300_000)[0] == 413


def test_the_link_in_a_message_works_and_is_kept_nowhere(front: Front, tmp_path: Path) -> None:
    project = project_at(tmp_path, extra=f"{CHANNELS}dashboard_url: https://calslo.example\n")
    with project.store:
        deliver_outbox(project, clock=lambda: NOW, channels={"chat": LogChannel(tmp_path / "chat.jsonl", "chat")})
    [line] = [json.loads(text) for text in (tmp_path / "chat.jsonl").read_text().splitlines()]

    [address] = re.findall(r"https://calslo\.example\S+signature=\w+", line["text"])
    assert front.call(path_of(address))[0] == 200
    with front.project.store.read() as session:
        kept = [one.facts.to_json() for one in deliveries.of_incident(session, front.incident.id)]
    assert "signature" not in json.dumps(kept)
