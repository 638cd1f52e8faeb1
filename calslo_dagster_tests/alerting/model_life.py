"""Two players of the model: Hypothesis' state machine, which finds short stories, and dice, which find many."""

import sys
from collections.abc import Callable, Collection, Sequence
from random import Random
from typing import ClassVar, Final, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from calslo_dagster_tests.alerting.model_deeds import DEEDS, Deed, Make, Pick, do, is_possible, possible, start
from calslo_dagster_tests.alerting.model_ledger import ViolationError
from calslo_dagster_tests.alerting.model_world import ModelWorld

T = TypeVar("T")
STEPS: Final = 60


class Life(RuleBasedStateMachine):
    """A world, the rules of which are all deeds; in the end all that goes wrong is mended."""

    make: ClassVar[Make] = ModelWorld
    world: ModelWorld

    @initialize(data=st.data())
    def something_breaks(self, data: st.DataObject) -> None:
        self.world = start(type(self).make, _drawn(data))

    def teardown(self) -> None:
        # What is broken already would only be broken once more.
        if hasattr(self, "world") and sys.exception() is None:
            self.world.finish()


def throw(seed: int, make: Make = ModelWorld, *, often: Collection[Deed] = ()) -> ViolationError | None:
    """Play the schedule of this number; return what was violated, None if all that must hold did."""
    dice = Random(seed)
    try:
        world = start(make, dice.choice)
        for _ in range(STEPS):
            do(world, dice.choice(possible(world, often)), dice.choice)
        world.finish()
    except ViolationError as found:
        return found
    return None


def _drawn(data: st.DataObject) -> Pick:
    def pick(options: Sequence[T], /) -> T:
        return data.draw(st.sampled_from(options))

    return pick


def _rule_of(deed: Deed) -> Callable[[Life, st.DataObject], None]:
    def happens(self: Life, data: st.DataObject) -> None:
        do(self.world, deed, _drawn(data))

    happens.__name__ = deed.__name__
    return precondition(lambda self: is_possible(self.world, deed))(rule(data=st.data())(happens))


for _deed in DEEDS:
    setattr(Life, _deed.__name__, _rule_of(_deed))
