"""One round of the dispatcher: who is sent to when, and what a fault in one message does to the others."""

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from calslo_dagster.alerting.model import Action, DeliveryStatus
from calslo_dagster.alerting.rate import Rate
from calslo_dagster.channels.base import Letter, Receipt, Retryable
from calslo_dagster.pipeline.advance_alerts import advance_alerts
from calslo_dagster.pipeline.deliver_outbox import Dispatcher, Pace, Tally, deliver_outbox
from calslo_dagster.pipeline.project import Project
from calslo_dagster.slo.windows import DAY
from calslo_dagster.store import breaches, channel_states, deliveries, incidents
from calslo_dagster.store.deliveries import Delivery
from calslo_dagster_tests.logs import HOUR, MINUTE, START
from calslo_dagster_tests.pipeline.conftest import OpenProject
from calslo_dagster_tests.torture.scenery import ALWAYS, SLO, breach

NOW = START + DAY
SECOND = timedelta(seconds=1)
CHANNELS = """
channels:
  chat: {kind: webhook, url: "http://127.0.0.1:9/"}
  pager: {kind: webhook, url: "http://127.0.0.1:9/"}
"""


@pytest.fixture
def paged(tmp_path: Path, open_at: OpenProject) -> Project:
    """Return a project with one incident, of which two channels are to be told."""
    project = open_at(tmp_path, extra=CHANNELS)
    broken(project, 1)
    return project


def broken(project: Project, models: int) -> None:
    """Let so many models be broken, and order what follows."""
    found = [breach(f"intent=m{n}", NOW, model=f"m{n}") for n in range(models)]
    with project.store.write() as session:
        breaches.replace_since(session, SLO, found, since=ALWAYS)
    advance_alerts(project, now=NOW)


async def take(_letter: Letter) -> Receipt:
    return Receipt()


@dataclass
class Receiver:
    """A channel that does with letters what the test says; `busy` holds the letters on their way, `most` how many."""

    name: str
    does: Callable[[Letter], object] = take
    busy: list[Letter] = field(default_factory=list)
    most: int = 0

    async def send(self, letter: Letter) -> Receipt:
        self.busy.append(letter)
        self.most = max(self.most, len(self.busy))
        try:
            found = self.does(letter)
            return await found if asyncio.iscoroutine(found) else Receipt()
        finally:
            self.busy.remove(letter)


def lasting(seconds: float) -> Callable[[Letter], object]:
    async def done(_letter: Letter) -> Receipt:
        await asyncio.sleep(seconds)
        return Receipt()

    return done


def messages(project: Project) -> list[Delivery]:
    with project.store.read() as session:
        found = [one for i in incidents.recent(session) for one in deliveries.of_incident(session, i.id)]
    return sorted(found, key=lambda one: one.id)


def statuses(project: Project, channel: str) -> list[DeliveryStatus]:
    return [one.status for one in messages(project) if one.channel == channel]


def test_messages_go_out_one_after_the_other_while_all_is_well(paged: Project) -> None:
    broken(paged, 4)
    busy: list[Letter] = []
    channels = [Receiver(name, lasting(0.01), busy) for name in ("chat", "pager")]

    tally = deliver_outbox(paged, clock=lambda: NOW, channels={one.name: one for one in channels})

    assert tally == Tally(sent=8)
    assert max(one.most for one in channels) == 1


def test_a_channel_that_hangs_ends_its_part_in_the_round(paged: Project) -> None:
    broken(paged, 4)
    channels = {"chat": Receiver("chat", lasting(60)), "pager": Receiver("pager")}

    began = time.monotonic()
    pace = Pace(deadline=1.5 * SECOND)
    tally = deliver_outbox(paged, clock=lambda: NOW, channels=channels, pace=pace)

    assert (tally.sent, tally.failed) == (4, 1)
    assert time.monotonic() - began < 1.5 + 2
    assert statuses(paged, "pager").count(DeliveryStatus.SENT) == 4


def test_an_answer_is_seen_in_time_although_the_database_is_busy(paged: Project) -> None:
    held = threading.Event()

    def occupy() -> None:
        with paged.store.write():
            held.set()
            time.sleep(2)

    def occupied(_letter: Letter) -> None:
        threading.Thread(target=occupy).start()
        held.wait()

    channels = {"chat": Receiver("chat", lasting(1.5)), "pager": Receiver("pager", occupied)}
    pace = Pace(deadline=2 * SECOND)

    assert deliver_outbox(paged, clock=lambda: NOW, channels=channels, pace=pace) == Tally(sent=2)


