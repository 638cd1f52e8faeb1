"""Silences are durable at once, are found while they may hold, and are never forgotten."""

import signal
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta

import pytest

from calslo_dagster.alerting.matchers import Matcher
from calslo_dagster.alerting.silences import Silence, SilenceKind
from calslo_dagster.errors import StoreError
from calslo_dagster.store import silences
from calslo_dagster.store.session import Lock, Store
from calslo_dagster.store.silences import Matched
from calslo_dagster_tests.store.alert_builders import MINUTE, NOW

ONCE = Silence(
    id="",
    matchers=tuple(map(Matcher.parse, ("slo=ece_bound", 'slice=~"intent=.*🙂"', "model!=test"))),
    starts_at=NOW,
    ends_at=NOW + 60 * MINUTE,
    reason="label backfill",
    author="ann",
    created_at=NOW - MINUTE,
    ticket="OPS-1",
)
WEEKLY = Silence(
    id="",
    matchers=(),
    starts_at=NOW,
    ends_at=None,
    reason="the warehouse is rebuilt",
    author="bob",
    created_at=NOW,
    zone="Europe/Berlin",
    rrule="FREQ=WEEKLY;BYDAY=SU",
    duration=timedelta(hours=4, microseconds=1),
    kind=SilenceKind.MAINTENANCE,
    covers_emergency=True,
)
# A process of its own that adds a silence and is gone the moment it has been added.
ADD_AND_DIE = """
import os, signal, sys
from calslo_dagster.store import silences
from calslo_dagster.store.session import Lock, open_store
from calslo_dagster_tests.store.test_silences import ONCE
with open_store(sys.argv[1]).write(Lock.ALERTS) as session:
    silences.add(session, ONCE)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_silences_come_back_as_they_were_with_a_number(store: Store) -> None:
    with store.write(Lock.ALERTS) as session:
        added = [silences.add(session, one) for one in (ONCE, WEEKLY)]

    assert added == [replace(ONCE, id="1"), replace(WEEKLY, id="2")]
    with store.read() as session:
        assert silences.every(session) == tuple(added)
        assert [silences.by_id(session, number) for number in ("2", "3", "abc")] == [added[1], None, None]


def test_a_silence_is_a_candidate_from_its_start_up_to_its_end(store: Store) -> None:
    with store.write(Lock.ALERTS) as session:
        once, weekly = (silences.add(session, one) for one in (ONCE, WEEKLY))

        assert silences.active_candidates(session, NOW - MINUTE) == ()
        assert silences.active_candidates(session, NOW) == (once, weekly)
        assert silences.active_candidates(session, NOW + 60 * MINUTE) == (weekly,)
        assert silences.overlapping(session, start=NOW - MINUTE, end=NOW) == ()
        assert silences.overlapping(session, start=NOW + 59 * MINUTE, end=NOW + 61 * MINUTE) == (once, weekly)


def test_an_expired_silence_stays_on_record(store: Store) -> None:
    with store.write(Lock.ALERTS) as session:
        once = silences.add(session, ONCE)
        expired = silences.expire(session, once.id, now=NOW + MINUTE, by="carl")

        assert expired == replace(once, expired_at=NOW + MINUTE, expired_by="carl")
        assert silences.expire(session, once.id, now=NOW + 2 * MINUTE, by="dora") == expired
        assert silences.every(session) == (expired,)
        assert silences.active_candidates(session, NOW) == (expired,)
        assert silences.active_candidates(session, NOW + MINUTE) == ()


def test_a_silence_that_is_over_cannot_be_expired_and_one_that_is_not_there_is_an_error(store: Store) -> None:
    with store.write(Lock.ALERTS) as session:
        once = silences.add(session, ONCE)

        assert silences.expire(session, once.id, now=NOW + 60 * MINUTE, by="carl") == once
        with pytest.raises(StoreError, match="there is no silence 7"):
            silences.expire(session, "7", now=NOW, by="carl")


def test_what_a_silence_held_back_is_counted(store: Store) -> None:
    with store.write(Lock.ALERTS) as session:
        once, weekly = (silences.add(session, one) for one in (ONCE, WEEKLY))
        silences.count_match(session, once.id, now=NOW)
        silences.count_match(session, once.id, now=NOW + MINUTE, count=2)

        assert silences.matched(session) == {once.id: Matched(3, NOW + MINUTE), weekly.id: Matched(0, None)}


def test_a_silence_outlives_a_kill_right_after_it_was_added(store: Store, store_url: str) -> None:
    ended = subprocess.run([sys.executable, "-c", ADD_AND_DIE, store_url], check=False)

    assert ended.returncode == -signal.SIGKILL
    with store.read() as session:
        assert silences.active_candidates(session, NOW) == (replace(ONCE, id="1"),)
