"""Kills and stops the processes of a crew at random moments, and replaces those that are dead."""

import os
import random
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from calslo_dagster_tests.torture.nursery import Nursery

PRODUCER: Final = "producer"
DISPATCHER: Final = "dispatcher"
# Seconds between two misfortunes, on average.
GAP: Final = 0.2
PATIENCE: Final = 1.0
# How long somebody stands still, in seconds: around the end of a lease, and shorter than the echo of a resolve takes.
STANDSTILL: Final = (1.0, 5.0)


@dataclass
class Toll:
    """How often what was done to whom."""

    kills: dict[str, int] = field(default_factory=lambda: {PRODUCER: 0, DISPATCHER: 0})
    pauses: int = 0

    @property
    def total(self) -> int:
        """The number of kills."""
        return sum(self.kills.values())


@dataclass
class Crew:
    """Processes that work, by the place that each fills; `asleep` are those stopped, with when they are woken.

    journal: the file that grows with each message that arrives.
    """

    nursery: Nursery
    roles: tuple[str, ...]
    draw: random.Random
    journal: Path
    pids: dict[int, int] = field(default_factory=dict)
    asleep: dict[int, float] = field(default_factory=dict)
    toll: Toll = field(default_factory=Toll)

    def start(self) -> None:
        """Fill every place."""
        for place in range(len(self.roles)):
            self._fill(place)

    def torment(self, kills: int, pauses: int) -> Toll:
        """Kill and stop, each so often, at moments and in an order that the seed decides."""
        fates = [True] * kills + [False] * pauses
        self.draw.shuffle(fates)
        for is_kill in fates:
            self._await_progress()
            self._wait(self.draw.expovariate(1 / GAP))
            place = self.draw.randrange(len(self.roles))
            if is_kill:
                self._kill(place)
            else:
                self._stop(place)
        return self.toll

    def retire(self, role: str) -> None:
        """Kill those of the role for good, and wake all others."""
        for place in [one for one in self.asleep if self.roles[one] != role]:
            self._wake(place)
        for place in [one for one, name in enumerate(self.roles) if name == role and one in self.pids]:
            os.kill(self.pids.pop(place), signal.SIGKILL)

    def _fill(self, place: int) -> None:
        self.pids[place] = self.nursery.fork(self.roles[place], self.draw.randrange(2**32))

    def _kill(self, place: int) -> None:
        os.kill(self.pids[place], signal.SIGKILL)
        self.asleep.pop(place, None)
        self.toll.kills[self.roles[place]] += 1
        self._fill(place)

    def _stop(self, place: int) -> None:
        if place not in self.asleep:
            os.kill(self.pids[place], signal.SIGSTOP)
            self.asleep[place] = time.monotonic() + self.draw.uniform(*STANDSTILL)
            self.toll.pauses += 1

    def _wake(self, place: int) -> None:
        del self.asleep[place]
        os.kill(self.pids[place], signal.SIGCONT)

    def _await_progress(self) -> None:
        """Let a message arrive: on a slow machine they would all be killed before they have done anything."""
        size, last = self.journal.stat().st_size, time.monotonic() + PATIENCE
        while self.journal.stat().st_size == size and time.monotonic() < last:
            self._wait(0.01)

    def _wait(self, seconds: float) -> None:
        """Let time pass, and wake those whose time has come."""
        until = time.monotonic() + seconds
        while (now := time.monotonic()) < until:
            for place in [one for one, at in self.asleep.items() if at <= now]:
                self._wake(place)
            next_call = min([until, *self.asleep.values()])
            time.sleep(max(0.0, next_call - now))
