"""Who is told when it gets worse, or milder and worse again, and when nobody could have answered."""

from dataclasses import replace
from datetime import timedelta

from calslo_dagster.alerting.matchers import Matcher
from calslo_dagster.alerting.model import Action, IncidentState, Policy, Severity, Signal, Step, Target
from calslo_dagster.alerting.responses import acknowledge, unacknowledge
from calslo_dagster.alerting.rules import DEFAULT_POLICY, Route, Rules
from calslo_dagster_tests.alerting.world import MINUTE, RULES, World, a_signal

HOUR = 60 * MINUTE
MILD, BAD = a_signal(severity=Severity.WARNING), a_signal(severity=Severity.CRITICAL)
WORST = a_signal(severity=Severity.EMERGENCY)
DOCUMENTED = Policy(
    DEFAULT_POLICY,
    (
        Step(channels=("team",)),
        Step(wait=5 * MINUTE, channels=("oncall",), at_least=Severity.CRITICAL),
        Step(wait=15 * MINUTE, channels=("lead",), at_least=Severity.CRITICAL),
        Step(wait=30 * MINUTE, repeat=3),
    ),
)
OFFICE = Policy("office", (Step(channels=("team",)),))


def agreed(*routes: Route, **policies: Policy) -> Rules:
    return replace(RULES, policies={DEFAULT_POLICY: DOCUMENTED, "office": OFFICE} | policies, routes=routes)


ROUTED = agreed(Route((Matcher.parse("severity=warning"),), "office"))


def pages(world: World, signal: Signal, after: timedelta) -> list[str]:
    """Return the channels that a look pages."""
    return [channel for channel, action in world.sent(world.see(signal, after=after)) if action is Action.TRIGGER]


def take_on(world: World, until: timedelta | None = None) -> None:
    draft = world.draft()
    acknowledge(draft, world.rules, world.incident, until=world.now + until if until else None)
    world.keep(draft.change)


def test_a_rise_reaches_those_whom_the_route_of_the_milder_severity_left_out() -> None:
    world = World(rules=ROUTED)
    world.see(MILD)

    assert pages(world, BAD, 10 * MINUTE) == ["team"]
    assert pages(world, BAD, 5 * MINUTE) == ["oncall"]
    began = [event for event in world.events if event.kind == "escalation began"]
    assert [(event.payload["policy"], event.payload["round"]) for event in began] == [("office", 1), ("default", 2)]


def test_a_rise_takes_the_policy_of_the_settings_as_they_are_now() -> None:
    world = World(rules=ROUTED)
    world.see(MILD)
    world.rules = agreed(default=Policy(DEFAULT_POLICY, (Step(channels=("night",)),)))

    assert pages(world, BAD, MINUTE) == ["night"]


def test_a_lost_acknowledgement_keeps_the_policy_that_it_stopped() -> None:
    world = World(rules=ROUTED)
    world.see(BAD)
    world.see(MILD, after=MINUTE)
    take_on(world, HOUR)

    assert pages(world, MILD, HOUR) == ["team"]
    take_on(world)
    draft = world.draft()
    unacknowledge(draft, world.incident)
    world.keep(draft.change)
    world.see(MILD)
    assert {one.policy for one in world.escalations.values()} == {DOCUMENTED}


def test_a_step_that_was_due_while_it_was_too_mild_is_taken_as_soon_as_it_is_not() -> None:
    world = World(rules=agreed())
    world.see(BAD)

    assert pages(world, MILD, 4 * MINUTE) == []
    assert pages(world, MILD, MINUTE) == []
    assert world.see(MILD, after=MINUTE).is_empty
    assert pages(world, BAD, 10 * MINUTE) == ["oncall"]


def test_those_behind_a_step_that_was_owed_get_the_time_that_their_waits_give() -> None:
    """Whoever is told late is not told together with those who are there in case nobody answers."""
    world = World(rules=agreed())
    world.see(BAD)
    world.see(MILD, after=4 * MINUTE)
    world.see(MILD, after=MINUTE)
    world.see(MILD, after=15 * MINUTE)

    assert pages(world, BAD, MINUTE) == ["oncall"]
    assert pages(world, BAD, 14 * MINUTE) == []
    assert pages(world, BAD, MINUTE) == ["lead"]


