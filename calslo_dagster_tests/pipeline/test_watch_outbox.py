"""A channel that does not take messages is noticed, and only that; what it does not take is told elsewhere, once."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from calslo_dagster.alerting.late import IN_TURN, LATE
from calslo_dagster.alerting.model import Action, DeliveryStatus
from calslo_dagster.channels.base import Channel, Failure, Letter, Receipt, Rejected, Retryable
from calslo_dagster.channels.log import LogChannel
from calslo_dagster.pipeline.advance_alerts import advance_alerts
from calslo_dagster.pipeline.deliver_outbox import Pace, deliver_outbox
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.watch_outbox import GAP, watch_outbox
from calslo_dagster.slo.windows import DAY
from calslo_dagster.store import alert_events, breaches, deliveries, incidents, troubles
from calslo_dagster.store.deliveries import Delivery
from calslo_dagster_tests.logs import HOUR, MINUTE, START
from calslo_dagster_tests.pipeline.conftest import OpenProject
from calslo_dagster_tests.torture.scenery import ALWAYS, SLO, breach

NOW = START + DAY
TICK = timedelta(seconds=10)
HOOK = "channels: {hook: {kind: webhook, url: 'http://127.0.0.1:9/'}}\n"
ROUNDS = (
    HOOK + "alerting: {policies: {default: [{notify: [hook]}, {wait: 20m, repeat: 5}]}, repeat: {emergency: none}}\n"
)
# No round waits for a rate in these tests, whose clock stands still during a round.
PACE = Pace(deadline=timedelta(seconds=0.01))


def take(_letter: Letter) -> None:
    return


@dataclass
class Hook:
    """A channel that takes letters, unless the test says otherwise."""

    name: str = "hook"
    does: Callable[[Letter], None] = take
    letters: list[Letter] = field(default_factory=list)

    async def send(self, letter: Letter) -> Receipt:
        """Take the letter, if it is to."""
        self.does(letter)
        self.letters.append(letter)
        return Receipt()


def is_down(_letter: Letter) -> None:
    raise Retryable("hook: no connection", Failure.NETWORK)


def is_locked(_letter: Letter) -> None:
    raise Rejected("hook: answered 403", Failure.AUTH)


def limited(per_minute: float) -> str:
    return HOOK.replace("webhook,", f"webhook, per_minute: {per_minute},")


@pytest.fixture
def hook() -> Hook:
    return Hook()


@pytest.fixture
def project(tmp_path: Path, open_at: OpenProject) -> Project:
    return open_at(tmp_path, extra=HOOK)


def broken(project: Project, models: int) -> None:
    found = [breach(f"intent=m{n}", NOW, model=f"m{n}") for n in range(models)]
    with project.store.write() as session:
        breaches.replace_since(session, SLO, found, since=ALWAYS)


def look(project: Project, hook: Hook, at: datetime) -> tuple[str, ...]:
    """Do what each round does; return the channels that were late before it sent anything."""
    late = watch_outbox(project, now=at)
    advance_alerts(project, now=at)
    channels: dict[str, Channel] = {"hook": hook, "log": LogChannel(project.settings.alert_log)}
    deliver_outbox(project, clock=lambda: at, channels=channels, pace=PACE)
    return late


def messages(project: Project, channel: str) -> list[Delivery]:
    with project.store.read() as session:
        found = [one for i in incidents.recent(session) for one in deliveries.of_incident(session, i.id)]
    return sorted((one for one in found if one.channel == channel), key=lambda one: one.id)


def ailing(project: Project) -> list[str]:
    with project.store.read() as session:
        return [one.component for one in troubles.open_ones(session)]


def on_record(project: Project, *kinds: str) -> list[tuple[str, str]]:
    with project.store.read() as session:
        logged = alert_events.between(session, start=ALWAYS, end=NOW + 30 * DAY)
        assert alert_events.verify(session).broken_id is None
    return [(one.event.kind, one.event.reason) for one in logged if one.event.kind in kinds]


def test_a_healthy_channel_that_is_used_as_fast_as_it_may_be_is_not_late(
    tmp_path: Path, open_at: OpenProject, hook: Hook
) -> None:
    project = open_at(tmp_path, extra=limited(30))
    broken(project, 18)

    late = [look(project, hook, NOW + n * TICK) for n in range(5)]

    assert set(late) == {()}
    assert len(hook.letters) == 18
    assert (ailing(project), messages(project, "log")) == ([], [])


def test_what_waits_for_its_turn_for_minutes_is_told_elsewhere(
    tmp_path: Path, open_at: OpenProject, hook: Hook
) -> None:
    project = open_at(tmp_path, extra=limited(0.1))
    broken(project, 3)

    late = [look(project, hook, NOW + n * MINUTE) for n in range(4)]
    assert set(late) == {()}

    assert look(project, hook, NOW + IN_TURN + TICK) == ("hook",)
    assert len([one for one in messages(project, "log") if one.cause == "instead of hook"]) == 2


def test_a_standstill_of_ours_is_not_held_against_a_channel(project: Project, hook: Hook) -> None:
    look(project, hook, NOW - TICK)
    broken(project, 1)
    advance_alerts(project, now=NOW)

    late = look(project, hook, NOW + HOUR)

    assert (late, len(hook.letters), ailing(project)) == ((), 1, [])


def test_after_a_standstill_of_ours_a_channel_is_late_once_it_has_failed(project: Project, hook: Hook) -> None:
    hook.does = is_down
    broken(project, 1)
    look(project, hook, NOW)
    back = NOW + GAP + HOUR

    late = [look(project, hook, back + n * TICK) for n in range(3)]

    assert 2 * TICK > LATE
    assert late == [(), (), ("hook",)]


def test_looks_that_are_always_far_apart_are_no_standstill(project: Project, hook: Hook) -> None:
    hook.does = is_down
    broken(project, 1)

    late = [look(project, hook, NOW + n * 5 * MINUTE) for n in range(3)]

    assert late == [(), (), ("hook",)]


def test_of_the_rounds_that_a_channel_missed_it_gets_the_last_page(
    tmp_path: Path, open_at: OpenProject, hook: Hook
) -> None:
    project, hook.does = open_at(tmp_path, extra=ROUNDS), is_down
    broken(project, 1)
    for n in range(24):
        look(project, hook, NOW + n * 5 * MINUTE)
    hook.does = take
    for n in range(4):
        look(project, hook, NOW + 2 * HOUR + n * 10 * MINUTE)

    pages = [one for one in messages(project, "hook") if one.action is Action.TRIGGER and one.facts.slo == SLO]
    *older, last = pages
    assert len(pages) == 6
    assert [letter.key for letter in hook.letters] == [last.idem_key]
    assert {(one.status, one.outcome) for one in older} == {
        (DeliveryStatus.SUPERSEDED, "a newer trigger waits behind it")
    }
    lines = on_record(project, "taken back")
    assert lines == [("taken back", "trigger to hook: a newer trigger waits behind it")] * 5
    assert [one.cause for one in messages(project, "log") if one.facts.slo == SLO] == ["instead of hook"]


def test_a_channel_that_is_no_more_leaves_neither_messages_nor_trouble(
    project: Project, hook: Hook, tmp_path: Path, open_at: OpenProject
) -> None:
    hook.does = is_down
    broken(project, 1)
    for n in range(3):
        look(project, hook, NOW + n * TICK)
    assert ailing(project) == ["delivery:hook"]
    broken(project, 2)
    advance_alerts(project, now=NOW + 25 * TICK / 10)

    renamed = open_at(tmp_path, extra=HOOK.replace("{hook", "{other"))
    for n in range(3, 6):
        look(renamed, hook, NOW + n * TICK)

    assert ailing(renamed) == []
    reason = "there is no channel hook in the settings any more"
    assert {(one.status, one.outcome) for one in messages(renamed, "hook")} == {(DeliveryStatus.SUPERSEDED, reason)}
    assert on_record(renamed, "taken back") == [("taken back", f"trigger to hook: {reason}")] * 2
    instead = [one for one in messages(renamed, "log") if one.cause == "instead of hook"]
    assert [one.status for one in instead] == [DeliveryStatus.SENT] * 2
    with renamed.store.read() as session:
        assert {one.labels["slo"] for one in incidents.open_ones(session)} == {SLO}


def test_a_page_that_nobody_sends_is_told_on_the_fall_back_after_minutes(project: Project) -> None:
    broken(project, 1)
    advance_alerts(project, now=NOW)

    late = [watch_outbox(project, now=NOW + n * MINUTE) for n in range(5)]

    assert late == [(), (), (), (), ("hook",)]
    assert [one.cause for one in messages(project, "log")] == ["instead of hook"]
