"""A model check of the life of incidents: what must hold does, whatever happens, and only with all of the rules."""

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from calslo_dagster.alerting.model import Action, Incident, Severity
from calslo_dagster_tests.alerting import model_deeds as deeds
from calslo_dagster_tests.alerting.model_deeds import Make
from calslo_dagster_tests.alerting.model_faults import FAULTS, PRODUCT, Fault, WithoutEnd, with_outbox
from calslo_dagster_tests.alerting.model_ledger import ViolationError
from calslo_dagster_tests.alerting.model_life import Life, throw
from calslo_dagster_tests.alerting.model_rise_faults import RISE_FAULTS
from calslo_dagster_tests.alerting.model_truth import SUBJECTS
from calslo_dagster_tests.alerting.model_world import Luck, ModelWorld
from calslo_dagster_tests.alerting.world import MINUTE

SCHEDULES = 1_000
# Thirty times as many as any of them needs to be found: what changes elsewhere moves them a little.
PATIENCE = 2_000


def test_whatever_happens_in_whatever_order_what_must_hold_does() -> None:
    every = list(HealthCheck)
    calm = settings(max_examples=300, stateful_step_count=50, derandomize=True, database=None, deadline=None)
    run_state_machine_as_test(Life, settings=settings(calm, phases=[Phase.generate], suppress_health_check=every))


def test_what_must_hold_does_in_a_thousand_schedules() -> None:
    found = {seed: violation for seed in range(SCHEDULES) if (violation := throw(seed))}

    assert found == {}


def _world_in_which_the_page_was_lost() -> tuple[ModelWorld, Incident]:
    """Return a world in which PagerDuty has been told who has the incident, but never of the incident."""
    world = ModelWorld(deeds.AGREEMENTS[1])
    world.truth.begin(SUBJECTS[2], Severity.WARNING, world.now, pending=False)
    world.look()
    world.wait(MINUTE)
    world.look()
    world.attempt("pager", Luck.DIES_BEFORE)
    (incident,) = world.incidents.values()
    world.acknowledge(incident, "ada", until=None)
    world.wait(MINUTE)
    world.dispatch()
    return world, world.incidents[incident.group_key]


def test_an_update_waits_for_the_end_of_a_silence_as_it_may_page() -> None:
    world, incident = _world_in_which_the_page_was_lost()
    deeds.silence(world, "slo=~.+", begin=world.now)
    world.unacknowledge(incident, "ada")

    world.dispatch()

    assert world.pager.open == set()
    world.finish()


def test_an_update_that_is_no_page_would_page_under_a_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{PRODUCT}.late.PAGES", frozenset({Action.TRIGGER, Action.DIGEST}))
    world, incident = _world_in_which_the_page_was_lost()
    deeds.silence(world, "slo=~.+", begin=world.now)
    world.unacknowledge(incident, "ada")

    with pytest.raises(ViolationError, match="no page under a silence or a mute"):
        world.dispatch()


def _world_in_which_an_update_is_left_behind(make: Make) -> ModelWorld:
    """Return a world in which whoever was to tell Slack that nobody has the incident died of it a day ago."""
    world = make(deeds.AGREEMENTS[1])
    world.truth.begin(SUBJECTS[2], Severity.WARNING, world.now, pending=False)
    world.look()
    world.wait(MINUTE)
    world.look()
    world.dispatch()
    (incident,) = world.incidents.values()
    world.acknowledge(incident, "ada", until=None)
    world.dispatch()
    world.unacknowledge(world.incidents[incident.group_key], "ada")
    world.attempt("slack", Luck.DIES_BEFORE)
    world.wait(25 * deeds.HOUR)
    return world


def test_an_update_that_it_is_too_late_for_holds_up_nobody() -> None:
    _world_in_which_an_update_is_left_behind(ModelWorld).finish()


def test_an_update_that_is_never_given_up_would_hold_up_all_behind_it() -> None:
    world = _world_in_which_an_update_is_left_behind(with_outbox(WithoutEnd))

    with pytest.raises(ViolationError, match="whoever is to be told is told in the end"):
        world.finish()


@pytest.mark.parametrize("fault", [*FAULTS, *RISE_FAULTS], ids=lambda fault: fault.rule)
def test_without_this_rule_something_that_must_hold_does_not(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    for target, instead in fault.broken.items():
        monkeypatch.setattr(target, instead)

    found = (throw(seed, fault.make, often=fault.often) for seed in range(PATIENCE))
    first = next((violation for violation in found if violation), None)

    assert first is not None
    assert first.invariant in fault.shows
