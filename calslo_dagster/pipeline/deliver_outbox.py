"""Empty the outbox into the channels: claim, look once more, send, and say what became of it, message by message.

No transaction is open while a message travels. Whoever dies between sending and saying so leaves one that may be sent
twice; the receiver recognizes it by its key.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, TypeVar

from calslo_dagster.alerting.backoff import Backoff
from calslo_dagster.alerting.breaker import Terms
from calslo_dagster.alerting.late import Fate
from calslo_dagster.alerting.templates import Templates, render
from calslo_dagster.channels.base import Channel, Failure, Letter, Receipt, Rejected, Retryable
from calslo_dagster.channels.threads import run
from calslo_dagster.pipeline.claim_message import Claimed, claim_message
from calslo_dagster.pipeline.link_answers import with_answer_link
from calslo_dagster.pipeline.note_outcome import Attempted, Outcome, Scribe, give_up
from calslo_dagster.pipeline.open_channels import open_channels, rates
from calslo_dagster.pipeline.project import Project
from calslo_dagster.store import channel_states, deliveries
from calslo_dagster.store.deliveries import Delivery
from calslo_dagster.store.delivery_claims import rate_wait, release
from calslo_dagster.store.session import Lock

logger = logging.getLogger("calslo_dagster.alerts")

# The longest that one message may take, whatever its receiver does.
DEADLINE: Final = timedelta(seconds=8)
# A claim outlives the deadline by far, so that nobody sends what another is still sending.
LEASE: Final = timedelta(seconds=30)
# Whoever was stopped for so long that less is left of its lease gives the message back.
MARGIN: Final = DEADLINE + timedelta(seconds=2)
# How long the others wait for one message of a channel.
TURN: Final = timedelta(seconds=1)
# The channel of messages to nobody: that they come through shows that the outbox works.
CANARY: Final = "canary"
# With a last message and the sign of life it ends within the minute that Dagster gives a sensor.
BUDGET: Final = timedelta(seconds=30)
# How long it may take to notice that somebody wants us to stop while nothing is sent.
_NAP_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a message may take, how long a claim of it holds, and what follows a failure.

    deadline: for one attempt; lease: for a claim; margin: what must be left of the lease to begin an attempt.
    """

    deadline: timedelta = DEADLINE
    lease: timedelta = LEASE
    margin: timedelta = MARGIN
    backoff: Backoff = field(default_factory=Backoff)
    breaker: Terms = field(default_factory=Terms)


USUAL: Final = Pace()


@dataclass(frozen=True, slots=True)
class NobodyChannel:
    """Takes every message and tells nobody."""

    name: str = CANARY

    async def send(self, _letter: Letter) -> Receipt:
        """Take the letter."""
        return Receipt()


Clock = Callable[[], datetime]
T = TypeVar("T")


def utc_now() -> datetime:
    """Return the time of the machine."""
    return datetime.now(UTC)


def never() -> bool:
    """Return that nobody wants us to stop."""
    return False


@dataclass
class Tally:
    """What became of the messages of one round."""

    sent: int = 0
    failed: int = 0
    dead: int = 0
    superseded: int = 0
    postponed: int = 0

    def __str__(self) -> str:
        """Return the counts that are not zero, in words."""
        counts = {name: count for name, count in vars(self).items() if count}
        return ", ".join(f"{count} {name}" for name, count in counts.items()) or "nothing to send"


def deliver_outbox(
    project: Project,
    *,
    clock: Clock = utc_now,
    budget: timedelta = BUDGET,
    channels: Mapping[str, Channel] | None = None,
    only: str | None = None,
    stop: Callable[[], bool] = never,
    pace: Pace = USUAL,
) -> Tally:
    """Send what is due until nothing is, until the budget is used up or `stop` says so; return what became of it.

    only: the one channel to serve. What is on its way when it stops is finished first. Several processes may do this at
    once, on PostgreSQL also to the same channel.
    """
    opened = {CANARY: NobodyChannel(), **(open_channels(project.settings) if channels is None else channels)}
    with project.store.write(Lock.NONE) as session:
        for name, rate in rates(project.settings).items():
            channel_states.set_rate(session, name, rate)
    templates = Templates.of(project.settings.message_templates())
    return Dispatcher(project, opened, clock, templates=templates, stop=stop, pace=pace).run(budget, only=only)


