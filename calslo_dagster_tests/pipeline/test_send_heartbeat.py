"""The sign of life goes out while alerting works, and stops with the first thing that does not."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from calslo_dagster.alerting.model import Action, Order
from calslo_dagster.alerting.rate import Rate
from calslo_dagster.pipeline.advance_alerts import advance_alerts
from calslo_dagster.pipeline.deliver_outbox import deliver_outbox
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.send_heartbeat import send_heartbeat
from calslo_dagster.slo.model import Severity
from calslo_dagster.slo.windows import DAY, WEEK
from calslo_dagster.store import channel_states, deliveries, evaluations, troubles
from calslo_dagster.store.deliveries import NewDelivery
from calslo_dagster.store.troubles import Trouble
from calslo_dagster_tests.logs import HOUR, MINUTE, START
from calslo_dagster_tests.peers.running import Peer, running_peer
from calslo_dagster_tests.pipeline.conftest import OpenProject
from calslo_dagster_tests.store.alert_builders import facts

NOW = START + DAY
SECOND = timedelta(seconds=1)


@pytest.fixture
def peer() -> Iterator[Peer]:
    with running_peer() as found:
        yield found


@pytest.fixture
def watched(tmp_path: Path, open_at: OpenProject, peer: Peer) -> Project:
    """Return a project with a dead man's switch that has just been evaluated."""
    (tmp_path / "switch").write_text(peer.webhook)
    project = open_at(tmp_path, extra="alerting: {heartbeat: {url: 'file:switch', every: 1m}}\n")
    evaluated(project, "score_range", NOW + 5 * MINUTE, at=NOW)
    return project


def evaluated(project: Project, slo: str, window_end: datetime, *, at: datetime) -> None:
    with project.store.write() as session:
        evaluations.put(session, slo, {window_end: "d"}, at=at)


def work(project: Project, seconds: int) -> str:
    """Do what the sensors do at this time; return what became of the heartbeat."""
    at = NOW + seconds * SECOND
    advance_alerts(project, now=at)
    said = send_heartbeat(project, now=at)
    deliver_outbox(project, clock=lambda: at)
    return said


def test_without_an_address_there_is_none(project: Project) -> None:
    assert send_heartbeat(project, now=NOW) == "no heartbeat is configured"


def test_it_is_sent_as_often_as_agreed_once_a_message_has_gone_through(watched: Project, peer: Peer) -> None:
    said = [work(watched, seconds) for seconds in (0, 10, 20, 80)]

    assert said == [
        "no heartbeat: no message has gone through the outbox yet",
        "heartbeat sent",
        "the last heartbeat was 10 s ago",
        "heartbeat sent",
    ]
    assert len(peer.journal()) == 2


def test_nobody_looking_at_alerts_stops_it(watched: Project, peer: Peer) -> None:
    work(watched, 0)

    said = send_heartbeat(watched, now=NOW + 2 * MINUTE)

    assert said.startswith("no heartbeat: nobody has looked at the alerts since")
    assert peer.journal() == []


def test_a_standstill_of_the_evaluation_stops_it(watched: Project, peer: Peer) -> None:
    work(watched, 0)
    with watched.store.write() as session:
        troubles.put(session, Trouble("evaluation", Severity.EMERGENCY, NOW, "stands still"))

    assert "no SLO is being evaluated" in work(watched, 20)
    assert peer.journal() == []


def test_a_standstill_that_nobody_has_noticed_stops_it(watched: Project, peer: Peer) -> None:
    work(watched, 0)
    assert work(watched, 600) == "heartbeat sent"

    assert work(watched, 661) == "no heartbeat: no SLO is being evaluated"

    evaluated(watched, "score_range", NOW + HOUR, at=NOW + 12 * MINUTE)
    evaluated(watched, "weekly_drift", NOW - 2 * WEEK, at=NOW)
    assert work(watched, 722) == "no heartbeat: no week is being compared"
    assert len(peer.journal()) == 1


def test_a_project_that_was_never_evaluated_sends_none(tmp_path: Path, open_at: OpenProject, peer: Peer) -> None:
    (tmp_path / "switch").write_text(peer.webhook)
    project = open_at(tmp_path, extra="alerting: {heartbeat: {url: 'file:switch', every: 1m}}\n")
    work(project, 0)

    assert work(project, 60) == "no heartbeat: no SLO is being evaluated"
    assert peer.journal() == []


def test_an_outbox_that_nobody_empties_stops_it(watched: Project, peer: Peer) -> None:
    work(watched, 0)
    assert work(watched, 10) == "heartbeat sent"
    for seconds in (70, 140):
        advance_alerts(watched, now=NOW + seconds * SECOND)
        said = send_heartbeat(watched, now=NOW + seconds * SECOND)

    assert "messages are late, first test to canary" in said


def test_an_address_that_does_not_answer_is_told_without_it(watched: Project, peer: Peer) -> None:
    peer.behave("500", "/webhook")
    work(watched, 0)

    said = work(watched, 10)

    assert said.startswith("no heartbeat: ")
    assert "canaryPath" not in said


def test_an_address_that_answers_byte_by_byte_is_left_at_the_deadline(watched: Project, peer: Peer) -> None:
    """No single read takes long, and the answer would take a minute: whoever waits for it sends no page meanwhile."""
    peer.behave("drip", "/webhook")
    work(watched, 0)
    advance_alerts(watched, now=NOW + 10 * SECOND)

    said = send_heartbeat(watched, now=NOW + 10 * SECOND, deadline=SECOND)

    assert said == "no heartbeat: no answer within 1 s"


def test_a_healthy_channel_that_is_used_as_fast_as_it_may_be_does_not_stop_it(watched: Project, peer: Peer) -> None:
    work(watched, 0)
    with watched.store.write() as session:
        channel_states.set_rate(session, "log", Rate(timedelta(hours=1)))
        orders = [Order(f"i{n}", "log", Action.TRIGGER, "1:0", "", NOW) for n in range(3)]
        deliveries.order(session, [NewDelivery(one, facts(), one.incident_id) for one in orders], now=NOW)

    assert work(watched, 30) == "heartbeat sent"
    assert work(watched, 120) == "heartbeat sent"
