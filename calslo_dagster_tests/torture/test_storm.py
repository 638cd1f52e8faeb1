"""Ten thousand slices break at once, come and go, and recover: people hear of it twice."""

import gc
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from calslo_dagster.alerting.model import DeliveryStatus, IncidentState
from calslo_dagster.pipeline.advance_alerts import advance_alerts
from calslo_dagster.pipeline.deliver_outbox import deliver_outbox
from calslo_dagster.pipeline.project import Project
from calslo_dagster.slo.windows import DAY
from calslo_dagster.store import alert_events, deliveries, incidents
from calslo_dagster.store.deliveries import Delivery
from calslo_dagster_tests.logs import HOUR, MINUTE, START
from calslo_dagster_tests.peers.running import ROUTING_KEY, Peer, running_peer
from calslo_dagster_tests.pipeline.conftest import OpenProject
from calslo_dagster_tests.pipeline.conftest import open_at as open_at  # noqa: PLC0414 - a fixture is found by its name
from calslo_dagster_tests.torture.storm import break_all, measure, slices

SLICES = 10_000
# So often ten thousand come and go, and so often a few: two returns are enough to be held open.
MANY_FLAPS, FLAPS = 8, 20
NOW = START + DAY
CHANNELS = """
channels:
  chat: {{kind: slack, webhook_url: "file:hook"}}
  room: {{kind: slack, token: "file:token", channel: C0123456789, api_url: "{peer.slack_api}"}}
  pager: {{kind: pagerduty, routing_key: "file:key", events_url: "{peer.pagerduty}"}}
  receiver: {{kind: webhook, url: "{peer.webhook}"}}
"""


@pytest.fixture
def peer() -> Iterator[Peer]:
    with running_peer() as found:
        yield found


@pytest.fixture
def project(tmp_path: Path, open_at: OpenProject, peer: Peer) -> Project:
    """Return a project whose incidents are told on four channels."""
    for name, secret in (("hook", peer.slack_webhook), ("token", "xoxb-1"), ("key", ROUTING_KEY)):
        (tmp_path / name).write_text(secret, encoding="utf-8")
    return open_at(tmp_path, extra=CHANNELS.format(peer=peer))


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Keep Python from looking for cycles among ten thousand rows, again and again, where there are none."""
    gc.disable()
    yield
    gc.enable()


def look(project: Project, at: datetime) -> None:
    """Do what each tick does about alerts."""
    advance_alerts(project, now=at)
    deliver_outbox(project, clock=lambda: at)


def sent(project: Project) -> list[Delivery]:
    with project.store.read() as session:
        found = [one for i in incidents.recent(session) for one in deliveries.of_incident(session, i.id)]
    return [one for one in found if one.status is DeliveryStatus.SENT]


@pytest.mark.usefixtures("no_collector")
def test_a_storm_is_told_when_it_begins_and_when_it_is_over(project: Project, peer: Peer) -> None:
    names, at = slices(SLICES), NOW
    measure(project, names, at)
    break_all(project, names, at)
    look(project, at)
    assert Counter(one.channel for one in sent(project)) == dict.fromkeys(("chat", "room", "pager", "receiver"), 1)

    for _ in range(MANY_FLAPS):
        for standing in ([], names):
            at += MINUTE
            break_all(project, standing, at)
            look(project, at)
    break_all(project, [], at)
    for _ in range(3):
        at += timedelta(minutes=31)
        look(project, at)

    told = Counter((one.incident_id, one.channel) for one in sent(project))
    assert max(told.values()) == 2
    assert peer.violations() == []
    assert [one["state"] for one in peer.incidents()] == ["resolved"] * len(peer.incidents())
    with project.store.read() as session:
        assert {one.state for one in incidents.recent(session)} == {IncidentState.RESOLVED}
        assert alert_events.verify(session).broken_id is None


def test_what_comes_and_goes_is_held_open_instead_of_being_told_each_time(project: Project) -> None:
    names, at = slices(20), NOW
    for standing in [names, []] * FLAPS:
        break_all(project, standing, at)
        look(project, at)
        at += MINUTE
    look(project, at + HOUR)

    with project.store.read() as session:
        assert len(incidents.recent(session)) == 3
