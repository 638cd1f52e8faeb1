"""The state of a slice comes back bit by bit, so that evidence goes on as if nothing had happened."""

import json
import zlib
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import pytest

from calslo_dagster.errors import SnapshotError
from calslo_dagster.slo.standing import Record
from calslo_dagster.slo.watch import Watch
from calslo_dagster.slo.watch_states import dumped, loaded
from calslo_dagster.stats.latch import Alarms, Latch
from calslo_dagster.stats.snapshot import Snapshot
from calslo_dagster_tests.builders import snap
from calslo_dagster_tests.slo.watched import ERROR, SHARE, START, Traffic, course, shared


def state_of_labels() -> tuple[Watch, Record]:
    found = course(ERROR, Traffic(truth=lambda at, p: np.minimum(1.0, p + 0.2 * (at > 100))).panes(120, 2))
    assert found.watch is not None
    return found.watch, found.record


def state_of_hits() -> tuple[Watch, Record]:
    found = course(SHARE, [shared(k % 7) for k in range(100)])
    assert found.watch is not None
    return replace(found.watch, limit=0.2, strangers=7), found.record


def blank() -> tuple[Watch, Record]:
    return Watch(START), Record()


def recovering() -> tuple[Watch, Record]:
    """Return a state with everything that the sums since an alarm hold, latencies among it."""
    since = snap([0.2, 0.7, 1.0], [0, 1, None], [1.0, 2.5, 1.0], [10.0, 2_000.0, 1e9], clamped=[True, False, None])
    latch = Latch().after(START, Alarms(breach=True, change=True), took=2.5)
    return Watch(START, "v1"), Record("v1", replace(latch, recovers_until=START), since, START)


@pytest.mark.parametrize("made", [state_of_labels, state_of_hits, blank, recovering])
def test_a_state_comes_back_bit_by_bit(made: Any) -> None:
    watch, record = made()
    data = dumped(watch, record)
    again, kept = loaded(data)

    assert dumped(again, kept) == data
    assert same(again) == same(watch)
    assert (kept.epoch, kept.latch, kept.begun_at) == (record.epoch, record.latch, record.begun_at)
    assert (kept.since is None) == (record.since is None)
    if kept.since is not None and record.since is not None:
        for name in ("totals", "cells", "latency"):
            np.testing.assert_array_equal(getattr(kept.since, name), getattr(record.since, name))


def same(watch: Watch) -> tuple[object, ...]:
    """Return what two watches that are alike have in common."""
    streams = [one and one.dumped() for one in (watch.breach, watch.change)]
    rest = (watch.seen, watch.epoch, watch.strangers, watch.baseline, watch.labels, watch.limit, watch.noise)
    return (*streams, *rest)


def test_evidence_goes_on_from_a_state_as_without_it() -> None:
    panes = list(Traffic().panes(60, 9))
    whole = course(ERROR, panes).watch
    first = course(ERROR, panes[:30]).watch
    assert whole is not None
    assert first is not None
    back, _ = loaded(dumped(first, Record("v1")))
    from calslo_dagster.slo.watch import Fleet, Rules, Shown, tick
    from calslo_dagster.slo.windows import STEP
    from calslo_dagster_tests.slo.watched import at

    fleet = Fleet({"*": back})
    for place, one in enumerate(panes[30:], start=30):
        fleet, _ = tick(Rules(ERROR, STEP), fleet, at(place), {"*": Shown.of(ERROR, one)})

    assert same(fleet.watches["*"]) == same(whole)


def changed(**parts: object) -> bytes:
    state = json.loads(zlib.decompress(dumped(*recovering())))
    return zlib.compress(json.dumps(state | parts).encode())


def test_an_unchanged_text_is_accepted() -> None:
    assert loaded(changed())[0].seen == START


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no zlib",
        zlib.compress(b"no json"),
        zlib.compress(b"{}"),
        zlib.compress(b"[]"),
        changed(format=0),
        changed(format=2),
        changed(seen="yesterday"),
        changed(breach=["bets", "{}"]),
        changed(breach=["rate", "{}"]),
        changed(record={"epoch": ""}),
    ],
)
def test_a_state_of_another_making_is_refused(data: bytes) -> None:
    with pytest.raises(SnapshotError, match="start it afresh"):
        loaded(data)


def test_times_come_back_with_their_zone() -> None:
    watch, record = loaded(dumped(*recovering()))

    assert watch.seen.tzinfo is not None
    assert isinstance(record.latch.breached_since, datetime)
    assert record.latch.breached_since == START


def test_nothing_since_an_alarm_is_not_the_same_as_no_alarm() -> None:
    _, record = loaded(dumped(Watch(START), Record(since=Snapshot(), begun_at=START)))

    assert record.since is not None
    assert record.since.events == 0
