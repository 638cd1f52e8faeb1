"""Evidence goes on from the last checkpoint before what has changed."""

from datetime import timedelta

from calslo_dagster.store import detector_states
from calslo_dagster.store.detector_states import Checkpoint
from calslo_dagster.store.session import Store
from calslo_dagster_tests.store.alert_builders import NOW

HOUR = timedelta(hours=1)


def checkpoint(hours: int, slo: str = "error", **slices: bytes) -> Checkpoint:
    return Checkpoint(slo, NOW + hours * HOUR, f"digest {hours}", b"fleet\0", slices)


FIRST, SECOND = checkpoint(1, a=b"\0\xff", b=b""), checkpoint(3, a=b"later")


def test_the_last_checkpoint_at_or_before_an_instant_is_found(store: Store) -> None:
    with store.write() as session:
        detector_states.put(session, SECOND)
        detector_states.put(session, FIRST)
        detector_states.put(session, checkpoint(2, "other", z=b"z"))

        assert detector_states.last(session, "error", until=NOW) is None
        assert detector_states.last(session, "error", until=NOW + HOUR) == FIRST
        assert detector_states.last(session, "error", until=NOW + 2.9 * HOUR) == FIRST
        assert detector_states.last(session, "error", until=NOW + 9 * HOUR) == SECOND
        assert detector_states.ends(session, "error") == (FIRST.window_end, SECOND.window_end)


def test_a_checkpoint_takes_the_place_of_one_at_the_same_end(store: Store) -> None:
    with store.write() as session:
        detector_states.put(session, FIRST)
        detector_states.put(session, checkpoint(1, c=b"other slices"))

        assert detector_states.last(session, "error", until=NOW + HOUR) == checkpoint(1, c=b"other slices")


def test_a_fleet_without_slices_is_a_checkpoint(store: Store) -> None:
    with store.write() as session:
        detector_states.put(session, checkpoint(1))

        assert detector_states.last(session, "error", until=NOW + HOUR) == checkpoint(1)


def test_what_rests_on_something_that_changed_is_forgotten(store: Store) -> None:
    other = checkpoint(5, "other", z=b"z")
    with store.write() as session:
        for one in (FIRST, SECOND, other):
            detector_states.put(session, one)
        detector_states.forget_between(session, "error", start=FIRST.window_end, end=other.window_end)

        assert detector_states.ends(session, "error") == (FIRST.window_end,)
        detector_states.forget(session, "error", [FIRST.window_end, other.window_end])
        assert detector_states.last(session, "error", until=NOW + 9 * HOUR) is None
        assert detector_states.last(session, "other", until=NOW + 9 * HOUR) == other
