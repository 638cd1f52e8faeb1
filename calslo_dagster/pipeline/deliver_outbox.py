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

from sqlalchemy.orm import Session

from calslo_dagster.alerting.backoff import Backoff
from calslo_dagster.alerting.breaker import Terms
from calslo_dagster.alerting.late import Fate
from calslo_dagster.alerting.model import Action, DeliveryStatus, Kind, Severity, Subject
from calslo_dagster.alerting.templates import Templates, render
from calslo_dagster.channels.base import Channel, Failure, Letter, Receipt, Rejected, Retryable
from calslo_dagster.channels.threads import run
from calslo_dagster.pipeline.claim_message import Claimed, claim_message
from calslo_dagster.pipeline.link_answers import with_answer_link
from calslo_dagster.pipeline.open_channels import open_channels, rates
from calslo_dagster.pipeline.project import Project
from calslo_dagster.store import alerts, channel_states, deliveries, troubles
from calslo_dagster.store.deliveries import Delivery
from calslo_dagster.store.delivery_claims import finalize_dead, finalize_retry, finalize_sent, release
from calslo_dagster.store.session import Lock
from calslo_dagster.store.troubles import Trouble

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
BUDGET: Final = timedelta(seconds=40)
# Where the other side has not failed but refused, resting would only delay what it would take.
_HEALTHY: Final = frozenset({Failure.RATE_LIMITED, Failure.CLIENT, Failure.TEMPLATE})


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
Span = tuple[datetime, datetime]
Outcome = Receipt | Retryable | Rejected
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
            busy = [state.channel for state in deliveries.backlog(session) if only in (None, state.channel)]
        if busy:
            # The books are kept by a thread of their own: while a database is slow, answers must still be seen in time.
            with ThreadPoolExecutor(1, "calslo-outbox") as clerk:
                run(_Round(self, clerk, until).serve(busy))
        return self.tally

    def _give_up(self) -> None:
        """End what is too late to send."""
        now = self.clock()
        with self.project.store.write(Lock.NONE) as session:
            for lost in deliveries.expire(session, now=now):
                self.tally.dead += 1
                _undeliverable(session, lost, "it could not be sent in time", now)

    def claim(self, name: str) -> Claimed | None:
        """Take the next message for the channel; None if there is none to take."""
        found = claim_message(self.project, name, clock=self.clock, lease=self.pace.lease)
        if found is not None:
            self.tally.superseded += found.fate is Fate.SUPERSEDE
            self.tally.postponed += found.fate is Fate.POSTPONE
        return found

    async def attempt(self, held: Delivery) -> Outcome:
        """Send the message and return what came of it."""
        channel = self.channels.get(held.channel)
        if channel is None:
            return Rejected(f"there is no channel {held.channel} in the settings any more")
        letter, seconds = self._letter(held), self.pace.deadline.total_seconds()
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
        with self.project.store.write(Lock.NONE) as session:
            span = (started, self.clock())
            match outcome:
                case Receipt():
                    self._arrived(session, held, outcome, span)
                case Retryable():
                    self._failed(session, held, outcome, span)
                case Rejected():
                    self._rejected(session, held, outcome, span)

    def give_back(self, held: Delivery) -> None:
        """Let somebody else send the message."""
        with self.project.store.write(Lock.NONE) as session:
            release(session, held, now=self.clock())

    def _arrived(self, session: Session, held: Delivery, receipt: Receipt, span: Span) -> None:
        started, now = span
        ours = finalize_sent(session, held, now=now, ref=receipt.ref, detail=receipt.detail, started_at=started)
        channel_states.succeeded(session, held.channel, now=now)
        self._end_trouble(session, held.channel)
        self.tally.sent += ours

    def _failed(self, session: Session, held: Delivery, error: Retryable, span: Span) -> None:
        started, now = span
        wait = self.pace.backoff.next_try(now, failures=held.attempts, draw=self.draw(), retry_after=error.retry_after)
        finalize_retry(
            session,
            held,
            now=now,
            not_before=wait,
            failure=str(error.failure),
            error=str(error),
            maybe=error.may_have_arrived,
            retry_after=error.retry_after,
            started_at=started,
            ref=error.ref,
        )
        self._health(session, held, error, now)
        self.tally.failed += 1

    def _rejected(self, session: Session, held: Delivery, error: Rejected, span: Span) -> None:
        started, now = span
        failure, maybe = str(error.failure), error.failure is Failure.AMBIGUOUS
        if finalize_dead(session, held, now=now, failure=failure, error=str(error), maybe=maybe, started_at=started):
            _undeliverable(session, held, str(error), now)
        self._health(session, held, error, now)
        self.tally.dead += 1

    def _health(self, session: Session, held: Delivery, error: Retryable | Rejected, now: datetime) -> None:
        if isinstance(error, Retryable) and error.retry_after and error.failure is Failure.RATE_LIMITED:
            channel_states.pause(session, held.channel, until=now + error.retry_after)
        token, terms = held.lease_token or "", self.pace.breaker
        if error.failure in _HEALTHY:
            channel_states.abandon(session, held.channel, token=token, now=now)
        else:
            channel_states.failed(session, held.channel, token=token, now=now, terms=terms, failure=str(error.failure))

    def _end_trouble(self, session: Session, channel: str) -> None:
        """End the alert about a channel that works; if a message was given up, people are told of it before."""
        component = troubles.delivery_to(channel)
        trouble = next((one for one in troubles.open_ones(session) if one.component == component), None)
        if trouble is not None and not (_is_dead(session, trouble) and not self._is_told(session, trouble)):
            troubles.clear(session, [component])

    def _is_told(self, session: Session, trouble: Trouble) -> bool:
        environment = self.project.settings.alerting.environment
        key = Subject(Kind.PIPELINE, trouble.component, environment=environment).fingerprint
        alert = alerts.last_by_fingerprint(session, [key]).get(key)
        return alert is not None and alert.source_id == trouble.source_id


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
        while time.monotonic() < self._until(name) and not self.dispatcher.stop():
            if not await self._serve_next(name):
                return

    def _until(self, name: str) -> float:
        """Return until when the channel gets messages: a slow one must not keep the next round waiting."""
        return self.began + self.dispatcher.pace.deadline.total_seconds() / 2 if name in self.slow else self.until

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


def _is_dead(session: Session, trouble: Trouble) -> bool:
    message = deliveries.by_id(session, int(trouble.source_id)) if trouble.source_id.isdecimal() else None
    return message is not None and message.status is DeliveryStatus.DEAD


def _undeliverable(session: Session, lost: Delivery, why: str, now: datetime) -> None:
    """Raise an alert of our own about a message that will never arrive; a test says so to whoever made it."""
    if lost.action is not Action.TEST:
        title = f"{lost.action} about {lost.facts.slo} of incident {lost.incident_id}"
        reason = f"{lost.channel} did not take the {title}: {why}"
        component = troubles.delivery_to(lost.channel)
        troubles.put(session, Trouble(component, Severity.CRITICAL, now, reason, source_id=str(lost.id)))
