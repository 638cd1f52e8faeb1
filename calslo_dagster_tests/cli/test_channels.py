"""`calslo channels` shows how each channel is."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from calslo_dagster_tests.cli.running import run
from calslo_dagster_tests.pipeline.incident_room import Room, room_at

CHANNELS = """\
  hook: {kind: webhook, url: "http://127.0.0.1:9/x"}
  locked: {kind: slack, webhook_url: "env:NOWHERE"}
"""


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    found = room_at(tmp_path, channels=CHANNELS, alerting="  policies: {default: [{notify: [hook, log]}]}\n")
    with found.project.store:
        yield found


def test_each_has_its_state_and_what_waits_for_it(room: Room) -> None:
    now = datetime.now(UTC)
    room.breach("intent=buy", since=now)
    room.look(now)

    done = run("channels")
    by_name = {one["name"]: one for one in json.loads(run("channels", "--format", "json").stdout)}

    assert done.exit_code == 0
    assert [line.split()[:3] for line in done.stdout.splitlines()[2:]] == [
        ["log", "log", "closed"],
        ["hook", "webhook", "closed"],
        ["locked", "slack", "closed"],
    ]
    assert (by_name["hook"]["failure"], by_name["hook"]["backlog"]) == ("network", 1)
    assert by_name["hook"]["oldest_due_at"] == now.isoformat()
    assert (by_name["log"]["ok_at"], by_name["log"]["backlog"]) == (now.isoformat(), 0)
    assert "env:NOWHERE" in by_name["locked"]["note"]
