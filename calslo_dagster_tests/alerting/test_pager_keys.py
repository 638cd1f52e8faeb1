"""An episode has one incident at PagerDuty at a time, and what is told anew wakes people anew."""

import pytest

from calslo_dagster.alerting.model import Action, Incident
from calslo_dagster.alerting.pager_keys import MOST_OPEN, Event, events, key_of, triggered, without_page
from calslo_dagster_tests.alerting.world import World, a_signal


def incident() -> Incident:
    world = World()
    world.see(a_signal())
    return world.incident


@pytest.mark.parametrize(
    ("action", "page", "known", "told"),
    [
        (Action.TRIGGER, 1, 0, ["trigger k"]),
        (Action.TRIGGER, 1, 1, ["trigger k"]),
        (Action.TRIGGER, 2, 1, ["resolve k", "trigger k.2"]),
        (Action.TRIGGER, 2, 2, ["trigger k.2"]),
        (Action.TRIGGER, 3, 0, ["resolve k", "resolve k.2", "trigger k.3"]),
        (Action.UPDATE, 1, 0, ["trigger k"]),
        (Action.UPDATE, 2, 0, ["resolve k", "trigger k.2"]),
        (Action.UPDATE, 2, 1, []),
        (Action.ACK, 1, 1, ["acknowledge k"]),
        (Action.ACK, 3, 2, ["acknowledge k.2", "acknowledge k.3"]),
        (Action.RESOLVE, 1, 1, ["resolve k"]),
        (Action.RESOLVE, 3, 3, ["resolve k", "resolve k.2", "resolve k.3"]),
        (Action.DIGEST, 2, 1, []),
    ],
)
def test_each_message_has_its_events(action: Action, page: int, known: int, told: list[str]) -> None:
    assert [f"{event} {key}" for event, key in events(action, "k", page=page, known=known)] == told


def test_however_often_people_have_to_be_woken_a_message_is_few_events() -> None:
    for action in Action:
        for known in (0, 1, 99):
            assert len(list(events(action, "k", page=100, known=known))) <= MOST_OPEN


@pytest.mark.parametrize(
    ("action", "page", "known", "then"),
    [
        (Action.TRIGGER, 2, 1, 2),
        (Action.UPDATE, 2, 0, 2),
        (Action.UPDATE, 2, 1, 1),
        (Action.ACK, 2, 1, 1),
        (Action.ACK, 2, 0, 0),
    ],
)
def test_only_what_triggers_makes_a_page_known(action: Action, page: int, known: int, then: int) -> None:
    assert triggered(action, page=page, known=known) == then


def test_the_keys_of_all_pages_fit_and_lead_back_to_the_episode() -> None:
    key = incident().dedup_key

    assert key_of(key, 1) == key
    assert without_page(key_of(key, 12)) == key
    assert len(key_of(key, 10**6)) <= 255
    assert (Event.TRIGGER, key_of(key, 2)) in set(events(Action.TRIGGER, key, page=2, known=1))
