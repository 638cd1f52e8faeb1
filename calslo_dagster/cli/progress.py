"""Progress on work that takes a while: a bar on standard error, and nothing at all where no one watches."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any, Final, TypeVar

from tqdm import tqdm

Item = TypeVar("Item")
# Work that is done sooner needs no bar.
SHOWN_AFTER_SECONDS: Final = 2
_FORMAT: Final = "{percentage:3.0f}% {bar:20} {n_fmt}/{total_fmt}, {elapsed}{postfix}"


def progress(items: Iterable[Item], unit: str = "run") -> Iterable[Item]:
    """Return the items; how far their consumer has come is shown after two seconds, if standard error is a terminal."""
    return tqdm(items, unit=unit, delay=SHOWN_AFTER_SECONDS, disable=not sys.stderr.isatty(), leave=False)


class Bar:
    """What one piece of work shows of itself."""

    def __init__(self, drawn: "tqdm[Any]") -> None:
        self._drawn = drawn

    def show(self, done: int, total: int, stage: str) -> None:
        """Say how far the work has come, and what was done last."""
        self._drawn.total = total
        self._drawn.set_postfix_str(stage, refresh=False)
        self._drawn.update(done - self._drawn.n)


@contextmanager
def bar() -> Iterator[Bar]:
    """Yield a bar for work that tells by itself how far it is; its clock goes on while a long stage lasts."""
    is_watched = sys.stderr.isatty()
    with tqdm(total=0, bar_format=_FORMAT, delay=SHOWN_AFTER_SECONDS, disable=not is_watched, leave=False) as drawn:
        ended = Event()
        clock = Thread(target=_tick, args=(drawn, ended), daemon=True)
        if is_watched:
            clock.start()
        try:
            yield Bar(drawn)
        finally:
            ended.set()
            if is_watched:
                clock.join()


def _tick(drawn: "tqdm[Any]", ended: Event) -> None:
    wait = float(SHOWN_AFTER_SECONDS)
    while not ended.wait(wait):
        drawn.refresh()
        wait = 1.0
