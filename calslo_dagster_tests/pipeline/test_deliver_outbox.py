"""Messages reach their channels once, in order, on time, whatever a receiver does."""

import json
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from calslo_dagster.alerting.model import Action, DeliveryStatus
from calslo_dagster.pipeline.advance_alerts import advance_alerts
from calslo_dagster.pipeline.deliver_outbox import DEADLINE, LEASE, Tally, deliver_outbox
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.respond_to_alerts import Answer, Response, respond
from calslo_dagster.pipeline.track_breaches import track_breaches
from calslo_dagster.pipeline.watch_outbox import watch_outbox
from calslo_dagster.slo.windows import DAY
from calslo_dagster.store import alert_events, breaches, channel_states, deliveries, incidents, troubles
from calslo_dagster.store.deliveries import Delivery
from calslo_dagster.store.delivery_claims import claim
from calslo_dagster.store.session import Lock
from calslo_dagster_tests.logs import MINUTE, START
from calslo_dagster_tests.peers.running import ROUTING_KEY, Peer, running_peer
from calslo_dagster_tests.pipeline.conftest import OpenProject
from calslo_dagster_tests.pipeline.courses import hours
from calslo_dagster_tests.torture.scenery import ALWAYS, SLO, breach

NOW = START + DAY
SECOND = timedelta(seconds=1)


@pytest.fixture(scope="module")
def running() -> Iterator[Peer]:
    with running_peer() as found:
        yield found


@pytest.fixture
def peer(running: Peer) -> Peer:
    running.start_over()
    return running