def test_a_step_that_was_taken_is_not_owed_after_a_dip() -> None:
    world = World(rules=agreed())
    world.see(BAD)

    assert pages(world, BAD, 5 * MINUTE) == ["oncall"]
    assert pages(world, MILD, MINUTE) == []
    assert pages(world, BAD, MINUTE) == []


def test_steps_for_all_severities_are_taken_although_one_before_them_is_owed() -> None:
    manager = Step(wait=HOUR, channels=("manager",))
    world = World(rules=agreed(default=Policy(DEFAULT_POLICY, (*DOCUMENTED.steps[:2], manager))))
    world.see(MILD)

    assert pages(world, MILD, 5 * MINUTE) == []
    assert pages(world, MILD, HOUR) == ["manager"]


def test_a_step_is_owed_to_nobody_while_somebody_has_it() -> None:
    world = World(rules=agreed())
    world.see(BAD)
    take_on(world)
    world.see(MILD, after=MINUTE)
    world.see(MILD, after=HOUR)

    assert pages(world, BAD, MINUTE) == []
    assert world.incident.state is IncidentState.ACKED


def test_a_step_for_whoever_it_may_be_is_owed_although_somebody_has_it() -> None:
    lead = Step(wait=5 * MINUTE, channels=("lead",), still=Target.FIRING, at_least=Severity.CRITICAL)
    world = World(rules=agreed(default=Policy(DEFAULT_POLICY, (Step(channels=("team",)), lead))))
    world.see(BAD)
    take_on(world)
    world.see(MILD, after=MINUTE)

    assert pages(world, MILD, 5 * MINUTE) == []
    assert pages(world, BAD, MINUTE) == ["lead"]


def test_an_acknowledgement_ends_when_it_is_worse_than_what_was_taken_on() -> None:
    world = World(rules=agreed())
    world.see(BAD)
    world.see(MILD, after=MINUTE)
    take_on(world)

    assert pages(world, BAD, HOUR) == ["team"]
    assert world.incident.state is IncidentState.FIRING
    [raised] = [event.reason for event in world.events if event.kind == "raised"]
    assert raised == "from warning to critical, which ends the acknowledgement by ada"
    assert world.incident.peak_severity is Severity.CRITICAL


def test_an_acknowledgement_of_the_worst_outlasts_a_dip() -> None:
    world = World(rules=agreed())
    world.see(WORST)
    take_on(world)
    world.see(MILD, after=MINUTE)

    assert pages(world, WORST, MINUTE) == []
    assert world.incident.acked_by == "ada"


def test_a_standstill_that_is_gone_through_takes_no_step_that_nobody_could_answer() -> None:
    world = World(rules=agreed())

    told = [order.channel for _ in range(18) for order in world.see(BAD, after=10 * MINUTE, is_past=True).orders]

    assert told == ["team"]
    assert pages(world, BAD, timedelta(0)) == ["oncall"]
    assert pages(world, BAD, 14 * MINUTE) == []
    assert pages(world, BAD, MINUTE) == ["lead"]


def test_what_was_lost_or_owed_during_a_standstill_is_told_once_at_its_end() -> None:
    world = World(rules=agreed())
    world.see(BAD)
    take_on(world, HOUR)

    assert [order for _ in range(9) for order in world.see(BAD, after=HOUR, is_past=True).orders] == []
    assert pages(world, BAD, MINUTE) == ["team"]
    assert pages(world, BAD, 5 * MINUTE) == ["oncall"]


def test_what_goes_on_is_told_again_once_for_a_standstill() -> None:
    world = World(rules=replace(agreed(), policies={DEFAULT_POLICY: OFFICE}))
    world.see(BAD)

    assert [order for _ in range(20) for order in world.see(BAD, after=HOUR, is_past=True).orders] == []
    assert world.sent(world.see(BAD)) == [("team", Action.DIGEST)]
    assert world.see(BAD, after=HOUR).is_empty
