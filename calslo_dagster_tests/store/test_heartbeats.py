"""A part of ours that misses its beat is noticed."""

from calslo_dagster.store import heartbeats
from calslo_dagster.store.heartbeats import Heartbeat
from calslo_dagster.store.session import Store
from calslo_dagster_tests.store.alert_builders import MINUTE, NOW


def test_a_component_is_late_after_its_interval(store: Store) -> None:
    with store.write() as session:
        heartbeats.beat(session, "sensor", now=NOW, every=MINUTE)
        heartbeats.beat(session, "dispatcher", now=NOW, every=5 * MINUTE)
        sensor, dispatcher = Heartbeat("sensor", NOW, MINUTE), Heartbeat("dispatcher", NOW, 5 * MINUTE)

        assert heartbeats.every(session) == (dispatcher, sensor)
        assert heartbeats.late(session, NOW + MINUTE) == ()
        assert heartbeats.late(session, NOW + 2 * MINUTE) == (sensor,)

        heartbeats.beat(session, "sensor", now=NOW + 2 * MINUTE, every=MINUTE)
        assert heartbeats.late(session, NOW + 2 * MINUTE) == ()
        heartbeats.forget(session, "dispatcher")
        assert heartbeats.every(session) == (Heartbeat("sensor", NOW + 2 * MINUTE, MINUTE),)


def test_a_beat_never_goes_back(store: Store) -> None:
    with store.write() as session:
        heartbeats.beat(session, "sensor", now=NOW, every=MINUTE)
        heartbeats.beat(session, "sensor", now=NOW - MINUTE, every=5 * MINUTE)

        assert heartbeats.every(session) == (Heartbeat("sensor", NOW, MINUTE),)
