"""Whoever is killed, whenever: nothing is lost, nobody is paged twice, and what is over is over everywhere."""

import logging
import os
import random
import time
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from calslo_dagster.pipeline.project import Project
from calslo_dagster.store import deliveries
from calslo_dagster_tests.peers.running import Peer, running_peer
from calslo_dagster_tests.torture import actors
from calslo_dagster_tests.torture.nursery import running_nursery
from calslo_dagster_tests.torture.reckoning import Reckoning
from calslo_dagster_tests.torture.torment import DISPATCHER, PRODUCER, Crew, Toll

logger = logging.getLogger(__name__)
# On both databases together; `make torture` asks for a thousand.
KILLS = int(os.environ.get("CALSLO_KILLS", "200"))
PAUSES = KILLS // 10
DRAIN_SECONDS = 60
LONG = timedelta(seconds=20)


@pytest.mark.timeout(120 + KILLS * 2)
def test_one_dispatcher_on_sqlite_survives_being_killed(tmp_path: Path) -> None:
    survive(tmp_path, f"sqlite:///{tmp_path / 'calslo.db'}", dispatchers=1, seed=1)


@pytest.mark.timeout(120 + KILLS * 2)
def test_four_dispatchers_on_postgresql_survive_being_killed(tmp_path: Path, postgresql_database: str) -> None:
    survive(tmp_path, postgresql_database, dispatchers=4, seed=2)


def survive(folder: Path, store_url: str, *, dispatchers: int, seed: int) -> None:
    """Let a crew work and suffer, then rest until all is told, and compare the books."""
    with running_peer() as peer:
        peer.behave("jitter")
        settings = actors.write_settings(folder, peer)
        project = actors.open_at(settings, store_url, migrate=True)
        with project.store, running_nursery(settings, store_url) as nursery:
            crew = Crew(nursery, (PRODUCER, *[DISPATCHER] * dispatchers), random.Random(seed), peer.journal_file)
            crew.start()
            began = time.monotonic()
            toll = crew.torment(KILLS // 2, PAUSES // 2)
            crew.retire(PRODUCER)
            suffered = time.monotonic() - began
            actors.mend_all(project)
            actors.look(project)
            drain(project)
            complaints = nursery.complaints.read_text(encoding="utf-8")
        found = Reckoning.of(project, peer)
        judge(found, peer, toll)
        logger.info("%s", told(found, toll, suffered, time.monotonic() - began))
        project.store.close()
    assert complaints == ""
    assert left_behind(folder) == []


def drain(project: Project) -> None:
    """Wait until nothing is to be sent any more, the echoes of ends included."""
    last = time.monotonic() + DRAIN_SECONDS
    waiting = None
    while time.monotonic() < last:
        with project.store.read() as session:
            waiting = deliveries.backlog(session)
        if not waiting:
            return
        time.sleep(0.1)
    pytest.fail(f"still to be sent after {DRAIN_SECONDS} s: {waiting}")


def judge(found: Reckoning, peer: Peer, toll: Toll) -> None:
    """Hold what was found to what is promised."""
    assert toll.total == KILLS // 2
    assert list(found.lost()) == []
    assert list(found.left_open()) == []
    assert found.doubled() == []
    assert list(found.hasty()) == []
    assert list(found.unpaged(LONG, actors.utc_now())) == []
    assert list(found.unexplained()) == []
    assert found.repeats().total() <= toll.kills[DISPATCHER] + toll.pauses + found.ambiguous()
    assert found.sound
    assert peer.violations() == []


def told(found: Reckoning, toll: Toll, suffered: float, lasted: float) -> str:
    """Return the figures of the run."""
    repeats, kills = found.repeats(), toll.kills
    lines = (
        f"{toll.total} kills ({kills[PRODUCER]} producer, {kills[DISPATCHER]} dispatcher), {toll.pauses} pauses",
        f"{suffered:.0f} s, {lasted:.0f} s with draining",
        f"{len(found.incidents)} incidents, {len(found.pagers)} at PagerDuty",
        f"{len(found.messages)} messages, {found.arrivals.total()} arrivals",
        f"{repeats.total()} repeats, of one message at most {max(repeats.values(), default=0)}",
        f"{found.ambiguous()} without an answer, {found.ghosts()} reopened and closed again",
    )
    return "; ".join(lines)


def left_behind(folder: Path) -> list[str]:
    """Return the processes that still know of the folder."""
    lines = [" ".join(one.info["cmdline"] or []) for one in psutil.process_iter(["cmdline"])]
    return [line for line in lines if str(folder) in line and "pytest" not in line]
