"""What comes and goes becomes one digest, which says how often and since when."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

from calslo_dagster.alerting.incidents import flapping
from calslo_dagster.alerting.model import Action, Policy, Step
from calslo_dagster.alerting.rules import DEFAULT_POLICY
from calslo_dagster_tests.alerting.world import MINUTE, RULES, START, World, a_signal

HOUR = 60 * MINUTE
ONCE = replace(RULES, policies={DEFAULT_POLICY: Policy(DEFAULT_POLICY, (Step(channels=("slack",)),))})


def flapped(times: int) -> World:
    """Return a world in which a breach began so many times, each time for five minutes."""
    world = World(rules=ONCE)
    for n in range(times):
        world.see(a_signal(since=START + n * 10 * MINUTE, source_id=f"b{n}"), after=5 * MINUTE)
        world.see(after=5 * MINUTE)
    return world


def test_what_came_back_once_does_not_flap() -> None:
    assert flapping(flapped(2).incident, ONCE) == ""


def test_what_comes_back_again_says_how_often_since_when_and_what_ends_it() -> None:
    world = flapped(3)

    said = "it came back 2 times since 2026-03-02 12:05 UTC; it is told once, and ends when it has been well for 1 h"
    assert flapping(world.incident, ONCE) == said
    assert [event.reason for event in world.events if event.kind == "flapping"] == [said]


def test_each_return_is_counted_and_on_record_but_told_once() -> None:
    world = flapped(21)

    assert world.incident.flaps == 20
    told = Counter(order.action for order in world.orders if order.incident_id == world.incident.id)
    assert told == {Action.TRIGGER: 1}
    [last] = [event.reason for event in world.events if event.kind == "came back"][-1:]
    assert last == "1 slice is breached again; it came back 20 times"
    assert "it came back 20 times since 2026-03-02 12:05 UTC" in flapping(world.incident, ONCE)


def test_the_end_says_how_often_it_came_back_and_no_more_what_would_end_it() -> None:
    world = flapped(3)
    world.see(after=HOUR)

    assert flapping(world.incident, ONCE) == "it came back 2 times since 2026-03-02 12:05 UTC"


def test_what_comes_back_much_later_begins_to_count_anew() -> None:
    world = flapped(3)
    world.see(after=HOUR)
    world.see(a_signal(since=world.now, source_id="late"), after=2 * HOUR + timedelta(seconds=1))

    assert (world.incident.episode, world.incident.flaps, world.incident.flaps_since) == (4, 0, None)
