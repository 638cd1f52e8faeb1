"""Who works while being killed: one who makes models break and mend, and those who tell of it."""

import random
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from calslo_dagster.alerting.backoff import Backoff
from calslo_dagster.alerting.rules import Rules
from calslo_dagster.channels.base import Channel
from calslo_dagster.pipeline.advance_alerts import decide
from calslo_dagster.pipeline.deliver_outbox import Pace, deliver_outbox
from calslo_dagster.pipeline.open_channels import open_channels
from calslo_dagster.pipeline.project import Project, open_project
from calslo_dagster.pipeline.respond_to_alerts import Answer, Response, respond
from calslo_dagster.settings import load_settings
from calslo_dagster.store import breaches, deliveries, incidents
from calslo_dagster.store.session import Lock
from calslo_dagster_tests.peers.running import ROUTING_KEY, Peer
from calslo_dagster_tests.torture.scenery import ALWAYS, SLO, breach

# A claim ends so soon that what a killed process held is sent again while the test still runs.
PACE: Final = Pace(
    deadline=timedelta(seconds=1),
    lease=timedelta(seconds=2),
    margin=timedelta(seconds=1.3),
    backoff=Backoff(timedelta(seconds=0.2), timedelta(seconds=1)),
)
# The first two stay broken for long, the others come and go.
CALM, HASTY = 2, 8
# With more than this to be sent nothing new happens: most of it would be over before anybody is told.
MOST_WAITING: Final = 8
SETTINGS: Final = """\
home: state
history_start: 2026-01-01
sources:
  - {{name: serving, model: m0, paths: [log/]}}
channels:
  chat: {{kind: slack, token: "file:token", channel: C0123456789, api_url: "{peer.slack_api}", per_minute: 60000}}
  pager: {{kind: pagerduty, routing_key: "file:key", events_url: "{peer.pagerduty}", per_minute: 60000}}
  hook: {{kind: webhook, url: "{peer.webhook}", per_minute: 60000}}
alerting:
  flapping: {{after: 1000000}}
  policies:
    default:
      - {{notify: [chat, pager]}}
      - {{wait: 1s, notify: [hook]}}
"""


def write_settings(folder: Path, peer: Peer) -> Path:
    """Write the settings of a project whose channels all lead to the peer; return the file."""
    (folder / "log").mkdir()
    (folder / "token").write_text("xoxb-canary-0123456789", encoding="utf-8")
    (folder / "key").write_text(ROUTING_KEY, encoding="utf-8")
    file = folder / "calslo.yaml"
    file.write_text(SETTINGS.format(peer=peer), encoding="utf-8")
    return file


def open_at(file: Path, store_url: str, *, migrate: bool = False) -> Project:
    """Open the project of these settings on the database."""
    return open_project(load_settings(file, {"CALSLO_STORE_URL": store_url}), migrate=migrate)


def utc_now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


def look(project: Project) -> None:
    """Decide and order, as `advance_alerts` does, knowing that leases are short."""
    with project.store.write(Lock.ALERTS) as session:
        decide(session, project, rules(project), utc_now())


def rules(project: Project) -> Rules:
    """Return the agreement, with short leases."""
    return replace(project.settings.alert_rules(), lease=PACE.lease)


def rehearse(project: Project) -> None:
    """Break a model, mend it and tell of it, so that those who are forked have all that it takes at hand."""
    channels = open_channels(project.settings)
    for _ in range(2):
        turn(project, "m0")
        look(project)
        deliver(project, channels)


def produce(project: Project, draw: random.Random) -> None:
    """Let models break and mend, tell of it, and acknowledge some of it, for ever."""
    while True:
        model = draw.choices(range(CALM + HASTY), weights=[1] * CALM + [10] * HASTY)[0]
        turn(project, f"m{model}")
        look(project)
        if draw.random() < 0.25:
            acknowledge_any(project, draw)
        time.sleep(draw.uniform(0, 0.05))
        while waiting(project) > MOST_WAITING:
            time.sleep(0.05)


def waiting(project: Project) -> int:
    """Return how many messages should have been sent by now."""
    with project.store.read() as session:
        return len(deliveries.overdue(session, now=utc_now(), older_than=timedelta(0)))


def turn(project: Project, model: str) -> None:
    """Break the model if it is well, else mend it."""
    now = utc_now()
    with project.store.write() as session:
        standing = [one for one in breaches.open_ones(session, SLO) if one.model != model]
        is_well = len(standing) == len(breaches.open_ones(session, SLO))
        broken = [breach(f"intent={model}", now, model=model)] if is_well else []
        breaches.replace_since(session, SLO, [*standing, *broken], since=ALWAYS)


def mend_all(project: Project) -> None:
    """Mend the models that come and go; the others stay as they are."""
    calm = {f"m{number}" for number in range(CALM)}
    with project.store.write() as session:
        standing = [one for one in breaches.open_ones(session, SLO) if one.model in calm]
        breaches.replace_since(session, SLO, standing, since=ALWAYS)


def acknowledge_any(project: Project, draw: random.Random) -> None:
    """Say that somebody has one of the open incidents."""
    with project.store.read() as session:
        standing = incidents.open_ones(session)
    if standing:
        one = draw.choice(standing)
        respond(project, Response(Answer.ACK, one.id, "ada", "torture"), now=utc_now())


def deliver(project: Project, channels: Mapping[str, Channel]) -> None:
    """Send what is due."""
    deliver_outbox(project, channels=channels, pace=PACE)


def dispatch(project: Project, draw: random.Random) -> None:
    """Empty the outbox and look at the alerts from time to time, for ever."""
    channels = open_channels(project.settings)
    while True:
        deliver(project, channels)
        if draw.random() < 0.3:
            look(project)
        time.sleep(draw.uniform(0, 0.04))
