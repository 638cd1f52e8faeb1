"""The life of an alert: what is told when, once, and why not."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from calslo_dagster.alerting.late import Candidate, Fate, ruling
from calslo_dagster.alerting.lifecycle import advance
from calslo_dagster.alerting.matchers import Matcher
from calslo_dagster.alerting.model import (
    Action,
    AlertState,
    EscalationState,
    IncidentState,
    Policy,
    Severity,
    Step,
    Target,
    Told,
)
from calslo_dagster.alerting.responses import acknowledge, close, unacknowledge
from calslo_dagster.alerting.rules import DEFAULT_POLICY
from calslo_dagster.alerting.silences import Silence
from calslo_dagster.alerting.suppression import Suppression
from calslo_dagster_tests.alerting.world import MINUTE, RULES, START, World, a_mute, a_signal

HOUR = 60 * MINUTE
ONCE = replace(RULES, policies={DEFAULT_POLICY: Policy(DEFAULT_POLICY, (Step(channels=("slack",)),))})


def a_silence(*matchers: str, hours: float = 2, covers_emergency: bool = False) -> Silence:
    return Silence(
        id="s1",
        matchers=tuple(Matcher.parse(text) for text in matchers),
        starts_at=START,
        ends_at=START + timedelta(hours=hours),
        reason="deploy",
        author="ada",
        created_at=START,
        covers_emergency=covers_emergency,
    )


def test_a_breach_is_told_at_once_and_escalates_until_somebody_acknowledges() -> None:
    world = World()

    assert world.sent(world.see(a_signal())) == [("slack", Action.TRIGGER)]
    assert world.sent(world.see(a_signal(), after=4 * MINUTE)) == []
    assert world.sent(world.see(a_signal(), after=MINUTE)) == [("pager", Action.TRIGGER)]
    draft = world.draft()
    acknowledge(draft, world.rules, world.incident)
    world.keep(draft.change)

    assert {(c, a) for c, a in world.sent(draft.change)} == {("slack", Action.ACK), ("pager", Action.ACK)}
    assert world.sent(world.see(a_signal(), after=2 * HOUR)) == []
    assert (world.incident.state, world.incident.acked_by) == (IncidentState.ACKED, "ada")


def test_seeing_the_same_again_changes_nothing() -> None:
    world = World()
    world.see(a_signal())

    assert world.see(a_signal(), after=MINUTE).is_empty


def test_what_has_not_opened_is_pending_and_passes_without_a_word() -> None:
    world = World()

    world.see(a_signal(pending=True))
    [alert] = world.alerts.values()
    world.see()
    [passed] = world.alerts.values()

    assert (alert.state, passed.state, passed.reason) == (
        AlertState.PENDING,
        AlertState.RESOLVED,
        "it passed before it opened",
    )
    assert (world.incidents, world.orders) == ({}, [])


def test_the_end_is_told_to_all_who_were_told_and_to_nobody_else() -> None:
    world = World()
    world.see(a_signal())

    change = world.see(after=2 * MINUTE)

    assert world.sent(change) == [("slack", Action.RESOLVE)]
    assert world.incident.state is IncidentState.RESOLVED
    assert change.escalations[world.incident.id].state is EscalationState.RESOLVED
    assert world.see(after=HOUR).is_empty


def test_what_is_over_before_anybody_was_told_is_on_record_only() -> None:
    world = World(deliver=False)
    world.see(a_signal())

    change = world.see(after=MINUTE)

    assert world.sent(change) == []
    assert change.superseded == {world.incident.id: "the incident is resolved: it is well again"}
    assert world.kinds()[-2:] == ["resolved", "not notified"]


def test_an_end_goes_to_nobody_whose_page_never_arrived() -> None:
    world = World()
    world.see(a_signal())
    unheard, heard = (Candidate(Action.RESOLVE, world.now, was_told=told) for told in (False, True))

    assert ruling(unheard, world.incident, None).fate is Fate.SUPERSEDE
    assert ruling(heard, world.incident, None).fate is Fate.SEND


def test_a_message_that_may_have_arrived_is_resolved_twice() -> None:
    """A page in flight may open the incident over there after our resolve has closed nothing."""
    world = World(deliver=False)
    world.see(a_signal())
    world.told = {world.incident.id: {"pager": Told("pager", maybe=True)}}

    orders = world.see(after=MINUTE).orders

    assert [(o.action, o.cause, o.not_before - world.now) for o in orders] == [
        (Action.RESOLVE, "resolve", timedelta(0)),
        (Action.RESOLVE, "resolve:echo", 3 * RULES.lease),
    ]


def test_a_new_incident_gathers_slices_before_anybody_is_told() -> None:
    world = World(rules=replace(RULES, group_wait=MINUTE))

    assert world.sent(world.see(a_signal("country=de"))) == []
    assert world.sent(world.see(a_signal("country=de"), a_signal("country=fr"), after=MINUTE / 2)) == []
    change = world.see(a_signal("country=de"), a_signal("country=fr"), after=MINUTE / 2)
    assert world.sent(change) == [("slack", Action.TRIGGER)]
    assert world.incident.members == 2


def test_slices_that_join_are_no_new_page_and_the_last_to_leave_ends_it() -> None:
    world = World()
    world.see(a_signal("country=de"))

    assert world.sent(world.see(a_signal("country=de"), a_signal("country=fr"))) == []
    assert world.incident.members == 2
    assert world.sent(world.see(a_signal("country=fr"), after=MINUTE)) == []
    assert world.sent(world.see(after=MINUTE)) == [("slack", Action.RESOLVE)]
    assert world.kinds() == ["opened", "escalation began", "notified", "joined", "left", "left", "resolved"]


def test_most_slices_at_once_are_an_emergency_which_breaks_the_acknowledgement() -> None:
    world = World(judged=4)
    world.see(a_signal("a=1"))
    draft = world.draft()
    acknowledge(draft, world.rules, world.incident)
    world.keep(draft.change)

    change = world.see(*(a_signal(f"a={n}") for n in range(1, 4)), after=MINUTE)

    assert (world.incident.severity, world.incident.state) == (Severity.EMERGENCY, IncidentState.FIRING)
    assert world.sent(change) == [("slack", Action.TRIGGER)]
    assert "which ends the acknowledgement by ada" in next(e.reason for e in change.events if e.kind == "raised")


@pytest.mark.parametrize(
    ("severity", "worse"),
    [
        (Severity.INFO, Severity.INFO),
        (Severity.WARNING, Severity.CRITICAL),
        (Severity.CRITICAL, Severity.EMERGENCY),
        (Severity.EMERGENCY, Severity.EMERGENCY),
    ],
)
def test_most_slices_at_once_make_a_promise_one_worse_and_never_what_can_wait(
    severity: Severity, worse: Severity
) -> None:
    world = World(judged=4)

    world.see(*(a_signal(f"a={n}", severity=severity) for n in range(3)))

    assert world.incident.severity is worse


def test_most_slices_are_those_of_the_model_that_breaks_the_promise() -> None:
    signals = [a_signal(f"a={n}") for n in range(10)]
    models = {("ece_bound", "fraud"): 10, ("ece_bound", "churn"): 20}
    world = World()

    change = advance(replace(world.picture(signals), judged=models), world.rules)
    others = advance(replace(world.picture(signals), judged={**models, ("ece_bound", "fraud"): 21}), world.rules)

    assert [one.severity for one in change.incidents.values()] == [Severity.EMERGENCY]
    assert [one.severity for one in others.incidents.values()] == [Severity.CRITICAL]


def test_all_traffic_is_no_slice_that_makes_them_most() -> None:
    world = World(judged=4)

    world.see(*(a_signal(name) for name in ("*", "a=1", "a=2")))

    assert world.incident.severity is Severity.CRITICAL


def test_a_severity_that_falls_and_rises_again_pages_once() -> None:
    world = World()
    world.see(a_signal(severity=Severity.WARNING))
    world.see(a_signal(severity=Severity.CRITICAL), after=MINUTE)
    world.see(a_signal(severity=Severity.WARNING), after=MINUTE)

    assert world.sent(world.see(a_signal(severity=Severity.CRITICAL), after=MINUTE)) == []


def test_an_acknowledgement_expires_and_the_escalation_begins_again() -> None:
    world = World()
    world.see(a_signal())
    draft = world.draft()
    acknowledge(draft, world.rules, world.incident, until=START + HOUR)
    world.keep(draft.change)

    assert world.sent(world.see(a_signal(), after=59 * MINUTE)) == []
    assert world.sent(world.see(a_signal(), after=MINUTE)) == [("slack", Action.TRIGGER)]
    assert world.incident.acked_by is None


def test_taking_an_acknowledgement_back_pages_at_once() -> None:
    world = World()
    world.see(a_signal())
    draft = world.draft()
    acknowledge(draft, world.rules, world.incident)
    world.keep(draft.change)
    draft = world.draft()
    unacknowledge(draft, world.incident)
    world.keep(draft.change)

    assert ("slack", Action.TRIGGER) in world.sent(world.see(a_signal(), after=MINUTE))


def test_what_a_person_resolved_stays_so_until_something_new_opens() -> None:
    world = World()
    world.see(a_signal())
    draft = world.draft()
    close(draft, world.rules, world.incident, note="known fault")
    world.keep(draft.change)

    assert world.sent(draft.change) == [("slack", Action.RESOLVE)]
    assert world.see(a_signal(), after=HOUR).is_empty
    fresh = a_signal(since=START + 2 * HOUR, source_id="b2")
    assert world.sent(world.see(fresh, after=2 * HOUR)) == [("slack", Action.TRIGGER)]
    assert world.incident.episode == 2


def test_a_silence_holds_the_page_back_and_its_end_lets_it_go() -> None:
    world = World(silences=[a_silence("slo=ece_bound")])

    assert world.sent(world.see(a_signal())) == []
    assert world.see(a_signal(), after=HOUR).is_empty
    assert world.sent(world.see(a_signal(), after=HOUR)) == [("slack", Action.TRIGGER)]
    assert [k for k in world.kinds() if k in ("silenced", "unsuppressed")] == ["silenced", "unsuppressed"]


def test_the_end_passes_a_silence_and_so_does_an_emergency() -> None:
    world = World()
    world.see(a_signal())
    world.silences = [a_silence("slo=~.+")]

    assert world.sent(world.see(after=MINUTE)) == [("slack", Action.RESOLVE)]
    loud = World(silences=[a_silence("slo=~.+")])
    assert loud.sent(loud.see(a_signal(severity=Severity.EMERGENCY))) == [("slack", Action.TRIGGER)]
    quiet = World(silences=[a_silence("slo=~.+", covers_emergency=True)])
    assert quiet.sent(quiet.see(a_signal(severity=Severity.EMERGENCY))) == []


def test_an_incident_is_told_while_one_of_its_slices_is_not_silenced() -> None:
    world = World(silences=[a_silence("slice=country=de")])

    assert world.sent(world.see(a_signal("country=de"), a_signal("country=fr"))) == [("slack", Action.TRIGGER)]


@pytest.mark.parametrize("action", [Action.TRIGGER, Action.UPDATE, Action.DIGEST])
def test_all_that_may_page_waits_for_the_end_of_a_silence(action: Action) -> None:
    """An update opens an incident in PagerDuty where the page itself was lost."""
    world = World()
    world.see(a_signal())
    silenced = Suppression("s1", "deploy", is_silence=True)

    assert ruling(Candidate(action, world.now, was_told=True), world.incident, silenced).fate is Fate.POSTPONE
    assert ruling(Candidate(Action.ACK, world.now, was_told=True), world.incident, silenced).fate is Fate.SEND


def test_slices_under_different_silences_are_put_on_record_once_in_whatever_order_they_are_read() -> None:
    silences = [a_silence("slice=country=de"), replace(a_silence("slice=country=fr"), id="s2")]
    world = World(silences=silences)
    signals = (a_signal("country=fr"), a_signal("country=de"))
    world.see(*signals)
    world.alerts = dict(reversed(world.alerts.items()))

    assert world.see(*reversed(signals), after=MINUTE).is_empty


def test_a_parent_mutes_its_children_and_no_longer_than_it_fires() -> None:
    world = World(rules=replace(RULES, mutes=(a_mute("score_range", "ece_bound", "slice"),)))
    bad, child = a_signal(slo="score_range", slice_name="*"), a_signal()

    assert world.sent(world.see(bad, child)) == [("slack", Action.TRIGGER)]
    [muted] = [e for e in world.events if e.kind == "muted"]
    assert "score_range fires and explains it" in muted.reason
    change = world.see(child, after=MINUTE)
    assert world.sent(change) == [("slack", Action.RESOLVE), ("slack", Action.TRIGGER)]


def test_two_that_would_mute_each_other_are_not_both_silent() -> None:
    world = World(rules=replace(RULES, mutes=(a_mute("a", "b"), a_mute("b", "a"))))

    change = world.see(a_signal(slo="a"), a_signal(slo="b", since=START + MINUTE))

    assert world.sent(change) == [("slack", Action.TRIGGER)]


def test_what_comes_and_goes_is_held_open_instead_of_told_each_time() -> None:
    world = World(rules=ONCE)
    for n in range(20):
        world.see(a_signal(since=START + n * 10 * MINUTE, source_id=f"b{n}"), after=5 * MINUTE)
        world.see(after=5 * MINUTE)

    assert sorted(Counter(order.incident_id for order in world.orders).values()) == [1, 2, 2]
    assert "flapping" in world.kinds()
    assert world.sent(world.see(after=HOUR)) == [("slack", Action.RESOLVE)]
    assert all(not one.is_open for one in world.incidents.values())


def test_a_page_waits_while_what_flaps_is_well() -> None:
    """Nothing fires then, so that no silence can match it, and whoever is woken finds nothing."""
    world = World(rules=ONCE)
    for n in range(3):
        world.see(a_signal(since=START + n * 10 * MINUTE, source_id=f"b{n}"), after=5 * MINUTE)
        world.see(after=5 * MINUTE)
    late = Candidate(Action.TRIGGER, world.now, was_told=False)

    assert ruling(late, world.incident, None).fate is Fate.POSTPONE
    world.see(a_signal(since=world.now, source_id="b3"), after=MINUTE)
    assert ruling(late, world.incident, None).fate is Fate.SEND


def test_what_goes_on_is_told_again_as_a_digest_never_as_a_page() -> None:
    world = World(rules=ONCE)
    world.see(a_signal())

    assert world.sent(world.see(a_signal(), after=4 * HOUR)) == [("slack", Action.DIGEST)]
    assert world.sent(world.see(a_signal(), after=3 * HOUR)) == []
    assert world.sent(world.see(a_signal(), after=HOUR)) == [("slack", Action.DIGEST)]


def test_what_is_bad_again_is_told_again_as_soon_as_that_deserves() -> None:
    """Nobody is told again of a warning, and a severity that it has had before is no new page."""
    world = World(rules=ONCE)
    world.see(a_signal(severity=Severity.EMERGENCY))
    world.see(a_signal(severity=Severity.WARNING), after=MINUTE)
    assert world.sent(world.see(a_signal(severity=Severity.WARNING), after=HOUR)) == []

    world.see(a_signal(severity=Severity.CRITICAL), after=MINUTE)
    world.see(a_signal(severity=Severity.EMERGENCY), after=MINUTE)

    assert world.sent(world.see(a_signal(severity=Severity.EMERGENCY), after=59 * MINUTE)) == []
    assert world.sent(world.see(a_signal(severity=Severity.EMERGENCY), after=MINUTE)) == [("slack", Action.DIGEST)]


def test_a_policy_starts_over_as_often_as_it_says() -> None:
    world = World()
    pages = 0
    for _ in range(200):
        pages += len([a for _, a in world.sent(world.see(a_signal(), after=MINUTE)) if a is Action.TRIGGER])

    assert pages == 4
    assert world.escalations[world.incident.id].state is EscalationState.EXHAUSTED


def test_an_incident_keeps_the_policy_with_which_it_began() -> None:
    """An edit of the settings strands no escalation: its next step is still the one that people were promised."""
    world = World()
    world.see(a_signal())
    world.rules = ONCE

    assert world.sent(world.see(a_signal(), after=5 * MINUTE)) == [("pager", Action.TRIGGER)]


def test_a_step_for_firing_is_taken_although_somebody_has_it() -> None:
    steps = (Step(channels=("slack",)), Step(wait=HOUR, channels=("lead",), still=Target.FIRING))
    world = World(rules=replace(RULES, policies={DEFAULT_POLICY: Policy(DEFAULT_POLICY, steps)}))
    world.see(a_signal())
    draft = world.draft()
    acknowledge(draft, world.rules, world.incident)
    world.keep(draft.change)

    assert world.sent(world.see(a_signal(), after=HOUR)) == [("lead", Action.TRIGGER)]


@pytest.mark.parametrize(("severity", "pages"), [(Severity.WARNING, []), (Severity.CRITICAL, ["pager"])])
def test_a_step_for_worse_is_left_out_with_its_reason(severity: Severity, pages: list[str]) -> None:
    policy = Policy(DEFAULT_POLICY, (Step(channels=("pager",), at_least=Severity.CRITICAL),))
    world = World(rules=replace(RULES, policies={DEFAULT_POLICY: policy}))

    change = world.see(a_signal(severity=severity))

    assert [channel for channel, _ in world.sent(change)] == pages
    assert ("step not taken" in world.kinds()) is not bool(pages)


def test_ten_thousand_slices_are_one_message() -> None:
    world = World(judged=10_000)
    signals = [a_signal(f"s={n}") for n in range(10_000)]

    change = world.see(*signals)

    assert world.sent(change) == [("slack", Action.TRIGGER)]
    assert world.incident.members == 10_000
    assert world.see(*signals, after=MINUTE).is_empty
    assert world.sent(world.see(after=MINUTE)) == [("slack", Action.RESOLVE)]
