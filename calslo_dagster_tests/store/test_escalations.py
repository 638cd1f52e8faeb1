"""Escalations keep the policy they began with, come up when they are due, and take each step once."""

from dataclasses import replace
from datetime import timedelta

from calslo_dagster.alerting.model import Escalation, EscalationState, Policy, Severity, Step, Target
from calslo_dagster.store import escalations
from calslo_dagster.store.session import Lock, Store
from calslo_dagster_tests.store.alert_builders import MINUTE, NOW
from calslo_dagster_tests.store.crew import Crew, take_steps

POLICY = Policy(
    "default",
    (
        Step(channels=("slack", "mail")),
        Step(wait=timedelta(minutes=15, microseconds=1), channels=("pager",), still=Target.FIRING),
        Step(wait=MINUTE, repeat=3, at_least=Severity.EMERGENCY),
    ),
)
FIRST = Escalation("first", POLICY, round=2, step=1, repeats=1, due_at=NOW, owed=0, pages=3)
LATER = Escalation("later", Policy("quiet", ()), due_at=NOW + MINUTE)
ENDED = Escalation("ended", POLICY, state=EscalationState.ACKED, due_at=NOW)


def test_escalations_come_back_with_their_policy(store: Store) -> None:
    with store.write(Lock.ALERTS) as session:
        escalations.put(session, [LATER, FIRST, ENDED])

    with store.read() as session:
        assert escalations.of(session, ["first", "ended", "none"]) == {"first": FIRST, "ended": ENDED}


def test_a_running_escalation_is_due_from_its_instant_on(store: Store) -> None:
    with store.write(Lock.ALERTS) as session:
        escalations.put(session, [LATER, FIRST, ENDED])

        assert escalations.due(session, NOW - MINUTE) == ()
        assert escalations.due(session, NOW) == (FIRST,)
        assert escalations.due(session, NOW + MINUTE) == (FIRST, LATER)

        escalations.put(session, [replace(FIRST, due_at=None, state=EscalationState.EXHAUSTED)])
        assert escalations.due(session, NOW + MINUTE) == (LATER,)


def test_a_step_of_a_round_is_taken_once(store: Store) -> None:
    steps = [("first", 1, 0), ("first", 1, 0), ("first", 1, 1), ("first", 2, 0), ("later", 1, 0), ("first", 1, 1)]

    with store.write(Lock.ALERTS) as session:
        taken = [escalations.take_step(session, step, now=NOW) for step in steps]

    assert taken == [True, False, True, True, True, False]


def test_of_four_processes_one_takes_each_step(store: Store, store_url: str, crew: Crew) -> None:
    del store
    taken = crew.together(take_steps, store_url, 10)

    assert [sum(one) for one in zip(*taken, strict=True)] == [1] * 10