@pytest.fixture
def paged(tmp_path: Path, open_at: OpenProject, peer: Peer, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Return a project with one breach, whose policy tells Slack and PagerDuty at once."""
    (tmp_path / "slack").write_text(peer.slack_webhook)
    (tmp_path / "key").write_text(ROUTING_KEY)
    extra = f"""
    channels:
      chat: {{kind: slack, webhook_url: "file:slack"}}
      pager: {{kind: pagerduty, routing_key: "file:key", events_url: "{peer.pagerduty}"}}
    """
    project = open_at(tmp_path, extra=extra)
    hours(project, "mb")
    track_breaches(project)
    advance_alerts(project, now=NOW)
    return project


def send(project: Project, at: datetime) -> Tally:
    return deliver_outbox(project, clock=lambda: at)


def look(project: Project, at: datetime) -> Tally:
    """Do what each look does: see what is late, decide, send."""
    watch_outbox(project, now=at)
    advance_alerts(project, now=at)
    return send(project, at)


def told_instead(project: Project) -> list[str]:
    """Return the first words of what went to the fall-back."""
    return [json.loads(text)["title"] for text in project.settings.alert_log.read_text().splitlines()]


def found(project: Project, channel: str) -> list[Delivery]:
    with project.store.read() as session:
        [incident, *_] = sorted(incidents.recent(session), key=lambda i: i.opened_at)
        return [one for one in deliveries.of_incident(session, incident.id) if one.channel == channel]


def told_on_record(project: Project, kind: str) -> list[str]:
    """Return the reasons of the events of this kind in the audit log."""
    with project.store.read() as session:
        logged = alert_events.between(session, start=NOW, end=NOW + 9 * DAY)
    return [one.event.reason for one in logged if one.event.kind == kind]


def broken(project: Project, models: int, at: datetime) -> None:
    """Let so many models break at once, and order what follows."""
    found = [breach(f"intent=m{n}", at, model=f"m{n}") for n in range(models)]
    with project.store.write() as session:
        breaches.replace_since(session, SLO, found, since=ALWAYS)
    advance_alerts(project, now=at)


def end(project: Project, at: datetime) -> None:
    hours(project, "mbmm")
    track_breaches(project)
    advance_alerts(project, now=at)


def test_a_page_and_its_end_arrive_once_in_order(paged: Project, peer: Peer) -> None:
    assert send(paged, NOW) == Tally(sent=2)
    assert send(paged, NOW + SECOND) == Tally()
    end(paged, NOW + MINUTE)
    assert send(paged, NOW + MINUTE) == Tally(sent=2)

    assert peer.violations() == []
    assert [message["text"].split(" ")[0] for message in peer.messages()] == ["EMERGENCY", "RESOLVED"]
    [pager] = peer.incidents()
    assert pager["state"] == "resolved"


def test_whoever_decides_sends_nothing(paged: Project, peer: Peer) -> None:
    with paged.store.read() as session:
        [incident] = incidents.open_ones(session)
    respond(paged, Response(Answer.ACK, incident.id, "ada", "cli"), now=NOW + SECOND)

    assert (peer.messages(), peer.incidents()) == ([], [])
    assert {one.status for one in found(paged, "pager")} == {DeliveryStatus.SUPERSEDED}


def test_one_channel_that_hangs_keeps_no_other_waiting(paged: Project, peer: Peer) -> None:
    peer.behave("hang", "/slack")

    began = time.monotonic()
    tally = send(paged, NOW)
    lasted = time.monotonic() - began

    assert tally == Tally(sent=1, failed=1)
    assert lasted < DEADLINE.total_seconds() + 4
    [pager] = peer.incidents()
    assert pager["state"] == "open"
    [late] = found(paged, "chat")
    assert late.status is DeliveryStatus.PENDING
    assert late.ambiguous
    assert late.not_before > NOW


def test_a_pause_that_is_asked_for_is_kept_by_the_whole_channel(paged: Project, peer: Peer) -> None:
    peer.behave("429", "/slack", retry_after=120, times=1)
    send(paged, NOW)

    assert send(paged, NOW + 119 * SECOND) == Tally()
    assert send(paged, NOW + 121 * SECOND) == Tally(sent=1)
    assert len(peer.messages()) == 1


def test_what_is_refused_for_good_is_given_up_and_told_on_the_fall_back(paged: Project, peer: Peer) -> None:
    peer.behave("403", "/pagerduty")
    assert send(paged, NOW) == Tally(sent=1, dead=1)
    advance_alerts(paged, now=NOW + 10 * SECOND)
    assert send(paged, NOW + 10 * SECOND).sent == 1

    [line] = [json.loads(text) for text in paged.settings.alert_log.read_text().splitlines()]
    assert "pager did not take the trigger about score_range" in line["text"]
    assert ROUTING_KEY not in line["text"]


def test_a_page_that_is_late_is_told_on_the_fall_back_within_two_looks(paged: Project, peer: Peer) -> None:
    peer.behave("500", "/pagerduty")
    for n in range(0, 50, 10):
        look(paged, NOW + n * SECOND)

    lines = [json.loads(text) for text in paged.settings.alert_log.read_text().splitlines()]
    assert {line["at"] for line in lines} == {(NOW + 20 * SECOND).isoformat()}
    [page, trouble] = sorted(lines, key=lambda line: "pager is late" in line["text"])
    assert "pager is late with 1 messages, first with the trigger" in trouble["text"]
    assert page["title"].startswith("EMERGENCY")
    assert "pager has not taken it: pager: answered 500" in page["text"]
    peer.behave("ok", "/pagerduty")
    send(paged, NOW + DAY)
    with paged.store.read() as session:
        assert troubles.open_ones(session) == ()


def test_each_page_that_a_channel_does_not_take_is_told_on_the_fall_back_and_so_is_its_end(
    paged: Project, peer: Peer
) -> None:
    peer.behave("403", "/pagerduty", times=1)
    peer.behave("500", "/slack")
    look(paged, NOW)
    look(paged, NOW + 10 * SECOND)
    broken(paged, 2, NOW + 15 * SECOND)
    for n in range(20, 60, 10):
        look(paged, NOW + n * SECOND)
    pages = [title for title in told_instead(paged) if title.startswith("EMERGENCY")]
    assert sorted(title.split(" ")[1] for title in pages) == ["intent", "m0", "m1"]

    broken(paged, 0, NOW + MINUTE)
    look(paged, NOW + MINUTE)

    ends = [title for title in told_instead(paged) if title.startswith("RESOLVED")]
    assert {"m0", "m1"} <= {title.split(" ")[1] for title in ends}


def test_a_late_page_that_is_not_wanted_any_more_is_no_trouble(paged: Project, peer: Peer) -> None:
    peer.behave("503", "/slack")
    for n in range(0, 30, 10):
        look(paged, NOW + n * SECOND)
    end(paged, NOW + 30 * SECOND)
    for n in range(30, 60, 10):
        look(paged, NOW + n * SECOND)

    with paged.store.read() as session:
        assert troubles.open_ones(session) == ()


def given_back(project: Project) -> None:
    """Let somebody take the incident and give it up again, which chat is to be told."""
    with project.store.read() as session:
        [incident] = incidents.open_ones(session)
    for n, answer in enumerate((Answer.ACK, Answer.UNACK)):
        respond(project, Response(answer, incident.id, "ada", "cli"), now=NOW + n * SECOND)
    advance_alerts(project, now=NOW + MINUTE)


def test_a_page_is_never_too_late_and_an_update_is_given_up_on_record(paged: Project, peer: Peer) -> None:
    send(paged, NOW)
    peer.behave("500", "/slack")
    given_back(paged)
    send(paged, NOW + 3 * DAY)

    states = {one.action: one.status for one in found(paged, "chat")}
    assert (states[Action.UPDATE], states[Action.TRIGGER]) == (DeliveryStatus.DEAD, DeliveryStatus.PENDING)
    with paged.store.read() as session:
        assert troubles.open_ones(session) == ()
    assert "update to chat: it could not be sent in time" in told_on_record(paged, "given up")
    peer.behave("ok", "/slack")
    send(paged, NOW + 6 * DAY)
    assert {one.status for one in found(paged, "chat") if one.action is Action.TRIGGER} == {DeliveryStatus.SENT}


def test_an_update_that_was_to_page_since_the_page_was_lost_is_given_up_with_an_alert(
    paged: Project, peer: Peer
) -> None:
    peer.behave("500", "/slack")
    send(paged, NOW)
    given_back(paged)
    send(paged, NOW + 3 * DAY)

    with paged.store.read() as session:
        [reason] = [one.reason for one in troubles.open_ones(session) if one.component == "delivery:chat"]
    assert reason.startswith("chat did not take the update about score_range")
    assert reason.endswith("it could not be sent in time")


def test_a_channel_that_fails_again_and_again_rests_and_then_one_message_tries(paged: Project, peer: Peer) -> None:
    peer.behave("500", "/slack")
    at = NOW
    for _ in range(8):
        send(paged, at)
        at += 11 * MINUTE

    with paged.store.read() as session:
        state = channel_states.by_name(session, "chat")
    assert state is not None
    assert state.breaker.opens >= 1
    peer.behave("ok", "/slack")
    assert send(paged, at + DAY).sent == 1


def test_an_acknowledgement_takes_back_a_page_that_waits(paged: Project, peer: Peer) -> None:
    peer.behave("500", "/slack", times=1)
    send(paged, NOW)
    with paged.store.read() as session:
        [incident] = incidents.open_ones(session)
    respond(paged, Response(Answer.ACK, incident.id, "ada", "cli"), now=NOW + SECOND)
    send(paged, NOW + 20 * MINUTE)

    assert [one.status for one in found(paged, "chat")][:1] == [DeliveryStatus.SUPERSEDED]
    assert [m for m in peer.messages() if m["text"].startswith("EMERGENCY")] == []
    [pager] = peer.incidents()
    assert pager["state"] == "acknowledged"


def test_a_worker_that_dies_while_sending_leaves_a_message_that_is_sent_as_a_repeated_one(
    paged: Project, peer: Peer
) -> None:
    with paged.store.write(Lock.NONE) as session:
        taken = claim(session, token="gone", now=NOW, lease=LEASE, limit=4)
    assert len(taken) == 2

    assert send(paged, NOW + LEASE - SECOND) == Tally()
    assert send(paged, NOW + LEASE + SECOND) == Tally(sent=2)
    assert [(one.attempts, one.ambiguous) for one in found(paged, "chat")] == [(2, True)]


def test_what_waits_for_a_channel_that_is_no_more_is_left_to_whoever_watches(
    paged: Project, tmp_path: Path, open_at: OpenProject
) -> None:
    without = open_at(tmp_path)

    assert send(without, NOW) == Tally()
    assert {one.status for one in found(paged, "chat")} == {DeliveryStatus.PENDING}


def test_a_broken_template_still_sends_the_page(tmp_path: Path, open_at: OpenProject) -> None:
    project = open_at(tmp_path, extra="alerting: {templates: {all: {title: '{{ nonsense.x }}'}}}\n")
    hours(project, "mb")
    track_breaches(project)
    advance_alerts(project, now=NOW)

    assert send(project, NOW) == Tally(sent=1)
    [line] = [json.loads(text) for text in project.settings.alert_log.read_text().splitlines()]
    assert line["title"].startswith("EMERGENCY")


def test_no_action_is_without_words(paged: Project, peer: Peer) -> None:
    send(paged, NOW)
    with paged.store.read() as session:
        [incident] = incidents.open_ones(session)
    for n, answer in enumerate((Answer.ACK, Answer.UNACK, Answer.RESOLVE)):
        respond(paged, Response(answer, incident.id, "ada", "cli", note="looking"), now=NOW + n * SECOND)
    send(paged, NOW + MINUTE)

    actions = [one.action for one in found(paged, "chat") if one.status is DeliveryStatus.SENT]
    assert actions == [Action.TRIGGER, Action.RESOLVE]
    assert all(message["text"].strip() for message in peer.messages())


def test_a_page_that_is_given_up_is_told_although_the_channel_works_again_at_once(paged: Project, peer: Peer) -> None:
    broken(paged, 2, NOW)
    peer.behave("403", "/pagerduty", times=1)
    tally = send(paged, NOW)
    assert (tally.sent, tally.dead) == (3, 1)

    advance_alerts(paged, now=NOW + 10 * SECOND)
    send(paged, NOW + 10 * SECOND)

    [line] = [json.loads(text) for text in paged.settings.alert_log.read_text().splitlines()]
    assert "pager did not take the trigger" in line["text"]
