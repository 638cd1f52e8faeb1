"""The sign of life goes out while alerting works, and stops with the first thing that does not."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from calslo_dagster.pipeline.advance_alerts import advance_alerts
from calslo_dagster.pipeline.deliver_outbox import deliver_outbox
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.send_heartbeat import send_heartbeat
from calslo_dagster.slo.model import Severity
from calslo_dagster.slo.windows import DAY
from calslo_dagster.store import troubles
from calslo_dagster.store.troubles import Trouble
from calslo_dagster_tests.logs import MINUTE, START
from calslo_dagster_tests.peers.running import Peer, running_peer
from calslo_dagster_tests.pipeline.conftest import OpenProject

NOW = START + DAY
SECOND = timedelta(seconds=1)


@pytest.fixture
def peer() -> Iterator[Peer]:
    with running_peer() as found:
        yield found


@pytest.fixture
def watched(tmp_path: Path, open_at: OpenProject, peer: Peer) -> Project:
    """Return a project with a dead man's switch."""
    (tmp_path / "switch").write_text(peer.webhook)
    return open_at(tmp_path, extra="alerting: {heartbeat: {url: 'file:switch', every: 1m}}\n")


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