@dataclass
class Dispatcher:
    """Sends what is due to the given channels; several may work on the same outbox."""

    project: Project
    channels: Mapping[str, Channel]
    clock: Clock = utc_now
    draw: Callable[[], float] = random.random
    templates: Templates = field(default_factory=lambda: Templates.of({}))
    tally: Tally = field(default_factory=Tally)
    stop: Callable[[], bool] = never
    pace: Pace = USUAL

    def run(self, budget: timedelta = BUDGET, *, only: str | None = None) -> Tally:
        """Send what is due until nothing is, or until the budget is used up; every message ends within its deadline."""
        until = time.monotonic() + budget.total_seconds()
        self._give_up()
        with self.project.store.read() as session:
            waiting = [state.channel for state in deliveries.backlog(session) if only in (None, state.channel)]
        # What waits for a channel that is in the settings no more is taken back by whoever watches the outbox.
        busy = [name for name in waiting if name in self.channels]
        if busy:
            # The books are kept by a thread of their own: while a database is slow, answers must still be seen in time.
            with ThreadPoolExecutor(1, "calslo-outbox") as clerk:
                run(_Round(self, clerk, until).serve(busy))
        return self.tally

    def _give_up(self) -> None:
        """End what is too late to send."""
        now = self.clock()
        with self.project.store.write(Lock.NONE) as session:
            self.tally.dead += give_up(session, now=now)

    def claim(self, name: str) -> Claimed | None:
        """Take the next message for the channel; None if there is none to take."""
        found = claim_message(self.project, name, clock=self.clock, lease=self.pace.lease)
        if found is not None:
            self.tally.superseded += found.fate is Fate.SUPERSEDE
            self.tally.postponed += found.fate is Fate.POSTPONE
        return found

    async def attempt(self, held: Delivery) -> Outcome:
        """Send the message and return what came of it."""
        channel, letter, seconds = self.channels[held.channel], self._letter(held), self.pace.deadline.total_seconds()
        try:
            async with asyncio.timeout(seconds):
                return await channel.send(letter)
        except TimeoutError:
            return Retryable(f"no answer within {seconds:g} s", Failure.DEADLINE, may_have_arrived=True)
        except (Retryable, Rejected) as error:
            return error
        except Exception as error:  # a fault in one channel must not keep the others from being told
            logger.exception("channel %s failed", held.channel)
            return Rejected(f"the channel itself failed: {type(error).__name__}", Failure.AMBIGUOUS)

    def _letter(self, held: Delivery) -> Letter:
        facts = with_answer_link(self.project.settings, held.facts, held.action, now=self.clock())
        words, problem = render(facts, held.action, self.templates)
        if problem:
            logger.warning("%s; the built-in words were sent instead", problem)
        return Letter(
            key=held.idem_key,
            incident_id=held.incident_id,
            dedup_key=held.dedup_key,
            seq=held.seq,
            episode=held.facts.episode,
            action=held.action,
            severity=held.facts.severity,
            words=words,
            facts=facts,
            at=held.ordered_at,
            first_try=not held.ambiguous,
            ref=held.known_ref,
        )

    def note(self, held: Delivery, outcome: Outcome, started: datetime) -> None:
        """Write down what came of the message, in one transaction."""
        environment, pace = self.project.settings.alerting.environment, self.pace
        scribe = Scribe(environment, pace.backoff, pace.breaker, self.draw())
        with self.project.store.write(Lock.NONE) as session:
            is_ours = scribe.note(session, Attempted(held, started, self.clock()), outcome)
        match outcome:
            case Receipt():
                self.tally.sent += is_ours
            case Retryable():
                self.tally.failed += 1
            case Rejected():
                self.tally.dead += 1

    def rest(self, name: str, asked: datetime) -> timedelta:
        """Return how long, from the instant `asked` on, the rate alone keeps the channel's next message; 0 if not."""
        with self.project.store.read() as session:
            return rate_wait(session, name, now=self.clock(), asked=asked)

    def give_back(self, held: Delivery) -> None:
        """Let somebody else send the message."""
        with self.project.store.write(Lock.NONE) as session:
            release(session, held, now=self.clock())


