"""Processes that work on one store at the same time, and what they do there."""

import random
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime, timedelta
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from calslo_dagster.alerting.breaker import Terms
from calslo_dagster.store import alert_events, channel_states, deliveries, delivery_claims, escalations
from calslo_dagster.store.session import Lock, Store, open_store
from calslo_dagster_tests.store.alert_builders import NOW, event, new_delivery, order

SIZE: Final = 4
_PATIENCE_SECONDS: Final = 60
_LEASE: Final = timedelta(seconds=30)
Result = TypeVar("Result")
_barrier: Barrier


class Crew:
    """Four processes; each task begins when all four are ready for it."""

    def __enter__(self) -> Self:
        context = get_context("spawn")
        ready = (context.Barrier(SIZE),)
        self._pool = ProcessPoolExecutor(SIZE, mp_context=context, initializer=_remember, initargs=ready)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def together(self, task: Callable[..., Result], url: str, *args: Any) -> list[Result]:
        """Run the task in each process as task(store, number, *args); return what they returned."""
        futures = [self._pool.submit(_run, task, url, number, args) for number in range(SIZE)]
        return [future.result(timeout=_PATIENCE_SECONDS * 2) for future in futures]


def _remember(barrier: Barrier) -> None:
    global _barrier  # noqa: PLW0603 - a barrier reaches another process only while it starts
    _barrier = barrier


def _run(task: Callable[..., Result], url: str, number: int, args: tuple[Any, ...]) -> Result:
    with open_store(url) as store:
        with store.read() as session:
            channel_states.every(session)
        _barrier.wait(_PATIENCE_SECONDS)
        return task(store, number, *args)


def deliver_all(store: Store, number: int, now: datetime) -> list[tuple[int, int, int, bool]]:
    """Claim and finish messages until none is left; return (id, began, ended, whether it was still ours) of each."""
    draw = random.Random(number)
    out: list[tuple[int, int, int, bool]] = []
    while True:
        token = f"{number}-{draw.random()}"
        with store.write(Lock.NONE) as session:
            held = delivery_claims.claim(session, token=token, now=now, lease=_LEASE, limit=2)
        began = time.monotonic_ns()
        time.sleep(draw.random() / 200)
        ended = time.monotonic_ns()
        for one in held:
            with store.write(Lock.NONE) as session:
                is_ours = delivery_claims.finalize_sent(session, one, now=now)
                channel_states.succeeded(session, one.channel, now=now)
            out.append((one.id, began, ended, is_ours))
        with store.read() as session:
            if not held and not deliveries.backlog(session):
                return out


def append_events(store: Store, number: int, count: int) -> int:
    """Write so many transactions of two events, under either lock that alerting uses; return how many events."""
    for turn in range(count):
        with store.write(Lock.ALERTS if turn % 2 else Lock.NONE) as session:
            alert_events.append(session, [event(reason=f"{number}.{turn}.{part}") for part in range(2)])
    return 2 * count


def order_messages(store: Store, number: int, count: int) -> list[str]:
    """Order as many messages of one's own as of those that all order; return the causes of those that were new."""
    new: list[str] = []
    for turn in range(count):
        causes = (f"{number}.{turn}", f"shared.{turn}")
        wanted = [new_delivery(order(cause=cause)) for cause in causes]
        with store.write(Lock.ALERTS) as session:
            new += [one.order.cause for one in deliveries.order(session, wanted, now=NOW)]
    return new


def probe(store: Store, number: int, now: datetime) -> bool:
    """Try to be the one who tries for all."""
    with store.write(Lock.NONE) as session:
        return channel_states.probe(session, "slack", token=str(number), now=now, hold=_LEASE)


def claim_once(store: Store, number: int, now: datetime) -> int:
    """Claim what there is; return how many messages that is."""
    with store.write(Lock.NONE) as session:
        return len(delivery_claims.claim(session, token=f"{number}-{now}", now=now, lease=_LEASE, limit=5))


def take_tokens(store: Store, number: int, now: datetime, tries: int) -> int:
    """Try so often to use the channel; return how often it was allowed."""
    del number
    taken = 0
    for _ in range(tries):
        with store.write(Lock.NONE) as session:
            taken += channel_states.take(session, "slack", now=now)
    return taken


def take_steps(store: Store, number: int, rounds: int) -> list[bool]:
    """Try to take one step of each round; return for which it was taken."""
    del number
    out = []
    for round_ in range(rounds):
        with store.write(Lock.NONE) as session:
            out.append(escalations.take_step(session, ("incident", round_, 0), now=NOW))
    return out


def count_failures(store: Store, number: int, count: int) -> None:
    """Note so many failures of the channel."""
    for _ in range(count):
        with store.write(Lock.NONE) as session:
            channel_states.failed(session, "slack", token=str(number), now=NOW, terms=Terms(failures=1_000))
