"""The demo as people play it pages about its script and nothing else: every channel is told each step once."""

import html
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest

from calslo_dagster.alerting.pager_keys import key_of, without_page
from calslo_dagster.pipeline.audit_alerts import audit_alerts
from calslo_dagster.pipeline.describe_incident import Record, record_of
from calslo_dagster.pipeline.feed_demo import demo_script
from calslo_dagster.pipeline.project import Project, open_project
from calslo_dagster.settings import load_settings
from calslo_dagster.slo.model import EVERYTHING
from calslo_dagster.slo.windows import STEP, spoken
from calslo_dagster.sources.demo.population import CTR, RANKER, slices_of
from calslo_dagster.sources.demo.script import IncidentKind, Script
from calslo_dagster.store import incidents
from calslo_dagster_tests.cli.running import spawn
from calslo_dagster_tests.peers.running import ROUTING_KEY, Peer, running_peer

# What an entry of the audit log is as a message.
MESSAGES: Final = {"notified": "trigger", "repeated": "digest", "resolved": "resolve"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """An incident that the demo has to have: about what, and whether anybody is told and it ends.

    Of what slices and everything break together, everything is muted, because its slices say more.
    """

    kind: IncidentKind
    slo: str
    model: str
    slices: tuple[str, ...]
    is_told: bool = True
    is_over: bool = True


GERMAN: Final = slices_of(intent="navigate", language="de")
CLAMPED: Final = (*slices_of(intent="research", language="fr"), *slices_of(intent="research", language="es"))
# Of the others a quarter of an hour holds too few events for a p99.
SLOW: Final = (*slices_of(intent="navigate", language="en"), *GERMAN, *slices_of(intent="research", language="en"))
WANTED: Final = (
    Wanted(IncidentKind.CALIBRATION_SHIFT, "ece_bound", RANKER, GERMAN),
    Wanted(IncidentKind.CLAMP_STORM, "clamp_activation", RANKER, CLAMPED),
    Wanted(IncidentKind.BAD_SCORES, "score_range", RANKER, slices_of(intent="navigate")),
    Wanted(IncidentKind.BAD_SCORES, "score_range", EVERYTHING, (EVERYTHING,), is_told=False),
    Wanted(IncidentKind.LATENCY_REGRESSION, "p99_latency", RANKER, SLOW),
    Wanted(IncidentKind.LATENCY_REGRESSION, "p99_latency", EVERYTHING, (EVERYTHING,), is_told=False),
    Wanted(IncidentKind.ALPHA_JUMP, "clamp_alpha", CTR, slices_of(model=CTR), is_over=False),
    Wanted(IncidentKind.CALIBRATION_SHIFT, "weekly_drift", RANKER, GERMAN, is_over=False),
)


@dataclass(frozen=True, slots=True)
class Played:
    """A demo that was played: what it printed, what it left, and the peer that it told."""

    shown: str
    project: Project
    script: Script
    records: tuple[Record, ...]
    peer: Peer

    def record(self, wanted: Wanted) -> Record:
        """Return the one incident that is meant."""
        key = (wanted.slo, wanted.model)
        [found] = [one for one in self.records if (one.incident.labels["slo"], one.incident.labels["model"]) == key]
        return found

    def received(self) -> list[dict[str, Any]]:
        """Return the messages that came to the webhook."""
        return [json.loads(entry["body"]) for entry in self.peer.journal() if entry["path"].startswith("/webhook")]


@contextmanager
def play(home: Path) -> Iterator[Played]:
    """Play the demo of the usual size as a process of its own, with every kind of channel that it takes."""
    with running_peer() as peer:
        receivers = ("--slack-webhook", peer.slack_webhook, "--webhook", peer.webhook)
        pager = ("--pagerduty-key", ROUTING_KEY, "--pagerduty-url", peer.pagerduty)
        done = spawn("demo", "--no-compare", "--home", home, *receivers, *pager)
        assert (done.returncode, done.stderr) == (0, "")
        project = open_project(load_settings(home / "calslo.yaml", {}))
        with project.store:
            with project.store.read() as session:
                records = tuple(record_of(session, one) for one in incidents.recent(session, 100))
            yield Played(done.stdout, project, demo_script(project.settings, datetime.now(UTC)), records, peer)


# It takes a minute and a half of one core, so it is one test: two processes that share the tests would play it twice.
@pytest.mark.timeout(900)
def test_the_demo_tells_every_channel_of_its_script_and_of_nothing_else(memory: Path) -> None:
    with play(memory / "home") as played:
        assert_found(played)
        for wanted in WANTED:
            assert_scripted(played, wanted)
            assert_taken_once(played.record(wanted), wanted)
            assert_received(played, wanted)
            assert_shown(played, wanted)
        assert_alike(played)
        assert audit_alerts(played.project).broken_id is None


def assert_found(played: Played) -> None:
    """Check that the incidents are those wanted, and that all the script must cause is in them."""
    found = Counter(
        (one.incident.labels["slo"], one.incident.labels["model"], frozenset(a.subject.slice for a in one.members))
        for one in played.records
    )
    assert found == Counter((one.slo, one.model, frozenset(one.slices)) for one in WANTED)
    assert "23 found, 0 missed, 0 false" in played.shown
    for scripted in played.script.incidents:
        for must in scripted.must:
            ours = [one.slices for one in WANTED if (one.kind, one.slo) == (scripted.kind, must.slo)]
            assert set(must.slices) <= {name for slices in ours for name in slices}


def assert_scripted(played: Played, wanted: Wanted) -> None:
    """Check that it has slices that the script names, and opens when it may."""
    [scripted] = played.script.of_kind(wanted.kind)
    meant = [one for one in (*scripted.must, *scripted.may) if one.slo == wanted.slo]
    span, opened = played.script.span(scripted), played.record(wanted).incident.opened_at

    assert set(wanted.slices) <= {name for one in meant for name in one.slices}
    assert span.start <= opened <= span.end + max(one.after for one in meant) + STEP


def assert_taken_once(record: Record, wanted: Wanted) -> None:
    """Check that it is opened, escalated and resolved once; getting worse starts the escalation over."""
    kinds = Counter(logged.event.kind for logged in record.events)
    steps = [e.event.payload for e in record.events if e.event.kind == "notified"]

    assert (kinds["opened"], kinds["resolved"]) == (1, int(wanted.is_over))
    assert record.incident.is_open is not wanted.is_over
    if wanted.is_told:
        assert len(steps) == len({(one["round"], one["step"]) for one in steps})
        assert steps[-1]["step"] == 1
    else:
        assert (steps, kinds["muted"], record.deliveries) == ([], 1, ())


def assert_received(played: Played, wanted: Wanted) -> None:
    """Check that each step arrives once; a digest would page those who have closed it, so PagerDuty gets none."""
    record = played.record(wanted)
    kinds = [logged.event.kind for logged in record.events]
    expected = [MESSAGES[kind] for kind in kinds if kind in MESSAGES] if wanted.is_told else []
    key = record.incident.dedup_key
    paged = [one for one in played.peer.incidents() if without_page(one["dedup_key"]) == key]

    assert [one["action"] for one in played.received() if one["incident"]["id"] == record.incident.id] == expected
    assert [one["events"] for one in paged] == (pages(kinds) if wanted.is_told else [])
    assert [one["dedup_key"] for one in paged] == [key_of(key, number + 1) for number in range(len(paged))]
    assert [one["state"] for one in paged if one["state"] == "open"] == ["open"] * (not wanted.is_over)


def pages(kinds: list[str]) -> list[list[str]]:
    """Return what PagerDuty is told of each page; getting worse ends one and begins the next."""
    found = list[list[str]]([[]])
    for kind in kinds:
        if kind == "raised":
            found[-1].append("resolve")
            found.append([])
        elif MESSAGES.get(kind, "digest") != "digest":
            found[-1].append(MESSAGES[kind])
    return found


def assert_alike(played: Played) -> None:
    """Check that all channels say the same, once, within the limits of the services."""
    received, peer = played.received(), played.peer
    titles = Counter(one["title"] for one in received)
    log = [json.loads(line) for line in played.project.settings.alert_log.read_text().splitlines()]

    assert Counter(html.unescape(one["text"]) for one in peer.messages()) == titles
    assert Counter(line["title"] for line in log) == titles
    assert set(peer.received().values()) == {1}
    assert peer.violations() == []
    # The end takes back every page of the episode, those that are over as well.
    replaced = {one["dedup_key"] for one in peer.incidents() if one["state"] == "resolved"}
    assert {one["event_action"] for one in peer.dropped()} <= {"resolve"}
    assert {one["dedup_key"] for one in peer.dropped()} <= replaced
    assert all(entry["taken"] for entry in peer.journal())
    # What is left of a budget in the end is not known while the history is played.
    assert not any("bad windows" in one["text"] for one in received)
    # The message of a new page ends the one before.
    ended = sum(one["dedup_key"] != without_page(one["dedup_key"]) for one in peer.incidents())
    pages = sum(len(one["events"]) for one in peer.incidents()) - ended
    count = len(received)
    assert f"Messages: {count} to chat, {count} to hook, {count} to log, {pages} to pager" in played.shown


def assert_shown(played: Played, wanted: Wanted) -> None:
    """Check that the end has a line with its timeline."""
    incident = played.record(wanted).incident
    [line] = [line.rstrip() for line in played.shown.splitlines() if line.startswith(incident.id)]
    told = ("notified at once", "escalated after ") if wanted.is_told else ("muted (slices say more) at once",)
    lasted = incident.resolved_at - incident.opened_at if incident.resolved_at else None

    assert line.split()[1:3] == [wanted.slo, wanted.model]
    assert all(words in line for words in told)
    assert line.endswith(f"resolved after {spoken(lasted)}" if lasted else "goes on")
