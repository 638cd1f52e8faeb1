"""A model check of the life of incidents: whatever happens in whatever order, what must hold does."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from enum import StrEnum
from typing import ClassVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from calslo_dagster.alerting.matchers import Matcher
from calslo_dagster.alerting.model import Incident, IncidentState, Policy, Severity, Step, Subject, Target
from calslo_dagster.alerting.rules import DEFAULT_POLICY, Rules
from calslo_dagster.alerting.silences import Silence
from calslo_dagster_tests.alerting.model_world import CHANNELS, CHILD, PARENT, SUBJECTS, Death, Luck, ModelWorld
from calslo_dagster_tests.alerting.world import MINUTE, a_mute

SECOND = timedelta(seconds=1)
HOUR = 60 * MINUTE
REPEAT = {Severity.CRITICAL: 4 * HOUR, Severity.EMERGENCY: HOUR}
STEPWISE = Policy(
    DEFAULT_POLICY,
    (
        Step(channels=("slack",)),
        Step(wait=5 * MINUTE, channels=("pager",)),
        Step(wait=30 * MINUTE, channels=("lead",), still=Target.FIRING),
        Step(wait=30 * MINUTE, repeat=1),
    ),
)
AT_ONCE = Policy(DEFAULT_POLICY, (Step(channels=("pager", "slack")), Step(wait=30 * MINUTE, repeat=2)))
AGREEMENTS = (
    Rules(policies={DEFAULT_POLICY: STEPWISE}, repeat=REPEAT, mutes=(a_mute(PARENT, CHILD),)),
    Rules(policies={DEFAULT_POLICY: AT_ONCE}, repeat=REPEAT, mutes=(a_mute(PARENT, CHILD),), group_wait=MINUTE),
)
SPANS = st.sampled_from((SECOND, 15 * SECOND, 31 * SECOND, 2 * MINUTE, 6 * MINUTE, 31 * MINUTE, 61 * MINUTE, 9 * HOUR))
SEVERITIES = st.sampled_from((Severity.WARNING, Severity.CRITICAL, Severity.EMERGENCY))
RACING = st.none() | st.sampled_from(Luck)
CALM = settings(
    max_examples=100,
    stateful_step_count=40,
    derandomize=True,
    database=None,
    report_multiple_bugs=False,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


class Then(StrEnum):
    """What the machinery does right after something has happened."""

    LOOK_AND_SEND = "look and send"
    LOOK = "look"
    NOTHING = "nothing"


THEN = st.sampled_from(Then)


class Life(RuleBasedStateMachine):
    """All that may happen, each step a little later than the one before."""

    make: ClassVar[Callable[[Rules], ModelWorld]] = ModelWorld
    world: ModelWorld

    @initialize(rules=st.sampled_from(AGREEMENTS), broken=st.sets(st.sampled_from(SUBJECTS), min_size=1, max_size=2))
    def agree(self, rules: Rules, broken: set[Subject]) -> None:
        self.world = type(self).make(rules)
        for subject in SUBJECTS:
            if subject in broken:
                self.tick().begin(subject, Severity.WARNING, pending=False)
        self.go_on(Then.LOOK)

    def tick(self) -> ModelWorld:
        """Return the world, a moment later."""
        self.world.wait(timedelta(milliseconds=1))
        self.world.moment += 1
        return self.world

    def go_on(self, then: Then) -> None:
        """Let the machinery work."""
        if then is not Then.NOTHING:
            self.tick().look()
        if then is Then.LOOK_AND_SEND:
            self.tick().dispatch()

    @rule(subject=st.sampled_from(SUBJECTS), severity=SEVERITIES, pending=st.booleans(), then=THEN)
    def a_breach_begins_or_changes(self, subject: Subject, severity: Severity, pending: bool, then: Then) -> None:
        self.tick().begin(subject, severity, pending=pending)
        self.go_on(then)

    @precondition(lambda self: self.world.troubles)
    @rule(data=st.data(), pending=st.booleans(), then=THEN)
    def late_data_moves_a_breach(self, data: st.DataObject, pending: bool, then: Then) -> None:
        world = self.tick()
        world.begin_anew(data.draw(st.sampled_from(list(world.troubles))), pending=pending)
        self.go_on(then)

    @precondition(lambda self: self.world.troubles)
    @rule(data=st.data(), then=THEN)
    def a_breach_ends(self, data: st.DataObject, then: Then) -> None:
        world = self.tick()
        world.end(data.draw(st.sampled_from(list(world.troubles))))
        self.go_on(then)

    @precondition(lambda self: self.world.troubles)
    @rule(then=THEN)
    def all_breaches_end(self, then: Then) -> None:
        self.tick().troubles.clear()
        self.go_on(then)

    @rule(subject=st.sampled_from(SUBJECTS), then=THEN)
    def a_subject_goes_blind_or_sees_again(self, subject: Subject, then: Then) -> None:
        self.tick().hide(subject)
        self.go_on(then)

    @rule(span=SPANS, then=THEN)
    def time_passes(self, span: timedelta, then: Then) -> None:
        self.tick().wait(span)
        self.go_on(then)

    @rule(dies=st.sampled_from(Death), racing=RACING)
    def the_signals_are_looked_at(self, dies: Death, racing: Luck | None) -> None:
        self.tick().look(dies=dies, racing=racing)

    @rule(channel=st.sampled_from(CHANNELS))
    def a_channel_goes_down_or_up(self, channel: str) -> None:
        self.tick().down ^= {channel}

    @precondition(lambda self: self.world.waiting)
    @rule(data=st.data(), luck=st.sampled_from(Luck))
    def a_dispatcher_tries(self, data: st.DataObject, luck: Luck) -> None:
        world = self.tick()
        world.attempt(data.draw(st.sampled_from(world.waiting)), luck)

    @precondition(lambda self: self.world.stalled or self.world.speechless)
    @rule(luck=st.sampled_from(Luck))
    def dispatchers_wake(self, luck: Luck) -> None:
        self.tick().wake(luck)

    @precondition(lambda self: self.standing())
    @rule(data=st.data(), who=st.sampled_from(("ada", "bob")), racing=RACING, short=st.booleans())
    def somebody_acknowledges(self, data: st.DataObject, who: str, racing: Luck | None, short: bool) -> None:
        world = self.tick()
        until = world.now + 20 * MINUTE if short else None
        world.acknowledge(data.draw(st.sampled_from(self.standing())), who, until=until, racing=racing)

    @precondition(lambda self: self.standing(IncidentState.ACKED))
    @rule(data=st.data(), racing=RACING)
    def somebody_takes_it_back(self, data: st.DataObject, racing: Luck | None) -> None:
        incident = data.draw(st.sampled_from(self.standing(IncidentState.ACKED)))
        self.tick().unacknowledge(incident, "bob", racing=racing)

    @precondition(lambda self: self.standing())
    @rule(data=st.data(), racing=RACING, then=THEN)
    def somebody_resolves(self, data: st.DataObject, racing: Luck | None, then: Then) -> None:
        self.tick().close(data.draw(st.sampled_from(self.standing())), "bob", racing=racing)
        self.go_on(then)

    @rule(
        matcher=st.sampled_from(("slo=~.+", f"slo={CHILD}", "slice=country=de")),
        wait=st.sampled_from((timedelta(0), 10 * MINUTE)),
        daily=st.booleans(),
        covers_emergency=st.booleans(),
    )
    def somebody_silences(self, matcher: str, wait: timedelta, daily: bool, covers_emergency: bool) -> None:
        world = self.tick()
        start = world.now + wait
        silence = Silence(
            id=f"s{len(world.silences)}",
            matchers=(Matcher.parse(matcher),),
            starts_at=start,
            ends_at=None if daily else start + HOUR,
            reason="deploy",
            author="ada",
            created_at=world.now,
            rrule=f"FREQ=DAILY;BYHOUR={start.hour};BYMINUTE={start.minute}" if daily else None,
            duration=HOUR if daily else None,
            covers_emergency=covers_emergency,
        )
        world.silences.append(silence)

    @precondition(lambda self: self.world.silences)
    @rule(data=st.data(), then=THEN)
    def somebody_ends_a_silence(self, data: st.DataObject, then: Then) -> None:
        world = self.tick()
        place = data.draw(st.integers(0, len(world.silences) - 1))
        known = world.silences[place]
        world.silences[place] = replace(known, expired_at=known.expired_at or world.now)
        self.go_on(then)

    def standing(self, *states: IncidentState) -> list[Incident]:
        """Return the open incidents, or those in these states."""
        wanted = states or (IncidentState.FIRING, IncidentState.ACKED)
        return [one for one in self.world.incidents.values() if one.state in wanted]

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.finish()


def test_whatever_happens_in_whatever_order_what_must_hold_does() -> None:
    run_state_machine_as_test(Life, settings=CALM)
