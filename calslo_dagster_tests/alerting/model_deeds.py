"""All that may happen in the world of the model; whoever plays it picks what, and the details."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Protocol, TypeVar

from calslo_dagster.alerting.matchers import Matcher
from calslo_dagster.alerting.model import Incident, IncidentState, Policy, Severity, Step, Target
from calslo_dagster.alerting.rules import DEFAULT_POLICY, Route, Rules
from calslo_dagster.alerting.silences import Silence
from calslo_dagster_tests.alerting.model_truth import CHILD, PARENT, SUBJECTS
from calslo_dagster_tests.alerting.model_world import CHANNELS, Death, Luck, ModelWorld
from calslo_dagster_tests.alerting.world import MINUTE, a_mute

T = TypeVar("T")
HOUR: Final = 60 * MINUTE
_STEPWISE: Final = Policy(
    DEFAULT_POLICY,
    (
        Step(channels=("slack",)),
        Step(wait=5 * MINUTE, channels=("pager",)),
        Step(wait=30 * MINUTE, channels=("lead",), still=Target.FIRING),
        Step(wait=30 * MINUTE, repeat=1),
    ),
)
_AT_ONCE: Final = Policy(DEFAULT_POLICY, (Step(channels=("pager", "slack")), Step(wait=30 * MINUTE, repeat=2)))
_ONE: Final = Rules(
    policies={DEFAULT_POLICY: _STEPWISE},
    repeat={Severity.CRITICAL: 4 * HOUR, Severity.EMERGENCY: HOUR},
    mutes=(a_mute(PARENT, CHILD),),
)
_FOR_WORSE: Final = Policy(
    DEFAULT_POLICY,
    (
        Step(channels=("slack",)),
        Step(wait=5 * MINUTE, channels=("pager",), at_least=Severity.CRITICAL),
        Step(wait=30 * MINUTE, repeat=1),
    ),
)
_FOR_MILDER: Final = Policy("milder", (Step(channels=("lead",)),))
AGREEMENTS: Final = (
    _ONE,
    replace(_ONE, policies={DEFAULT_POLICY: _AT_ONCE}, group_wait=MINUTE),
    replace(
        _ONE,
        policies={DEFAULT_POLICY: _FOR_WORSE, _FOR_MILDER.name: _FOR_MILDER},
        routes=(Route((Matcher.parse("severity=warning"),), _FOR_MILDER.name),),
    ),
)


class Pick(Protocol):
    """Picks one of several; the first is the plainest."""

    def __call__(self, options: Sequence[T], /) -> T:
        """Return one of them."""
        ...


class Then(StrEnum):
    """What the machinery does right after something has happened."""

    NOTHING = "nothing"
    LOOK = "look"
    LOOK_AND_SEND = "look and send"


Deed = Callable[[ModelWorld, Pick], None]
Make = Callable[[Rules], ModelWorld]
_SECONDS: Final = (1, 6, 15, 31, 120, 360, 1_860, 3_660, 32_400)
_SEVERITIES: Final = (Severity.WARNING, Severity.CRITICAL, Severity.EMERGENCY)
_RACING: Final = (*[None] * 12, *Luck)
_DEATHS: Final = (*[Death.NONE] * 8, *Death)
_OFTEN: Final = 20
_RARELY: Final = (False, False, False, True)


def start(make: Make, pick: Pick) -> ModelWorld:
    """Return a world in which something has just gone wrong."""
    world = make(pick(AGREEMENTS))
    world.truth.begin(pick(SUBJECTS), Severity.WARNING, world.now, pending=False)
    world.look()
    return world


def do(world: ModelWorld, deed: Deed, pick: Pick) -> None:
    """Let something happen, a moment after what happened before."""
    _tick(world)
    deed(world, pick)


def is_possible(world: ModelWorld, deed: Deed) -> bool:
    """Whether this may happen now."""
    return bool(_NEEDS.get(deed, _always)(world))


def possible(world: ModelWorld, often: Collection[Deed] = ()) -> list[Deed]:
    """Return what may happen now, as often as it is likely; what is to happen `often` more so."""
    able = [deed for deed in DEEDS if is_possible(world, deed)]
    return [deed for deed in able for _ in range(_WEIGHTS.get(deed, 2) * (_OFTEN if deed in often else 1))]


def a_breach_begins_or_changes(world: ModelWorld, pick: Pick) -> None:
    """Let a breach begin, open, or change its severity."""
    world.truth.begin(pick(SUBJECTS), pick(_SEVERITIES), world.now, pending=pick(_RARELY))
    _go_on(world, pick)


def late_data_moves_a_breach(world: ModelWorld, pick: Pick) -> None:
    """Let a breach turn out to be another."""
    world.truth.begin_anew(pick(list(world.truth.troubles)), pending=pick(_RARELY))
    _go_on(world, pick)


def a_breach_ends(world: ModelWorld, pick: Pick) -> None:
    """Let one breach end."""
    world.truth.end(pick(list(world.truth.troubles)))
    _go_on(world, pick)


def all_breaches_end(world: ModelWorld, pick: Pick) -> None:
    """Let all breaches end."""
    world.truth.troubles.clear()
    _go_on(world, pick)


def a_subject_goes_blind_or_sees_again(world: ModelWorld, pick: Pick) -> None:
    """Let a subject be impossible to judge, or possible again."""
    world.truth.hide(pick(SUBJECTS))
    _go_on(world, pick)


def time_passes(world: ModelWorld, pick: Pick) -> None:
    """Let seconds or hours pass."""
    world.wait(timedelta(seconds=pick(_SECONDS)))


def the_signals_are_looked_at(world: ModelWorld, pick: Pick) -> None:
    """Let the sensor look, and perhaps die of it."""
    world.look(dies=pick(_DEATHS), racing=pick(_RACING))


def nothing_runs_for_a_while(world: ModelWorld, pick: Pick) -> None:
    """Let the sensor go through what passed while it stood still, and then look."""
    for _ in range(pick((1, 2, 4))):
        world.wait(timedelta(seconds=pick(_SECONDS)))
        world.look(is_past=True)
    _tick(world)
    world.look()


def all_is_sent(world: ModelWorld, _pick: Pick) -> None:
    """Let a dispatcher do its work."""
    world.dispatch()


def a_channel_goes_down_or_up(world: ModelWorld, pick: Pick) -> None:
    """Let a channel refuse all messages, or take them again."""
    world.down ^= {pick(CHANNELS)}


def a_dispatcher_tries(world: ModelWorld, pick: Pick) -> None:
    """Let a dispatcher try to send one message."""
    world.attempt(pick(world.waiting), pick(list(Luck)))


def dispatchers_wake(world: ModelWorld, pick: Pick) -> None:
    """Let dispatchers that stand still go on."""
    world.wake(pick(list(Luck)))


def somebody_acknowledges(world: ModelWorld, pick: Pick) -> None:
    """Let a person take an incident on."""
    until = world.now + 20 * MINUTE if pick(_RARELY) else None
    world.acknowledge(pick(_standing(world)), pick(("ada", "bob")), until=until, racing=pick(_RACING))


def somebody_takes_it_back(world: ModelWorld, pick: Pick) -> None:
    """Let a person give an incident up."""
    world.unacknowledge(pick(_acknowledged(world)), "bob", racing=pick(_RACING))


def somebody_resolves(world: ModelWorld, pick: Pick) -> None:
    """Let a person end an incident."""
    world.close(pick(_standing(world)), "bob", racing=pick(_RACING))
    _go_on(world, pick)


def somebody_silences(world: ModelWorld, pick: Pick) -> None:
    """Let a person agree on a silence, now or soon, once or each day."""
    matcher = pick(("slo=~.+", f"slo={CHILD}", "slice=country=de", "slice=country=fr"))
    begin = world.now + pick((timedelta(0), 10 * MINUTE))
    silence(world, matcher, begin=begin, daily=pick(_RARELY), covers_emergency=pick((False, True)))
    _go_on(world, pick)


def silence(
    world: ModelWorld, matcher: str, *, begin: datetime, daily: bool = False, covers_emergency: bool = False
) -> None:
    """Let nothing be told for an hour of what matches."""
    once = Silence(
        id=f"s{len(world.silences)}",
        matchers=(Matcher.parse(matcher),),
        starts_at=begin,
        ends_at=begin + HOUR,
        reason="deploy",
        author="ada",
        created_at=world.now,
        covers_emergency=covers_emergency,
    )
    rrule = f"FREQ=DAILY;BYHOUR={begin.hour};BYMINUTE={begin.minute}"
    world.silences.append(replace(once, ends_at=None, rrule=rrule, duration=HOUR) if daily else once)


def somebody_ends_a_silence(world: ModelWorld, pick: Pick) -> None:
    """Let a person end a silence early."""
    place = pick(range(len(world.silences)))
    known = world.silences[place]
    world.silences[place] = replace(known, expired_at=known.expired_at or world.now)
    _go_on(world, pick)


def _tick(world: ModelWorld) -> None:
    world.wait(timedelta(milliseconds=1))
    world.moment += 1


def _go_on(world: ModelWorld, pick: Pick) -> None:
    then = pick((Then.LOOK, Then.LOOK, Then.NOTHING, Then.LOOK_AND_SEND))
    if then is not Then.NOTHING:
        _tick(world)
        world.look()
    if then is Then.LOOK_AND_SEND:
        world.dispatch()


def _standing(world: ModelWorld) -> list[Incident]:
    return [one for one in world.incidents.values() if one.is_open]


def _acknowledged(world: ModelWorld) -> list[Incident]:
    return [one for one in world.incidents.values() if one.state is IncidentState.ACKED]


def _troubles(world: ModelWorld) -> object:
    return world.truth.troubles


def _always(_world: ModelWorld) -> object:
    return True


DEEDS: Final[tuple[Deed, ...]] = (
    all_is_sent,
    the_signals_are_looked_at,
    nothing_runs_for_a_while,
    time_passes,
    a_breach_begins_or_changes,
    late_data_moves_a_breach,
    a_breach_ends,
    all_breaches_end,
    a_subject_goes_blind_or_sees_again,
    a_channel_goes_down_or_up,
    a_dispatcher_tries,
    dispatchers_wake,
    somebody_acknowledges,
    somebody_takes_it_back,
    somebody_resolves,
    somebody_silences,
    somebody_ends_a_silence,
)
_WEIGHTS: Final[dict[Deed, int]] = {
    a_dispatcher_tries: 8,
    time_passes: 5,
    a_breach_begins_or_changes: 3,
    all_is_sent: 3,
    dispatchers_wake: 3,
    somebody_acknowledges: 3,
    late_data_moves_a_breach: 1,
    all_breaches_end: 1,
    a_subject_goes_blind_or_sees_again: 1,
    a_channel_goes_down_or_up: 1,
    nothing_runs_for_a_while: 1,
    somebody_resolves: 1,
}
_NEEDS: Final[dict[Deed, Callable[[ModelWorld], object]]] = {
    late_data_moves_a_breach: _troubles,
    a_breach_ends: _troubles,
    all_breaches_end: _troubles,
    a_dispatcher_tries: lambda world: world.waiting,
    dispatchers_wake: lambda world: world.stalled or world.speechless,
    somebody_acknowledges: _standing,
    somebody_takes_it_back: _acknowledged,
    somebody_resolves: _standing,
    somebody_ends_a_silence: lambda world: world.silences,
}
