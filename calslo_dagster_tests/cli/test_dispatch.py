"""`calslo dispatch` decides and sends by itself, beside others, and ends when it is told to."""

import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from calslo_dagster.alerting.model import DeliveryStatus
from calslo_dagster.store import deliveries, incidents
from calslo_dagster.store.deliveries import Delivery
from calslo_dagster_tests.cli.running import CALSLO, clean_environ, run
from calslo_dagster_tests.peers.running import Peer, running_peer
from calslo_dagster_tests.pipeline.incident_room import Room, room_at

PATIENCE_SECONDS = 60
SLOS = ("ece_bound", "p99_latency", "clamp_activation", "merged_bins", "score_range")


@pytest.fixture(scope="module")
def running() -> Iterator[Peer]:
    with running_peer() as found:
        yield found


@pytest.fixture
def peer(running: Peer) -> Peer:
    running.start_over()
    return running


def a_room(folder: Path, peer: Peer, store_url: str = "") -> Room:
    """Return a room whose alerts go to the webhook of the peer, several things being wrong in it."""
    (folder / "hook").write_text(peer.webhook)
    room = room_at(
        folder,
        channels='  hook: {kind: webhook, url: "file:hook"}\n',
        alerting="  mutes: []\n  policies: {default: [{notify: [hook]}]}\n",
        store_url=store_url,
    )
    for slo in SLOS:
        room.breach("*", slo=slo, since=datetime.now(UTC))
    return room


@contextmanager
def dispatching(*arguments: str) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-c", CALSLO, "dispatch", "--forever", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, env=clean_environ(), **pipes) as process:  # type: ignore[call-overload]  # PIPE is an int
        try:
            yield process
        finally:
            process.kill()


def messages(room: Room) -> list[Delivery]:
    with room.project.store.read() as session:
        return [one for i in incidents.recent(session) for one in deliveries.of_incident(session, i.id)]


def statuses(room: Room) -> list[str]:
    return [str(one.status) for one in messages(room)]


def wait_for(room: Room, status: DeliveryStatus, count: int) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while statuses(room).count(status) < count:
        assert time.monotonic() < until, [(one.status, one.attempts, one.outcome) for one in messages(room)]
        time.sleep(0.05)


def test_one_round_sends_what_is_due_and_says_so(tmp_path: Path, peer: Peer) -> None:
    room = a_room(tmp_path, peer)
    with room.project.store:
        done = run("dispatch")
        again = run("dispatch")

        assert done.exit_code == 0
        assert done.stdout.endswith(" 5 messages ordered; 5 sent\n")
        assert (again.exit_code, again.stdout) == (0, "")
        assert statuses(room) == ["sent"] * 5
    assert sorted(peer.received().values()) == [1] * 5


def test_a_signal_ends_it_after_what_is_being_sent(tmp_path: Path, peer: Peer) -> None:
    """A message hangs when it comes; the next one is not begun any more."""
    room = a_room(tmp_path, peer)
    peer.behave("hang", "/webhook")
    with room.project.store, dispatching("--every", "1h") as process:
        wait_for(room, DeliveryStatus.SENDING, 1)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=PATIENCE_SECONDS)

        assert process.returncode == 0
        assert said.endswith("calslo: stopped\n")
        assert sorted(one.attempts for one in messages(room)) == [0, 0, 0, 0, 1]
        # What was on its way has its end on record, so nobody has to wait for a lease.
        assert statuses(room) == ["pending"] * 5


def test_a_signal_ends_its_sleep(tmp_path: Path, peer: Peer) -> None:
    room = a_room(tmp_path, peer)
    with room.project.store, dispatching("--every", "1h") as process:
        wait_for(room, DeliveryStatus.SENT, 5)
        process.send_signal(signal.SIGINT)
        done, said = process.communicate(timeout=PATIENCE_SECONDS)

        assert process.returncode == 0
        assert done.endswith(" 5 messages ordered; 5 sent\n")
        assert said == "calslo: dispatching every 3600 s, end with Ctrl-C\ncalslo: stopped\n"


def test_two_beside_each_other_send_each_message_once(tmp_path: Path, peer: Peer, postgresql_database: str) -> None:
    room = a_room(tmp_path, peer, postgresql_database)
    peer.behave("jitter", "/webhook")
    with room.project.store, dispatching("--every", "1s"), dispatching("--every", "1s"):
        wait_for(room, DeliveryStatus.SENT, 5)

        assert statuses(room) == ["sent"] * 5
    assert sorted(peer.received().values()) == [1] * 5


def test_a_round_that_fails_is_told_and_the_next_one_goes_on(tmp_path: Path, peer: Peer) -> None:
    room = a_room(tmp_path, peer)
    database = sqlite3.connect(tmp_path / "state" / "calslo.db", isolation_level=None, timeout=PATIENCE_SECONDS)
    database.execute("ALTER TABLE breaches RENAME TO elsewhere")
    with room.project.store, dispatching("--every", "1s") as process:
        assert process.stderr is not None
        process.stderr.readline()
        said = process.stderr.readline()
        database.execute("ALTER TABLE elsewhere RENAME TO breaches")
        database.close()
        wait_for(room, DeliveryStatus.SENT, 5)

    assert "this round failed: " in said
    assert "no such table: breaches" in said
    assert "Traceback" not in said