def test_a_message_that_cannot_be_noted_cuts_no_other_short(paged: Project) -> None:
    async def nonsense(_letter: Letter) -> Receipt:
        return Receipt({"ts": object()})  # type: ignore[dict-item]  # what no database can keep

    channels = {"chat": Receiver("chat", lasting(1.5)), "pager": Receiver("pager", nonsense)}

    with pytest.raises(Exception, match="not JSON serializable"):
        deliver_outbox(paged, clock=lambda: NOW, channels=channels)

    assert statuses(paged, "chat") == [DeliveryStatus.SENT]
    assert statuses(paged, "pager") == [DeliveryStatus.SENDING]


def test_an_end_follows_a_page_whose_channel_broke_down_over_it(paged: Project) -> None:
    told: list[Action] = []

    def breaks(letter: Letter) -> None:
        told.append(letter.action)
        if letter.action is Action.TRIGGER:
            raise KeyError("ts")

    channels = {"chat": Receiver("chat"), "pager": Receiver("pager", breaks)}
    assert deliver_outbox(paged, clock=lambda: NOW, channels=channels) == Tally(sent=1, dead=1)
    broken(paged, 0)
    with suppress(KeyError):
        deliver_outbox(paged, clock=lambda: NOW + MINUTE, channels=channels)

    assert told == [Action.TRIGGER, Action.RESOLVE]


def test_what_was_reached_by_a_failed_attempt_is_known_to_the_next(paged: Project) -> None:
    seen: list[object] = []

    def partly(letter: Letter) -> None:
        seen.append(dict(letter.ref))
        if not letter.ref:
            raise Retryable("one of two", ref={"reached": "ada"})

    channels = {"chat": Receiver("chat"), "pager": Receiver("pager", partly)}
    for at in (NOW, NOW + MINUTE):
        deliver_outbox(paged, clock=lambda at=at: at, channels=channels)  # type: ignore[misc]  # bound now

    assert seen == [{}, {"reached": "ada"}]


def moving() -> Callable[[], datetime]:
    """Return a clock that shows an instant of the test and goes on from there."""
    began = time.monotonic()
    return lambda: NOW + timedelta(seconds=time.monotonic() - began)


def limited(project: Project, channel: str, rate: Rate, **does: Any) -> Tally:
    """Send what waits for the channel, which may be used so fast."""
    with project.store.write() as session:
        channel_states.set_rate(session, channel, rate)
    return Dispatcher(project, {channel: Receiver(channel)}, **does).run(only=channel)


def test_a_round_waits_for_the_rate_of_a_channel(paged: Project) -> None:
    broken(paged, 4)

    assert limited(paged, "chat", Rate(0.3 * SECOND, burst=2), clock=moving()) == Tally(sent=4)


def test_a_round_waits_neither_for_a_rate_that_takes_too_long_nor_once_it_is_to_stop(paged: Project) -> None:
    broken(paged, 3)
    began = time.monotonic()

    assert limited(paged, "chat", Rate(HOUR), clock=moving()) == Tally(sent=1)
    stop = threading.Event()
    timer = threading.Timer(0.5, stop.set)
    timer.start()
    assert limited(paged, "pager", Rate(6 * SECOND), clock=moving(), stop=stop.is_set) == Tally(sent=1)

    timer.join()
    assert time.monotonic() - began < 6


def test_a_round_whose_clock_stands_still_waits_once_and_ends(paged: Project) -> None:
    broken(paged, 3)

    assert limited(paged, "chat", Rate(0.1 * SECOND), clock=lambda: NOW) == Tally(sent=1)


def test_whoever_has_little_left_of_the_lease_gives_the_message_back_unsent(paged: Project) -> None:
    """Somebody else may take it soon, and what is sent beside them could arrive after the end."""
    sent: list[Letter] = []
    channels = {name: Receiver(name, sent.append) for name in ("chat", "pager")}
    looks = count(1)
    pace = Pace(lease=10 * SECOND, margin=10 * SECOND)

    deliver_outbox(paged, clock=lambda: NOW, channels=channels, stop=lambda: next(looks) > 4, pace=pace)

    assert sent == []
    states = {(one.status, one.attempts, one.ambiguous) for one in messages(paged)}
    assert states == {(DeliveryStatus.PENDING, 0, False)}
