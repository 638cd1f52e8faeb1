"""How every channel is, in one look."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from calslo_dagster.alerting.breaker import Phase, Terms
from calslo_dagster.pipeline.advance_alerts import advance_alerts
from calslo_dagster.pipeline.survey_channels import ChannelReport, survey_channels
from calslo_dagster.store import channel_states
from calslo_dagster.store.session import Lock
from calslo_dagster_tests.pipeline.incident_room import MINUTE, NOON, Room, room_at

CHANNELS = """\
  hook: {kind: webhook, url: "http://127.0.0.1:9/x"}
  locked: {kind: webhook, url: "env:NOWHERE"}
"""


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    found = room_at(tmp_path, channels=CHANNELS, alerting="  policies: {default: [{notify: [hook, log]}]}\n")
    with found.project.store:
        yield found


def survey(room: Room) -> dict[str, ChannelReport]:
    return {one.name: one for one in survey_channels(room.project, now=NOON)}


def test_a_channel_that_was_never_used_is_there_all_the_same(room: Room) -> None:
    found = survey(room)

    assert list(found) == ["log", "hook", "locked"]
    assert found["log"] == ChannelReport("log", "log")
    assert found["hook"].kind == "webhook"
    assert "env:NOWHERE" in found["locked"].note


def test_what_waits_is_counted_with_the_oldest(room: Room) -> None:
    room.breach("intent=buy")
    advance_alerts(room.project, now=NOON)
    room.breach("intent=buy", slo="p99_latency")
    advance_alerts(room.project, now=NOON + MINUTE)

    assert (survey(room)["hook"].backlog, survey(room)["hook"].oldest_due_at) == (2, NOON)


def test_successes_failures_rests_and_pauses_are_told(room: Room) -> None:
    room.breach("intent=buy")
    room.look()
    with room.project.store.write(Lock.NONE) as session:
        channel_states.failed(session, "hook", token="t", now=NOON, terms=Terms(failures=2), failure="network")
        channel_states.pause(session, "log", until=NOON + MINUTE)
    found = survey(room)

    assert (found["log"].ok_at, found["log"].paused_until) == (NOON, NOON + MINUTE)
    assert (found["hook"].breaker, found["hook"].failure, found["hook"].failed_at) == (Phase.OPEN, "network", NOON)
    assert found["hook"].rests_until == NOON + timedelta(seconds=30)


def test_a_channel_that_left_the_settings_is_told_while_something_waits_for_it(tmp_path: Path) -> None:
    room = room_at(tmp_path, channels=CHANNELS, alerting="  policies: {default: [{notify: [hook]}]}\n")
    room.breach("intent=buy")
    advance_alerts(room.project, now=NOON)
    room.project.store.close()
    without = room_at(tmp_path, alerting="")
    with without.project.store:
        assert survey(without)["hook"] == ChannelReport("hook", "", backlog=1, oldest_due_at=NOON)
