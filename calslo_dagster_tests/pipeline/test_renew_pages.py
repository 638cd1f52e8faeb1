"""A channel that was mended hears of what it had refused and of what still goes on, and of nothing else."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from calslo_dagster.alerting.model import Action, DeliveryStatus
from calslo_dagster.channels.base import Channel, Failure, Letter, Receipt, Rejected
from calslo_dagster.channels.log import LogChannel
from calslo_dagster.pipeline.advance_alerts import advance_alerts
from calslo_dagster.pipeline.deliver_outbox import deliver_outbox
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.respond_to_alerts import Answer, Response, respond
from calslo_dagster.pipeline.send_test import send_test
from calslo_dagster.pipeline.watch_outbox import watch_outbox
from calslo_dagster.slo.windows import DAY
from calslo_dagster.store import breaches, deliveries, incidents
from calslo_dagster.store.breaches import Breach
from calslo_dagster_tests.logs import HOUR, MINUTE, START
from calslo_dagster_tests.pipeline.conftest import OpenProject
from calslo_dagster_tests.torture.scenery import ALWAYS, SLO, breach

NOW = START + DAY
PAGER = "channels: {pager: {kind: webhook, url: 'http://127.0.0.1:9/'}}\n"


class Pager:
    """A channel that refuses these actions until it is mended; a letter that says `poison` it always refuses."""

    name = "pager"

    def __init__(self, *refused: Action) -> None:
        self.refused, self.poison = frozenset(refused), ""
        self.letters: list[Letter] = []

    async def send(self, letter: Letter) -> Receipt:
        """Take or refuse the letter."""
        if letter.action in self.refused or (self.poison and letter.facts.model == self.poison):
            raise Rejected("pager: answered 403", Failure.AUTH)
        self.letters.append(letter)
        return Receipt()

    def heard(self) -> list[Action]:
        """Return what it took, without tests."""
        return [one.action for one in self.letters if one.action is not Action.TEST]


@pytest.fixture
def pager() -> Pager:
    return Pager(Action.TRIGGER)


@pytest.fixture
def project(tmp_path: Path, open_at: OpenProject) -> Project:
    return open_at(tmp_path, extra=PAGER)


def put(project: Project, *found: Breach) -> None:
    with project.store.write() as session:
        breaches.replace_since(session, SLO, found, since=ALWAYS)


def tick(project: Project, pager: Pager, at: datetime) -> None:
    """Do what each look does, and let time pass until all of it is told."""
    channels: dict[str, Channel] = {"pager": pager, "log": LogChannel(project.settings.alert_log)}
    watch_outbox(project, now=at)
    advance_alerts(project, now=at)
    deliver_outbox(project, clock=lambda: at, channels=channels)


def mend(project: Project, pager: Pager, at: datetime) -> None:
    """Correct the secret, and try the channel as a person does."""
    pager.refused = frozenset()
    send_test(project, "pager", by="ada", clock=lambda: at, channels={"pager": pager})


def refused_a_page(project: Project, pager: Pager) -> None:
    put(project, breach("*", NOW, model="m"))
    for n in range(3):
        tick(project, pager, NOW + n * MINUTE)
    assert pager.heard() == []


def test_what_still_goes_on_is_paged_once_when_the_channel_is_mended(project: Project, pager: Pager) -> None:
    refused_a_page(project, pager)
    put(project, breach("*", NOW, model="m"), breach("intent=b", NOW + MINUTE, model="m"))
    tick(project, pager, NOW + 30 * MINUTE)
    mend(project, pager, NOW + HOUR)
    for n in range(3):
        tick(project, pager, NOW + HOUR + n * MINUTE)

    [page] = [one for one in pager.letters if one.action is Action.TRIGGER]
    assert (page.facts.slices, page.facts.at) == (2, NOW + HOUR)
    assert page.facts.why == "pager takes messages again, and had refused one: pager: answered 403"
    put(project)
    tick(project, pager, NOW + 2 * HOUR)
    assert pager.heard() == [Action.TRIGGER, Action.RESOLVE]


def test_it_is_on_record_that_it_was_paged_again(project: Project, pager: Pager) -> None:
    refused_a_page(project, pager)
    mend(project, pager, NOW + HOUR)
    tick(project, pager, NOW + HOUR)

    with project.store.read() as session:
        [incident] = [one for one in incidents.recent(session) if one.labels["slo"] == SLO]
        told = [one for one in deliveries.of_incident(session, incident.id) if one.channel == "pager"]
    assert [one.status for one in told] == [DeliveryStatus.DEAD, DeliveryStatus.SENT]
    assert told[1].cause == f"again after {told[0].id}"


def test_what_is_over_is_not_told_again(project: Project, pager: Pager) -> None:
    refused_a_page(project, pager)
    put(project)
    tick(project, pager, NOW + 5 * MINUTE)
    mend(project, pager, NOW + HOUR)
    tick(project, pager, NOW + HOUR)

    assert pager.heard() == []


def test_what_somebody_has_is_not_told_again(project: Project, pager: Pager) -> None:
    refused_a_page(project, pager)
    with project.store.read() as session:
        standing = incidents.open_ones(session)
    for one in standing:
        respond(project, Response(Answer.ACK, one.id, "ada", "cli"), now=NOW + 4 * MINUTE)
    mend(project, pager, NOW + HOUR)
    tick(project, pager, NOW + HOUR)

    assert pager.heard() == []


def test_an_end_that_was_refused_is_told_when_the_channel_is_mended(project: Project, pager: Pager) -> None:
    pager.refused = frozenset({Action.RESOLVE})
    put(project, breach("*", NOW, model="m"))
    tick(project, pager, NOW)
    put(project)
    tick(project, pager, NOW + MINUTE)
    assert pager.heard() == [Action.TRIGGER]

    mend(project, pager, NOW + HOUR)
    for n in range(3):
        tick(project, pager, NOW + HOUR + n * MINUTE)
    assert pager.heard() == [Action.TRIGGER, Action.RESOLVE]


def test_a_message_that_is_at_fault_itself_is_tried_three_times_at_most(project: Project, pager: Pager) -> None:
    pager.refused, pager.poison = frozenset(), "bad"
    put(project, breach("*", NOW, model="bad"))
    for n in range(8):
        mend(project, pager, NOW + n * MINUTE)
        tick(project, pager, NOW + n * MINUTE + timedelta(seconds=30))

    with project.store.read() as session:
        [incident] = [one for one in incidents.recent(session) if one.labels["model"] == "bad"]
        told = [one for one in deliveries.of_incident(session, incident.id) if one.channel == "pager"]
    assert [(one.action, one.status) for one in told] == [(Action.TRIGGER, DeliveryStatus.DEAD)] * 3
