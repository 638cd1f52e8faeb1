"""What the record says of incidents, in words that fit what they are about."""

import pytest

from calslo_dagster.alerting.model import Kind
from calslo_dagster_tests.alerting.world import MINUTE, World, a_signal


@pytest.mark.parametrize(
    ("kind", "opened", "joined", "left"),
    [
        (Kind.BREACH, "1 slice is breached: ", "2 slices are breached too", "3 slices are well again"),
        (Kind.BLIND, "1 slice cannot be judged: ", "2 slices cannot be judged too", "3 slices are well again"),
        (Kind.BURN, "1 slice burns its budget: ", "2 slices burn their budgets too", "3 slices are well again"),
        (Kind.PIPELINE, "part is in trouble: ", "part is in trouble too", "part is well again"),
    ],
)
def test_each_kind_of_trouble_has_its_words(kind: Kind, opened: str, joined: str, left: str) -> None:
    world = World()
    signals = [a_signal(f"a={n}", slo="part", kind=kind) for n in range(3)]
    world.see(signals[0])
    world.see(*signals)
    world.see(after=MINUTE)

    said = {event.kind: event.reason for event in world.events}
    assert said["opened"].startswith(opened)
    assert (said["joined"], said["left"]) == (joined, left)
    assert said["resolved"] == "it is well again"