@dataclass
class _Round:
    """One pass over the channels.

    Messages go out one after the other, so that whoever is killed leaves one in doubt. `slow` are the channels with
    which that takes too long: they have no part in the `turn` any more, and none waits for them.
    """

    dispatcher: Dispatcher
    clerk: Executor
    until: float
    began: float = field(default_factory=time.monotonic)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    slow: set[str] = field(default_factory=set)

    async def serve(self, names: Iterable[str]) -> None:
        """Send what is due for these channels; a fault in the books of one lets the others finish first."""
        ends = await asyncio.gather(*(self._serve(name) for name in names), return_exceptions=True)
        for error in [end for end in ends if end is not None]:
            raise error

    async def _serve(self, name: str) -> None:
        while (asked := time.monotonic()) < self._until(name) and not self.dispatcher.stop():
            now = self.dispatcher.clock()
            if not (await self._serve_next(name) or await self._rested(name, asked, now)):
                return

    def _until(self, name: str) -> float:
        """Return until when the channel gets messages: a slow one must not keep the next round waiting."""
        return self.began + self.dispatcher.pace.deadline.total_seconds() / 2 if name in self.slow else self.until

    async def _rested(self, name: str, asked: float, now: datetime) -> bool:
        """Wait until the rate lets the next message go; False if it waits for something else, or for too long.

        For as long as for a channel that hangs at most, since what was decided meanwhile waits for the next round.
        asked, now: when the message was asked for, by either clock. What the rate kept then it may let go by now.
        """
        clock, stop = self.dispatcher.clock, self.dispatcher.stop
        wait = await self._booked(partial(self.dispatcher.rest, name, now))
        ends = asked + wait.total_seconds()
        patience = self.began + self.dispatcher.pace.deadline.total_seconds()
        if not wait or ends > min(patience, self._until(name)):
            return False
        while (left := ends - time.monotonic()) > 0 and not stop():
            await asyncio.sleep(min(left, _NAP_SECONDS))
        # To a clock that stands still, no wait would ever end.
        return clock() > now

    async def _serve_next(self, name: str) -> bool:
        """Send the next message for the channel; return whether there was one."""
        async with nullcontext() if name in self.slow else self.turn:
            since = time.monotonic()
            claimed = await self._booked(partial(self.dispatcher.claim, name))
            if claimed is None or claimed.fate is not Fate.SEND:
                return claimed is not None
            started, held = self.dispatcher.clock(), claimed.message
            sending = asyncio.ensure_future(self._attempt(held, since))
            finished, _ = await asyncio.wait({sending}, timeout=TURN.total_seconds())
            if finished:
                await self._note(held, sending.result(), started)
                return True
            self.slow.add(name)
        await self._note(held, await sending, started)
        return True

    async def _attempt(self, held: Delivery, since: float) -> Outcome | None:
        """Return what came of the message; None, unsent, if we stood still so long that somebody may take it soon."""
        pace = self.dispatcher.pace
        if time.monotonic() - since > (pace.lease - pace.margin).total_seconds():
            return None
        return await self.dispatcher.attempt(held)

    async def _note(self, held: Delivery, outcome: Outcome | None, started: datetime) -> None:
        give_back, note = self.dispatcher.give_back, self.dispatcher.note
        await self._booked(partial(give_back, held) if outcome is None else partial(note, held, outcome, started))

    async def _booked(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self.clerk, call)
