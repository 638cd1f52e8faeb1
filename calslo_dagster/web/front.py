"""What every handler works with, made once per application."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from typing import Final, Generic, TypeVar

from starlette.requests import HTTPConnection

from calslo_dagster.exports.counters import Counters
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.read_board import EVERY_CARD, board_stamp, read_board
from calslo_dagster.pipeline.read_sparks import Spark, read_sparks
from calslo_dagster.pipeline.views.wanted import Wanted
from calslo_dagster.reporting.board import Board, BoardFilter, Card, narrowed
from calslo_dagster.reporting.document import Document
from calslo_dagster.web.limits import Meter
from calslo_dagster.web.signing import Signer
from calslo_dagster.web.workshop import Workshop

_KEPT: Final = 32
# That of a thousand slices is some 10 MB; parts of it share its cards.
_BOARDS: Final = 1
Kept = TypeVar("Kept")


@dataclass(slots=True)
class Recent(Generic[Kept]):
    """The results that were asked for last; what several ask for at once is made once."""

    most: int = _KEPT
    _found: OrderedDict[Hashable, Kept] = field(default_factory=OrderedDict)
    _making: dict[Hashable, Lock] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def of(self, key: Hashable, make: Callable[[], Kept]) -> Kept:
        """Return the result of this key, made unless it is known."""
        with self._lock:
            if key in self._found:
                self._found.move_to_end(key)
                return self._found[key]
            turn = self._making.setdefault(key, Lock())
        with turn:
            with self._lock:
                if key in self._found:
                    return self._found[key]
            try:
                made = make()
                with self._lock:
                    self._found[key] = made
                    while len(self._found) > self.most:
                        self._found.popitem(last=False)
                return made
            finally:
                with self._lock:
                    self._making.pop(key, None)


@dataclass(frozen=True, slots=True)
class Front:
    """The project, the clock, the signer, the boards of late, the counters of requests, and who draws and prints."""

    project: Callable[[], Project]
    now: Callable[[], datetime]
    signer: Signer
    meter: Meter
    workshop: Workshop
    boards: Recent[Board] = field(default_factory=lambda: Recent(_BOARDS))
    parts: Recent[Board] = field(default_factory=Recent)
    sparks: Recent[Mapping[tuple[str, str], Spark]] = field(default_factory=Recent)
    pages: Recent[bytes] = field(default_factory=Recent)
    counters: Counters = field(default_factory=Counters)

    def stamp(self) -> str:
        """Return what changes whenever something is stored."""
        return board_stamp(self.project())

    def minute(self) -> datetime:
        """Return the minute that it is; nothing is shown for longer, since time alone makes results stale."""
        return self.now().replace(second=0, microsecond=0)

    def board(self, wanted: BoardFilter = EVERY_CARD) -> Board:
        """Return how the SLOs stand now."""
        project, now = self.project(), self.now()
        key = (self.stamp(), self.minute())
        whole = self.boards.of(key, lambda: read_board(project, now=now))
        return whole if wanted == EVERY_CARD else self.parts.of((*key, wanted), lambda: narrowed(whole, wanted))

    def courses(self, cards: Sequence[Card]) -> Mapping[tuple[str, str], Spark]:
        """Return the recent courses of the cards, by SLO and slice."""
        key = (self.stamp(), *((card.slo, card.slice) for card in cards))
        return self.sparks.of(key, lambda: read_sparks(self.project(), cards))


def document_of(front: Front, wanted: Wanted) -> Document:
    """Return the document of a view as of now."""
    return front.workshop.document(wanted, stamp=front.stamp(), now=front.now())


def front_of(request: HTTPConnection) -> Front:
    """Return what the application of the request works with."""
    found = request.app.state.front
    assert isinstance(found, Front)  # noqa: S101 - the factory puts it there
    return found
